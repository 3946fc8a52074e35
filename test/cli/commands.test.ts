/** The commands as another program runs them: pipes, data, exit codes. */

import { readFileSync } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { until } from "../support/serviceProcess.ts";
import { type Ended, run, runHere, start } from "./command.ts";
import { type CommandService, commandService } from "./service.ts";

let at: CommandService;
/** A key that may only place. */
let placing: string;
/** An address where nothing listens. */
let away: string;

beforeAll(async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  away = `http://127.0.0.1:${port}`;
  at = await commandService();
  const made = await at.orders("keys", "create", "shop", "-s", "orders:place");
  placing = JSON.parse(made.stdout).key;
}, 60_000);
afterAll(() => at?.stop());

const place = (id: string, ...more: ReadonlyArray<string>) =>
  placeOf("U1", id, ...more);
const placeOf = (user: string, id: string, ...more: ReadonlyArray<string>) =>
  at.orders(
    ...["place", "--id", id, "--user", user, "--item", "I1", "--item", "I2"],
    ...["--amount", "12.30", ...more],
  );

const lines = (text: string) => text.trimEnd().split("\n");

const done = ({ code, stderr, stdout }: Ended) => {
  assert.strictEqual(code, 0, stderr);
  return stdout;
};

describe("orders", () => {
  it("places, gets, watches and lists", async () => {
    const placed = JSON.parse(done(await place("ORD1")));
    assert.deepInclude(placed, {
      order_id: "ORD1",
      user_id: "U1",
      item_ids: ["I1", "I2"],
      total_amount: 12.3,
    });
    const again = await place("ORD1");
    done(again);
    assert.include(again.stderr, "had been placed before");
    const other = await place("ORD1", "--item", "I3");
    assert.deepInclude(other, { code: 1, stdout: "" });
    assert.include(other.stderr, "Another order has this order_id");

    const changes = lines(done(await at.orders("watch", "ORD1")));
    assert.strictEqual(JSON.parse(changes.at(-1) ?? "").status, "COMPLETED");

    const csv = done(await at.orders("get", "ORD1", "--output", "csv"));
    assert.match(csv, /^order_id,.*\r\nORD1,U1,"\[""I1"",""I2""\]",12.3,COMPL/);
    assert.deepEqual(
      JSON.parse(done(await at.orders("list"))),
      lines(done(await at.orders("list", "-o", "ndjson"))).map((_) =>
        JSON.parse(_),
      ),
    );
    const history = JSON.parse(
      done(await at.orders("get", "ORD1", "--history")),
    );
    assert.deepStrictEqual(
      history.map(({ type }: { type: string }) => type),
      ["placed", "attempt"],
    );
    const table = done(await at.orders("list", "--output", "table"));
    assert.match(table, /^ORDER +USER +STATUS/);
    assert.notInclude(table, "\x1b", "no colours in a pipe");
  }, 30_000);

  it("places JSON from a file and from standard input, digit by digit", async () => {
    const file = join(at.directory, "order.json");
    await writeFile(
      file,
      '{\n"order_id": 12345678901234567890,\n"user_id":"U","item_ids":["I"],"total_amount":0.30}',
    );
    const placed = JSON.parse(done(await at.orders("place", file)));
    assert.strictEqual(placed.order_id, "12345678901234567890");
    const input =
      '{"order_id":"X","user_id":"U","item_ids":["I"],"total_amount":0.300000000000000001}';
    const inexact = await at.ordersWith({ args: ["place", "-"], input });
    assert.strictEqual(inexact.code, 1);
    assert.include(inexact.stderr, "at most two decimals");
  }, 30_000);

  it("goes on with the others where one is refused", async () => {
    const { code, stderr, stdout } = await at.orders(
      ...["get", "ORD1", "nobody", "-o", "ndjson"],
    );
    assert.strictEqual(code, 1);
    assert.strictEqual(lines(stdout).length, 1);
    assert.include(stderr, 'no order "nobody"');
  });

  it("counts orders, and tells events", async () => {
    const counts = JSON.parse(done(await at.orders("metrics")));
    assert.isAtLeast(counts.status_counts.COMPLETED, 1);
    const events = JSON.parse(
      done(await at.orders("events", "--type", "order.placed")),
    );
    assert.strictEqual(events[0].type, "order.placed");
  });

  it("makes, lists, rolls and revokes keys, each shown once", async () => {
    const made = await at.orders(
      ...["keys", "create", "ops", "-s", "orders:read", "-s", "orders:operate"],
      ...["--rate-limit", "600/minute", "--expires-at", "2999-01-01T00:00:00Z"],
    );
    const { id, key } = JSON.parse(done(made));
    assert.include(made.stderr, "shown this once");
    const rolled = JSON.parse(
      done(await at.orders("keys", "roll", id, "--grace", "60")),
    );
    assert.notStrictEqual(rolled.key, key);
    done(await at.orders("keys", "revoke", id));
    const listed = done(await at.orders("keys", "list"));
    assert.notInclude(listed, key);
    const { revoked_at, scopes } = JSON.parse(listed).find(
      (_: { id: string }) => _.id === id,
    );
    assert.isNotNull(revoked_at);
    assert.deepStrictEqual(scopes, ["orders:read", "orders:operate"]);
  }, 30_000);

  it("says of each key whether it is good, has expired, or was revoked", async () => {
    const states = ["good", "expired", "revoked"];
    const ids: Array<string> = [];
    for (const state of states) {
      const soon = new Date(Date.now() + 1_000).toISOString();
      const made = await at.orders(
        ...["keys", "create", `is ${state}`, "-s", "orders:read"],
        ...[
          "--expires-at",
          state === "expired" ? soon : "2999-01-01T00:00:00Z",
        ],
      );
      ids.push(JSON.parse(done(made)).id);
    }
    done(await at.orders("keys", "revoke", ids[2] ?? ""));
    for (const state of states) {
      await until(`one is ${state}`, async () => {
        const listed = done(await at.orders("keys", "list", "-o", "table"));
        const line = lines(listed).find((one) => one.includes(`is ${state}`));
        return line?.includes(`  ${state}  `) ? true : undefined;
      });
    }
  }, 30_000);

  it("ends quietly when nobody reads on", async () => {
    const started = start({
      args: ["list", "--all", "-o", "ndjson"],
      env: at.env,
    });
    started.child.stdout?.destroy();
    const { code, stderr } = await started.ended;
    assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" });
  });
});

/** Each command as it is used rightly. */
const uses: ReadonlyArray<ReadonlyArray<string>> = [
  ["place", "--id", "1", "--user", "1", "--item", "1", "--amount", "1"],
  ["get", "ORD1"],
  ["get", "ORD1", "--history"],
  ["list"],
  ["list", "--all", "--status", "FAILED"],
  ["watch", "ORD1"],
  ["cancel", "ORD1"],
  ["cancel", "--all", "--yes"],
  ["retry", "ORD1"],
  ["retry", "--all", "--dry-run"],
  ["import", "-"],
  ["export"],
  ["processing", "show"],
  ["processing", "pause"],
  ["processing", "resume"],
  ["metrics"],
  ["events"],
  ["keys", "list"],
  ["keys", "create", "one", "--scope", "admin"],
  ["keys", "roll", "one"],
  ["keys", "revoke", "one"],
];

/** An order for whatever reads standard input. */
const input =
  '{"order_id":"S1","user_id":"U","item_ids":["I"],"total_amount":1}';

const oneOrTwoLines = (text: string) => {
  assert.isAtMost(lines(text).length, 2, text);
  assert.isAbove(text.length, 10);
};

describe("orders for operators", () => {
  const counted = async (...args: ReadonlyArray<string>) =>
    JSON.parse(done(await at.orders(...args)));

  it("pauses, cancels one or many, and resumes", async () => {
    assert.strictEqual((await counted("processing", "pause")).state, "PAUSED");
    for (const id of ["C1", "C2", "C3"]) {
      done(await placeOf("Canceller", id));
    }
    const one = await counted("cancel", "C1");
    assert.strictEqual(one.status, "CANCELLED");
    const again = await at.orders("cancel", "C1");
    assert.strictEqual(again.code, 1);
    oneOrTwoLines(again.stderr);

    const many = ["cancel", "--user", "Canceller"];
    const unasked = await at.orders(...many);
    assert.strictEqual(unasked.code, 2);
    assert.include(unasked.stderr, "--yes");
    assert.deepInclude(await counted(...many, "--dry-run"), { matching: 2 });
    assert.deepInclude(await counted(...many, "--yes"), { cancelled: 2 });
    assert.deepInclude(await counted("retry", "--all", "--yes"), {
      retried: 0,
    });
    const both = await at.orders(...many, "C1");
    assert.strictEqual(both.code, 2);

    const shown = await counted("processing", "resume");
    assert.strictEqual(shown.state, "RUNNING");
    const instances = await counted("processing", "show", "--instances");
    assert.strictEqual(instances.length, 1);
  }, 30_000);
});

describe.concurrent("orders that cannot be done", () => {
  it.each(uses)(
    "%s %s: a bad flag is 2, and names the help",
    async (...args) => {
      const { code, stderr, stdout } = await runHere({
        args: [...args, "--colour"],
        env: at.env,
      });
      assert.deepStrictEqual({ code, stdout }, { code: 2, stdout: "" });
      assert.match(stderr, /--colour.*\nSee: orders \w+.* --help\n$/);
    },
  );

  it.each(uses)("%s %s: a service that is away is 1", async (...args) => {
    const { code, stderr } = await runHere({
      args: [...args, `--url=${away}`],
      input,
    });
    assert.strictEqual(code, 1);
    assert.include(stderr, `${away} does not answer (ECONNREFUSED)`);
    assert.include(stderr, "ORDERS_URL");
  });

  it.each(uses)("%s %s: a key is needed, which is 4", async (...args) => {
    const { code, stderr } = await runHere({
      args,
      input,
      env: { ORDERS_URL: at.url },
    });
    assert.strictEqual(code, 4);
    assert.match(stderr, /A key is needed/);
    assert.include(stderr, "ORDERS_KEY");
  });

  it.each(uses.filter(([name]) => !/place|import/.test(name ?? "")))(
    "%s %s: a key that may not is 4, and the scope is named",
    async (...args) => {
      const { code, stderr } = await at.ordersWith({
        args,
        env: { ORDERS_KEY: placing },
      });
      assert.strictEqual(code, 4);
      oneOrTwoLines(stderr);
      assert.match(
        stderr,
        /lacks the scope (orders:read|orders:operate|admin)/,
      );
      assert.notInclude(stderr, placing);
    },
  );
});

describe.concurrent("orders used wrongly", () => {
  it.each([
    [["lst"], /Unknown subcommand "lst".*list/],
    [["place"], /--id, --user/],
    [["place", "--id", "1"], /needs all of/],
    [["get"], /order_id/],
    [["cancel", "--limit", "5", "--yes"], /or --all; --limit says/],
    [["retry", "1", "--limit", "5"], /--limit says how many/],
    [["list", "--limit", "0"], /from 1 to/],
    [["list", "--status", "LOST"], /PENDING/],
    [["list", "--created-after", "yesterday"], /2026-01-31T12:00:00Z/],
    [["list", "--output", "xml"], /table/],
    [["list", "--url", "ftp://a"], /http:\/\/localhost:8000/],
    [["list", "--url", "http://u:secret@a"], /no user and no password/],
    [["keys", "create", "a", "--scope", "all"], /orders:place/],
    [["keys", "create", "a"], /scope/],
    [["import", "orders.txt"], /--format/],
    [["import"], /file/],
  ])("%j is 2", async (args, said) => {
    const { code, stderr, stdout } = await at.ordersWith({ args });
    assert.deepStrictEqual({ code, stdout }, { code: 2, stdout: "" });
    assert.match(stderr, said);
    assert.notInclude(stderr, "    at ");
  });

  it("without a command is 2, with the help", async () => {
    const { code, stderr, stdout } = await runHere({ args: [] });
    assert.deepStrictEqual({ code, stdout }, { code: 2, stdout: "" });
    assert.include(stderr, "SUBCOMMANDS");
  });
});

describe.concurrent("orders --help and its kind", () => {
  it("have examples for every command", async () => {
    const { code, stdout } = await runHere({ args: ["--help"] });
    assert.strictEqual(code, 0);
    for (const [name = ""] of uses) assert.include(stdout, `  ${name}`);
    for (const [name = ""] of uses.filter(
      ([, next]) => next === undefined || !/^[a-z]+$/.test(next),
    )) {
      const help = await runHere({ args: [name, "--help"] });
      assert.include(help.stdout, `EXAMPLES`, name);
      assert.include(help.stdout, `orders ${name}`);
    }
  }, 30_000);

  it("say the version of the service", async () => {
    const { stdout } = await runHere({ args: ["--version"] });
    assert.strictEqual(stdout, "orders 0.1.0\n");
  });

  it.each([
    ["bash", "complete -F"],
    ["zsh", "#compdef orders"],
    ["fish", "complete -c orders"],
  ])("complete in %s", async (shell, words) => {
    const { code, stdout } = await runHere({ args: ["--completions", shell] });
    assert.strictEqual(code, 0);
    assert.include(stdout, words);
    for (const [name = ""] of uses) assert.include(stdout, name);
  });
});

describe("orders as a process", () => {
  it("answers a pipe with JSON, and ends with its exit code", async () => {
    const listed = await run({ args: ["list"], env: at.env });
    assert.isArray(JSON.parse(done(listed)));
    const codes = await Promise.all([
      run({ args: ["list", "--colour"], env: at.env }),
      run({ args: ["list"], env: { ORDERS_URL: at.url } }),
      run({ args: ["list", "--url", away] }),
    ]);
    assert.deepStrictEqual(
      codes.map(({ code }) => code),
      [2, 4, 1],
    );
  });

  it("ends at once with 130 on Ctrl-C, and with 143 when told to end", async () => {
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const) {
      const watched = start({ args: ["watch"], env: at.env });
      const id = `W-${signal}`;
      // It listens from now on: orders are placed until it has heard of one.
      for (let number = 0; watched.stdout() === ""; number += 1) {
        done(await place(`${id}-${number}`));
      }
      watched.child.kill(signal);
      const ended = await watched.ended;
      assert.strictEqual(ended.code, code);
      assert.strictEqual(ended.stderr, "");
      for (const line of lines(ended.stdout)) JSON.parse(line);
    }
  }, 30_000);
});

describe("what starts the command", () => {
  it("loads the client only once there is something to ask", async () => {
    const folder = fileURLToPath(new URL("../../src/cli/", import.meta.url));
    const eager = (await readdir(folder))
      .filter((name) => name.endsWith(".ts"))
      .flatMap((name) => {
        const text = readFileSync(join(folder, name), "utf8");
        const imports = text.matchAll(
          /^import (?!type\b)[^;]*?from "(\.\.\/(?:client|api)\/[^"]+|effect\/http(?:-api)?)";/gm,
        );
        return Array.from(imports, ([, from]) => `${name} imports ${from}`);
      });
    assert.deepStrictEqual(eager, []);
  });
});
