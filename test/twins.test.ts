/**
 * Two processes with one name on one PostgreSQL: a second that is started by
 * mistake, and a first that was frozen while another took its place.
 */
import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import { SqlClient } from "effect/sql";
import { spawnService, startService, until } from "./support/serviceProcess.ts";
import { layerSql, TestDatabase } from "./support/testDatabase.ts";

const name = { RUNNER_HOST: "twin", RUNNER_PORT: "7001" };

const settings = (DATABASE_URL: string) => ({
  DATABASE_URL,
  ...name,
  // What is begun here goes on for as long as it is looked at.
  PROCESSING_TIME: "1 hour",
  PROCESSING_TIMEOUT: "2 hours",
  SHUTDOWN_TIMEOUT: "1 second",
  LOG_LEVEL: "Warn",
});

const json = async (url: string, init?: RequestInit) =>
  (await (await fetch(url, init)).json()) as Record<string, unknown>;

const place = (url: string, order_id: string) =>
  json(`${url}/api/orders/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      order_id,
      user_id: "U",
      item_ids: ["ITEM001"],
      total_amount: 19.9,
    }),
  });

const find = (url: string, order_id: string) =>
  json(`${url}/api/orders/${order_id}/`);

const beginOf = (url: string, order_id: string) =>
  until(`${order_id} has begun`, async () => {
    const order = await find(url, order_id);
    return order.status === "PROCESSING";
  });

/** Waits until a process has all the partitions. */
const untilWhole = (url: string) =>
  until("all partitions are worked on here", async () => {
    const { partitions } = await json(`${url}/health/ready`);
    return Array.isArray(partitions) && partitions.length === 32;
  });

/** What a process said last, as the only line that says so. */
const lastWords = (output: string) =>
  output.split("\n").filter((line) => line.startsWith("order-service: "));

/** A service on the database, killed in the end whatever became of it. */
const start = (url: string) =>
  Effect.acquireRelease(
    // Where it listens is said at this level.
    Effect.promise(() => startService({ ...settings(url), LOG_LEVEL: "Info" })),
    ({ stop }) => Effect.promise(() => stop("SIGKILL")),
  );

describe("two processes with one name", () => {
  it.live(
    "are one too many: the second is refused, and takes nothing away",
    () =>
      Effect.gen(function* () {
        const { url } = yield* TestDatabase;
        const first = yield* start(url);
        yield* Effect.promise(async () => {
          await untilWhole(first.url);
          await place(first.url, "A");
          await beginOf(first.url, "A");
          const second = spawnService(settings(url));
          assert.strictEqual(await second.ended, 1);
          const words = lastWords(second.output());
          assert.strictEqual(words.length, 1, second.output());
          assert.match(
            words[0] ?? "",
            /another living process .* the name twin:7001: .*RUNNER_HOST or RUNNER_PORT/,
          );
          await untilWhole(first.url);
          const order = await find(first.url, "A");
          assert.strictEqual(order.status, "PROCESSING");
          assert.strictEqual(order.attempts, 1);
          assert.notMatch(first.output(), /crashed|taken back|given back/);
        });
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
    120_000,
  );

  it.live(
    "are another case when the first was frozen: it ends, and gives nothing back",
    () =>
      Effect.gen(function* () {
        const { url } = yield* TestDatabase;
        const first = yield* start(url);
        yield* Effect.promise(async () => {
          await untilWhole(first.url);
          // One for each partition: where one has begun, its owner has claimed.
          for (let n = 0; n < 32; n += 1) await place(first.url, `A${n}`);
          for (let n = 0; n < 32; n += 1) await beginOf(first.url, `A${n}`);
        });
        first.child.kill("SIGSTOP");
        const sql = yield* SqlClient.SqlClient;
        const second = yield* start(url);
        yield* Effect.promise(async () => {
          await untilWhole(second.url);
          await place(second.url, "B");
          await beginOf(second.url, "B");
          first.child.kill("SIGCONT");
          assert.strictEqual(await first.ended, 1);
          const words = lastWords(first.output());
          assert.strictEqual(words.length, 1, first.output());
          assert.match(
            words[0] ?? "",
            /stopped, as another process took the name twin:7001/,
          );
        });
        const leases = yield* sql`SELECT 1 FROM cluster_locks`;
        assert.strictEqual(leases.length, 32);
        yield* Effect.promise(async () => {
          await untilWhole(second.url);
          const order = await find(second.url, "B");
          assert.strictEqual(order.status, "PROCESSING");
          assert.strictEqual(order.attempts, 1);
          assert.notMatch(second.output(), /crashed|given back/);
        });
      }).pipe(Effect.scoped, Effect.provide(layerSql)),
    120_000,
  );
});
