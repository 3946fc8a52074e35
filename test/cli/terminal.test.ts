/**
 * The command on a terminal, as a person sees it: colours, progress, questions,
 * Ctrl-C. The terminal is made by the program `script` (Debian's bsdutils,
 * macOS); where it is missing these tests fail and say so.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { until } from "../support/serviceProcess.ts";
import { ctrlC, type Started, startOnTerminal } from "./command.ts";
import { heldService } from "./heldService.ts";
import { type CommandService, commandService } from "./service.ts";

let at: CommandService;
beforeAll(async () => {
  at = await commandService();
  const { code, stderr } = await at.orders(
    ...["place", "--id", "T1", "--user", "U\u202e1", "--item", "I"],
    ...["--amount", "1"],
  );
  assert.strictEqual(code, 0, stderr);
  await at.orders("watch", "T1");
}, 60_000);
afterAll(() => at?.stop());

const onTerminal = (
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {},
  columns = 120,
) => startOnTerminal({ args, columns, env: { ...at.env, ...env } });

const type = (started: Started, text: string) =>
  started.child.stdin?.write(text);

const shows = (started: Started, what: string | RegExp) =>
  until(`${what} on the terminal`, async () =>
    typeof what === "string"
      ? started.stdout().includes(what)
      : what.test(started.stdout()),
  );

const coloured = "\x1b[32mCOMPLETED";

describe("orders on a terminal", () => {
  it("shows a table in colours, that does not reach over its edge", async () => {
    const { code, stdout } = await onTerminal(["list"]).ended;
    assert.strictEqual(code, 0, stdout);
    assert.include(stdout, coloured);
    assert.include(
      stdout,
      "U\\x202e1",
      "what would turn the text around is told",
    );
    const { stdout: narrow } = await onTerminal(["list"], {}, 90).ended;
    for (const line of narrow.trim().split("\r\n")) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
      assert.isAtMost(line.replace(/\x1b\[\d+m/g, "").length, 90, line);
    }
  }, 30_000);

  it("shows no colours where they are not wanted", async () => {
    const { stdout } = await onTerminal(["list"], { NO_COLOR: "1" }).ended;
    assert.include(stdout, "COMPLETED");
    assert.notInclude(stdout, "\x1b[");
  });

  it("shows what happens until Ctrl-C, which is 130", async () => {
    const started = onTerminal(["watch"]);
    for (let number = 0; started.stdout() === ""; number += 1) {
      await at.orders(
        ...["place", "--id", `W${number}`, "--user", "U", "--item", "I"],
        ...["--amount", "1"],
      );
    }
    await shows(started, "order.placed");
    type(started, ctrlC);
    assert.strictEqual((await started.ended).code, 130);
  }, 30_000);

  it("shows how an import is going, and goes on after Ctrl-C", async () => {
    const file = join(at.directory, "big.ndjson");
    const rows = Array.from({ length: 12_000 }, (_, index) =>
      JSON.stringify({
        order_id: `P${index}`,
        user_id: "P",
        item_ids: ["I"],
        total_amount: 1,
      }),
    );
    await writeFile(file, rows.join("\n"));
    const service = await heldService(6);
    const env = { ORDERS_URL: service.url };
    const started = onTerminal(["import", file], env);
    await service.held;
    await shows(started, /[1-9][\d,]* orders, [\d,]+\/s, \d+ %, .*\d s left/);
    type(started, ctrlC);
    await shows(started, "Stopping once what is under way is answered");
    service.release();
    const { code, stdout } = await started.ended;
    assert.strictEqual(code, 130, stdout);
    assert.include(stdout, "run the same command again");
    const stoppedAt = Number(/Stopped after line (\d+)/.exec(stdout)?.[1]);
    assert.isAtMost(stoppedAt, (6 + 4) * 500, "no more than was on its way");
    assert.strictEqual(service.sent.length, stoppedAt);

    const again = await onTerminal(["import", file], env).ended;
    assert.strictEqual(again.code, 0, again.stdout);
    assert.match(again.stdout, /Going on after line \d+/);
    assert.match(again.stdout, /PLACED[^\n]* 12,000/);
    service.close();
    assert.strictEqual(service.sent.length, 12_000, "nothing was sent twice");
    assert.strictEqual(new Set(service.sent).size, 12_000);
  }, 60_000);

  it("asks before many are cancelled, and takes only a yes", async () => {
    assert.strictEqual((await at.orders("processing", "pause")).code, 0);
    await at.orders(
      ...["place", "--id", "Q1", "--user", "Q", "--item", "I", "--amount", "1"],
    );
    for (const [answer, code, status] of [
      ["\n", 1, "PENDING"],
      ["no\n", 1, "PENDING"],
      [ctrlC, 130, "PENDING"],
      ["yes\n", 0, "CANCELLED"],
    ] as const) {
      const started = onTerminal(["cancel", "--user", "Q"]);
      await shows(started, "Cancel 1 PENDING order? [y/N]");
      type(started, answer);
      const ended = await started.ended;
      assert.strictEqual(ended.code, code, ended.stdout);
      const { stdout } = await at.orders("get", "Q1");
      assert.strictEqual(JSON.parse(stdout).status, status);
    }
  }, 30_000);
});
