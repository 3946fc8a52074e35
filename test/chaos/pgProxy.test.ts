import { afterAll, assert, beforeAll, describe, it } from "vitest";
import * as PgProxy from "../../load/chaos/PgProxy.ts";
import * as Postgres from "../../load/chaos/Postgres.ts";
import { until } from "../support/serviceProcess.ts";

let postgres: Postgres.Postgres;
let proxy: PgProxy.PgProxy;
beforeAll(async () => {
  postgres = await Postgres.open();
  proxy = await PgProxy.open(postgres.port);
  await postgres.ask("postgres", (client) =>
    client.query("CREATE TABLE kept (value integer)"),
  );
});
afterAll(async () => {
  await proxy.close();
  await postgres.stop();
});

const connect = () => postgres.connect("postgres", proxy.port);

const kept = () =>
  postgres.ask("postgres", async (client) => {
    const { rows } = await client.query("SELECT value FROM kept ORDER BY 1");
    return rows.map(({ value }) => value as number);
  });

const outcomeOf = (question: Promise<unknown>) =>
  question.then(
    () => "answered",
    () => "cut off",
  );

describe("PgProxy", () => {
  it("cuts the answer to what has been committed, and to nothing else", async () => {
    const client = await connect();
    proxy.cutAnswerOf(/INSERT INTO kept/);
    assert.strictEqual(
      await outcomeOf(client.query("SELECT $1::int", [1])),
      "answered",
    );
    assert.strictEqual(
      await outcomeOf(client.query("INSERT INTO kept VALUES ($1)", [1])),
      "cut off",
    );
    assert.deepStrictEqual(await kept(), [1]);
    assert.strictEqual(proxy.cuts(), 1);

    const next = await connect();
    assert.strictEqual(
      await outcomeOf(next.query("INSERT INTO kept VALUES ($1)", [2])),
      "answered",
    );
    await next.end();
    assert.deepStrictEqual(await kept(), [1, 2]);
  });

  it("cuts a statement that was prepared long before", async () => {
    const client = await connect();
    const insert = { name: "insert", text: "INSERT INTO kept VALUES ($1)" };
    await client.query(insert, [3]);
    proxy.cutAnswerOf(/INSERT INTO kept/);
    assert.strictEqual(await outcomeOf(client.query(insert, [4])), "cut off");
    assert.deepStrictEqual((await kept()).slice(-2), [3, 4]);
  });

  it("is as slow as it is told to be, and stalls", async () => {
    const client = await connect();
    proxy.delay(100);
    const from = performance.now();
    await client.query("SELECT 1");
    assert.isAtLeast(performance.now() - from, 195);
    proxy.delay(0);
    proxy.stall(true);
    let isAnswered = false;
    const answer = client.query("SELECT 1").then(() => {
      isAnswered = true;
    });
    // A direct connection is answered in the meantime.
    await kept();
    assert.isFalse(isAnswered);
    proxy.stall(false);
    await answer;
    await client.end();
  });

  it("repeats what was lost after ever longer waits, and forgets who vanished", async () => {
    const client = await connect();
    await client.query("SELECT 1");
    proxy.lose("from-database");
    let isAnswered = false;
    const answer = client
      .query("INSERT INTO kept VALUES ($1)", [9])
      .then(() => {
        isAnswered = true;
      });
    // It was done, and only its answer is lost.
    await until("it is kept", async () => (await kept()).includes(9));
    assert.isFalse(isAnswered);
    proxy.lose(undefined);
    await answer;

    proxy.vanish();
    client.on("error", () => {});
    const silent = outcomeOf(client.query("SELECT 1"));
    const next = await connect();
    assert.strictEqual(await outcomeOf(next.query("SELECT 1")), "answered");
    await next.end();
    proxy.shut(true);
    proxy.shut(false);
    assert.strictEqual(await silent, "cut off");
  });

  it("lets nobody through while it is shut", async () => {
    const client = await connect();
    client.on("error", () => {});
    proxy.shut(true);
    assert.strictEqual(await outcomeOf(client.query("SELECT 1")), "cut off");
    assert.strictEqual(await outcomeOf(connect()), "cut off");
    proxy.shut(false);
    const next = await connect();
    assert.strictEqual(await outcomeOf(next.query("SELECT 1")), "answered");
    await next.end();
  });
});
