/** Orders leave the table of a real service, which is killed meanwhile. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, assert, describe, it } from "vitest";
import { run } from "./cli/command.ts";
import { spawnService, startService, until } from "./support/serviceProcess.ts";

const directories: Array<string> = [];

const directory = async () => {
  const made = await mkdtemp(join(tmpdir(), "orders-archiving-"));
  directories.push(made);
  return made;
};

afterEach(async () => {
  for (const made of directories.splice(0)) {
    await rm(made, { recursive: true, force: true });
  }
});

const place = (url: string, body: string) =>
  fetch(`${url}/api/orders/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });

const orderOf = (order_id: string) =>
  JSON.stringify({ order_id, user_id: "U", item_ids: [1], total_amount: 1 });

/** All places one after another, some at once. */
const placeAll = async (
  url: string,
  bodies: ReadonlyArray<string>,
  expected: number,
) => {
  for (let from = 0; from < bodies.length; from += 50) {
    const answers = await Promise.all(
      bodies.slice(from, from + 50).map((body) => place(url, body)),
    );
    for (const answer of answers) {
      assert.strictEqual(answer.status, expected, await answer.text());
    }
  }
};

const filesIn = async (archive: string) =>
  (await readdir(archive)).filter((name) => name.endsWith(".ndjson.gz")).sort();

const linesIn = async (archive: string) => {
  const texts = await Promise.all(
    (await filesIn(archive)).map(async (name) =>
      gunzipSync(await readFile(join(archive, name))).toString(),
    ),
  );
  return texts.flatMap((text) => text.split("\n").slice(0, -1));
};

const idsIn = (lines: ReadonlyArray<string>) =>
  lines.map((line) => JSON.parse(line).order_id as string).sort();

const gauge = async (url: string, name: string) =>
  Number(
    new RegExp(`^${name} (\\S+)$`, "m").exec(
      await (await fetch(`${url}/metrics`)).text(),
    )?.[1],
  );

// Seven starts: on a busy machine each takes its time.
describe("a service that archives", { timeout: 240_000 }, () => {
  it("loses no order and doubles none, killed again and again", async () => {
    const dataDir = await directory();
    const archive = await directory();
    const keeping = { DATA_DIR: dataDir, PROCESSING_TIME: "0 millis" };
    const names = Array.from({ length: 700 }, (_, n) => `ORDER${n}`);
    const first = await startService(keeping);
    await placeAll(first.url, names.map(orderOf), 201);
    await until("all are done", async () => {
      const answer = await fetch(`${first.url}/api/orders/metrics/`);
      return (await answer.json()).total_orders_processed === names.length;
    });
    await first.stop();

    const archiving = {
      ...keeping,
      RETENTION: "1 second",
      ARCHIVE_DIR: archive,
    };
    // Killed while it writes: as soon as there is more in the files than before.
    let seen = 0;
    for (let kill = 0; kill < 3; kill += 1) {
      const { child, ended } = spawnService(archiving);
      const more = await until("more is archived", async () => {
        const sizes = await Promise.all(
          (await filesIn(archive)).map(
            async (name) => (await readFile(join(archive, name))).length,
          ),
        );
        const all = sizes.reduce((sum, size) => sum + size, 0);
        return all > seen ? all : undefined;
      });
      seen = more;
      child.kill("SIGKILL");
      await ended;
    }

    const last = await startService(archiving);
    await until("all have left", async () => {
      const answer = await fetch(`${last.url}/api/orders/`);
      return (await answer.json()).length === 0;
    });
    const lines = await linesIn(archive);
    assert.deepStrictEqual(idsIn(lines), names.toSorted());

    const metrics = await (
      await fetch(`${last.url}/api/orders/metrics/`)
    ).json();
    assert.strictEqual(metrics.status_counts.COMPLETED, names.length);
    assert.strictEqual(await gauge(last.url, "orders_unaccounted"), 0);
    const again = await place(last.url, orderOf("ORDER7"));
    assert.strictEqual(again.status, 409);
    assert.include(await again.json(), {
      type: "urn:order-service:order-archived",
      same_content: true,
    });
    const found = await fetch(`${last.url}/api/orders/ORDER7/`);
    assert.strictEqual(found.status, 404);
    assert.match((await found.json()).detail, /archived/);
    await last.stop();

    // An empty service gets them back.
    const other = await startService({ DATA_DIR: await directory() });
    let placed = 0;
    for (const name of await filesIn(archive)) {
      const imported = await run({
        args: ["import", join(archive, name), "--url", other.url],
      });
      assert.strictEqual(imported.code, 0, imported.stderr);
      placed += JSON.parse(imported.stdout).placed;
    }
    assert.strictEqual(placed, names.length);
    const read = async (url: string) =>
      JSON.parse((await run({ args: ["get", "ORDER7", "--url", url] })).stdout);
    const archived = lines.map((line) => JSON.parse(line));
    const { item_ids, total_amount, user_id } = await read(other.url);
    assert.deepInclude(
      archived.find(({ order_id }) => order_id === "ORDER7"),
      { item_ids, total_amount, user_id },
    );
    await other.stop();
  });

  it("does not start where it could write no files", async () => {
    const file = join(await directory(), "file");
    await writeFile(file, "");
    const { ended, output } = spawnService({
      DATA_DIR: await directory(),
      RETENTION: "1 hour",
      ARCHIVE_DIR: join(file, "archive"),
    });
    assert.strictEqual(await ended, 1);
    assert.match(output(), /order-service: ARCHIVE_DIR \S+ takes no files: /);
  });

  it("says which retention it takes, and why an archive is not used", async () => {
    const bad = spawnService({
      DATA_DIR: await directory(),
      RETENTION: "soon",
    });
    assert.strictEqual(await bad.ended, 1);
    assert.match(
      bad.output(),
      /setting RETENTION: must be a time of at least 1/,
    );
    const unused = spawnService({
      DATA_DIR: await directory(),
      ARCHIVE_DIR: await directory(),
    });
    assert.strictEqual(await unused.ended, 1);
    assert.match(
      unused.output(),
      /ARCHIVE_DIR has no effect without RETENTION/,
    );
  });
});
