/** Import and export, as they are run, stopped, killed and run again. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import {
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { until } from "../support/serviceProcess.ts";
import { run, start, startInShell } from "./command.ts";
import { type CommandService, commandService } from "./service.ts";

let at: CommandService;
beforeAll(async () => {
  at = await commandService();
}, 60_000);
afterAll(() => at?.stop());

const path = (name: string) => join(at.directory, name);
const progressOf = (file: string) => `${file}.progress`;

const order = (id: string | number, more: object = {}) =>
  JSON.stringify({
    order_id: String(id),
    user_id: "U",
    item_ids: ["I"],
    total_amount: 1.5,
    ...more,
  });

/** The lines of so many orders, each with an id of its own. */
const orders = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => order(`${prefix}-${index}`));

const totalOf = async (user?: string) => {
  const { code, stderr, stdout } = await at.orders(
    ...["export", "-", ...(user === undefined ? [] : ["--user", user])],
  );
  assert.strictEqual(code, 0, stderr);
  return stdout.trimEnd().split("\n").slice(0, -1).length;
};

const json = ({ stdout }: { stdout: string }) => JSON.parse(stdout);

describe("orders import", () => {
  it("places what it can and keeps the rest, each with its reason", async () => {
    const file = path("mixed.ndjson");
    const rows = [
      order("M1", { unknown: 1 }),
      "{broken",
      order("M2", { item_ids: [] }),
      "",
      order("M1"),
      order("M1", { total_amount: 2 }),
      order("M3", { user_id: "N" }),
    ];
    await writeFile(file, rows.join("\n"));
    const ended = await at.orders("import", file);
    assert.strictEqual(ended.code, 1);
    assert.deepInclude(json(ended), { placed: 2, replayed: 1, rejected: 3 });
    assert.include(ended.stderr, `${file}.rejected.ndjson`);
    const rejected = (await readFile(`${file}.rejected.ndjson`, "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepStrictEqual(
      rejected.map(({ input, line, status }) => [line, status, input]),
      [
        [2, 400, rows[1]],
        [3, 400, rows[2]],
        [6, 409, rows[5]],
      ],
    );
    for (const { reason } of rejected) assert.isAbove(reason.length, 10);
    assert.include(rejected[1].reason, "item_ids");
    assert.isFalse(existsSync(progressOf(file)), "it is at its end");

    // All were answered: again, it begins with the first row.
    const again = await at.orders("import", file);
    assert.deepInclude(json(again), { placed: 0, replayed: 3, rejected: 3 });
  }, 30_000);

  it("reads CSV, also by standard input", async () => {
    const rows = [
      "order_id,user_id,item_ids,total_amount",
      'CSV1,U,"[1.50,""b""]",0.30',
      "CSV2,U,I1;I2,12",
      "CSV3,U,I1,none",
    ];
    const ended = await at.ordersWith({
      args: ["import", "-", "--format", "csv", "--rejects", path("r.ndjson")],
      input: rows.join("\r\n"),
    });
    assert.deepInclude(json(ended), { placed: 2, rejected: 1 });
    const placed = json(await at.orders("get", "CSV1"));
    assert.deepInclude(placed, { item_ids: [1.5, "b"], total_amount: 0.3 });
  });

  it("is what an export gives back, packed or not, with what spreadsheets would run", async () => {
    const user = "=HYPERLINK()";
    const items = ['=1+1;-2;"@x', "'", { a: "=1" }, 1.5];
    const input = ["E1", "-E2", "'=E3"]
      .map((id) => order(id, { user_id: user, item_ids: items }))
      .join("\n");
    assert.strictEqual(
      (await at.ordersWith({ args: ["import", "-"], input })).code,
      0,
    );
    const [csv, ndjson] = [path("e.csv"), path("e.ndjson")];
    for (const file of [csv, ndjson]) {
      const ended = await at.orders("export", file, "--user", user);
      assert.deepInclude(json(ended), { exported: 3, file });
      assert.isFalse(existsSync(`${file}.part`));
    }
    // Two packed parts, as an archive that was gone on with.
    const packed = path("e.ndjson.gz");
    const [one = "", ...more] = (await readFile(ndjson, "utf8")).split(
      /(?<=\n)/,
    );
    await writeFile(
      packed,
      Buffer.concat([gzipSync(one), gzipSync(more.join(""))]),
    );
    assert.include(gunzipSync(await readFile(packed)).toString(), '"exported"');
    for (const file of [csv, ndjson, packed]) {
      const ended = await at.orders("import", file);
      assert.strictEqual(ended.code, 0, ended.stderr);
      assert.deepInclude(json(ended), { placed: 0, replayed: 3, rejected: 0 });
    }
  }, 30_000);

  it.each([
    ["a pipe by its name", "cat rows | orders import /dev/stdin"],
    ["a file as standard input", "orders import /dev/stdin < rows"],
    ["what a shell substitutes", "orders import <(cat rows)"],
    ["a file by its descriptor", "orders import /dev/fd/3 3< rows"],
    ["a named pipe", "mkfifo f; cat rows > f & orders import f; rm f"],
    ["a packed pipe", "gzip -c rows | orders import -"],
    ["what is packed and substituted", "orders import <(gzip -c rows rows)"],
  ])("reads %s", async (name, line) => {
    const directory = path(name.replaceAll(" ", "-"));
    await mkdir(directory);
    const rows = [...orders(name, 600), "{broken"];
    await writeFile(join(directory, "rows"), `${rows.join("\n")}\n`);
    const ended = await startInShell(line, { env: at.env, directory }).ended;
    assert.strictEqual(ended.code, line.includes("; rm") ? 0 : 1, ended.stderr);
    const twice = line.includes("rows rows") ? 2 : 1;
    assert.deepInclude(json(ended), {
      placed: 600,
      replayed: 600 * (twice - 1),
      rejected: twice,
      rejects: "orders.rejected.ndjson",
    });
    assert.notInclude(ended.stderr, "run the same command again");
  });

  it("reads standard input by its name, also where it is a socket", async () => {
    const rows = `${order("socket")}\n`;
    const named = await run({
      args: ["import", "/dev/stdin"],
      env: at.env,
      input: rows,
    });
    assert.deepInclude(json(named), { placed: 1 });
    const array = await run({
      args: ["import", "-"],
      env: at.env,
      input: `[${rows}]`,
    });
    assert.strictEqual(array.code, 2);
    assert.include(array.stderr, "jq -c");
    const one = await run({
      args: ["place", "/dev/stdin"],
      env: at.env,
      input: order("socket-2"),
    });
    assert.strictEqual(json(one).order_id, "socket-2");
  });

  it("ends on Ctrl-C while a pipe gives nothing", async () => {
    const pipe = path("idle");
    await promisify(execFile)("mkfifo", [pipe]);
    // Open for both, so that the pipe has a writer who writes nothing.
    const writer = await open(pipe, "r+");
    try {
      const { child, ended } = start({ args: ["import", pipe], env: at.env });
      const files = `/proc/${child.pid}/fd`;
      await until("it reads", async () => {
        const links = await Promise.all(
          (await readdir(files)).map((file) =>
            readlink(join(files, file)).catch(() => ""),
          ),
        );
        return links.includes(pipe) ? true : undefined;
      });
      child.kill("SIGINT");
      assert.strictEqual((await ended).code, 130);
    } finally {
      await writer.close();
    }
  });

  it("writes an export to a pipe or a device as it is, and removes neither", async () => {
    const directory = path("devices");
    await mkdir(directory);
    const line = [
      "orders export /dev/stdout --user DEV",
      "orders export >(cat > copy) --user DEV",
      "orders export /dev/null --user DEV",
      "mkfifo f; cat f > rejected & orders import in.ndjson --rejects f",
    ].join(" && ");
    await writeFile(
      join(directory, "in.ndjson"),
      `${order("DEV1", { user_id: "DEV" })}\n{broken\n`,
    );
    const ended = await startInShell(`${line}; wait; test -p f`, {
      env: at.env,
      directory,
    }).ended;
    assert.strictEqual(ended.code, 0, ended.stderr);
    assert.match(ended.stdout, /^\{"exported":0\}\n\{/);
    const read = (name: string) => readFile(join(directory, name), "utf8");
    assert.strictEqual(await read("copy"), '{"exported":0}\n');
    assert.strictEqual(JSON.parse(await read("rejected")).line, 2);
    assert.isFalse((await stat("/dev/null")).isFile());
  });

  it("goes on after Ctrl-C, and what was refused stands once", async () => {
    const file = path("stopped.ndjson");
    const rows = ["{", ...orders("S", 12_000), "["];
    await writeFile(file, rows.join("\n"));
    const started = start({ args: ["import", file], env: at.env });
    await until("a place is kept", () => stat(progressOf(file)));
    started.child.kill("SIGINT");
    const { code, stderr } = await started.ended;
    assert.strictEqual(code, 130, stderr);
    assert.match(stderr, /Stopped after line \d+.*run the same command again/);
    const kept = JSON.parse(await readFile(progressOf(file), "utf8"));
    assert.isAbove(kept.line, 0);
    assert.isBelow(kept.line, rows.length);

    const ended = await at.orders("import", file);
    assert.include(ended.stderr, `Going on after line ${kept.line}.`);
    const { placed, rejected, replayed } = json(ended);
    // What was under way had been settled: nothing was sent twice.
    assert.deepStrictEqual(
      { placed, rejected, replayed },
      { placed: 12_000, rejected: 2, replayed: 0 },
    );
    const refused = await readFile(`${file}.rejected.ndjson`, "utf8");
    assert.deepStrictEqual(
      refused
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).line),
      [1, 12_002],
    );
    assert.isFalse(existsSync(progressOf(file)));
  }, 60_000);

  it("loses nothing and places nothing twice when it is killed", async () => {
    const file = path("killed.ndjson");
    const rows = orders("K", 12_000).map((row) =>
      row.replace('"user_id":"U"', '"user_id":"K"'),
    );
    rows.splice(100, 0, "{");
    await writeFile(file, rows.join("\n"));
    const started = start({ args: ["import", file], env: at.env });
    await until("a place is kept", () => stat(progressOf(file)));
    started.child.kill("SIGKILL");
    assert.strictEqual((await started.ended).code, "SIGKILL");

    const ended = await at.orders("import", file);
    assert.include(ended.stderr, "Going on after line");
    const { placed, rejected, replayed } = json(ended);
    assert.strictEqual(placed + replayed, 12_000);
    assert.strictEqual(rejected, 1);
    assert.strictEqual(await totalOf("K"), 12_000);
    const refused = await readFile(`${file}.rejected.ndjson`, "utf8");
    assert.strictEqual(refused.trimEnd().split("\n").length, 1);
  }, 60_000);

  it("does not go on in a file that has changed, nor for another service", async () => {
    const file = path("changed.ndjson");
    await writeFile(file, orders("G", 3).join("\n"));
    const kept = (url: string, size: number) =>
      writeFile(
        progressOf(file),
        JSON.stringify({
          ...{ version: 1, url, offset: size, line: 3, placed: 3 },
          ...{ replayed: 0, rejected: 0, rejected_bytes: 0 },
          file: { size, modified: 0, head: "" },
        }),
      );
    for (const [url, size] of [
      [at.url, 1],
      ["http://127.0.0.1:1", 3],
    ] as const) {
      await kept(url, size);
      const ended = await at.orders("import", file);
      assert.include(ended.stderr, "beginning with the first row");
      assert.strictEqual(json(ended).placed + json(ended).replayed, 3);
    }
    await writeFile(progressOf(file), "{");
    const broken = await at.orders("import", file);
    assert.strictEqual(broken.code, 0, broken.stderr);
  }, 30_000);

  it("stops where it may not go on", async () => {
    const file = path("refused.ndjson");
    await writeFile(file, orders("R", 3).join("\n"));
    const ended = await at.ordersWith({
      args: ["import", file],
      env: { ORDERS_KEY: "osk_wrong" },
    });
    assert.strictEqual(ended.code, 4);
    assert.include(ended.stderr, "key");
    await rm(progressOf(file), { force: true });
  });

  it.each([
    ["no-such.ndjson", /there is no such file/],
    ["array.json", /jq -c/],
    ["head.csv", /lacks user_id/],
    ["cut.ndjson.gz", /cut off/],
  ])("says what is wrong with %s", async (name, said) => {
    const file = path(name);
    if (name === "array.json") await writeFile(file, `[${order("A")}]`);
    if (name === "head.csv")
      await writeFile(file, "order_id,item_ids,total_amount\n");
    if (name === "cut.ndjson.gz") {
      await writeFile(file, gzipSync(order("Z")).subarray(0, 40));
    }
    const { code, stderr } = await at.orders("import", file);
    assert.include([1, 2], code);
    assert.match(stderr, said);
  });
});
