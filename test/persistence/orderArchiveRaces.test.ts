/**
 * What leaves the table while others are at it, on PostgreSQL: who waits for
 * whom is arranged by holding rows, and seen in `pg_stat_activity`.
 */
import { PgClient } from "@effect/sql-pg";
import { assert, layer } from "@effect/vitest";
import {
  Duration,
  Effect,
  Fiber,
  Layer,
  Option,
  Redacted,
  Result,
  Schedule,
} from "effect";
import * as Reactivity from "effect/reactivity/Reactivity";
import { SqlClient } from "effect/sql";
import { Partition } from "../../src/domain/Partition.ts";
import { Database } from "../../src/persistence/Database.ts";
import { OrderArchive } from "../../src/persistence/OrderArchive.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as Postgres from "../../src/platform/Postgres.ts";
import * as TestDatabase from "../support/testDatabase.ts";
import { completed, toLeave } from "./orderArchiveSuite.ts";
import { counted, id, newOrder } from "./orderRepositorySuite.ts";

const partition = Partition.make(7);

/** With connections enough for two statements that wait. */
const postgres = Layer.unwrap(
  Effect.map(TestDatabase.TestDatabase, ({ url }) =>
    Postgres.layer({ url: Redacted.make(url), poolSize: 10 }),
  ),
).pipe(Layer.provideMerge(TestDatabase.TestDatabase.layer));

const store = OrderRepositorySql.layer.pipe(
  Layer.provideMerge(Database.layer),
  Layer.provideMerge(postgres),
);

/** A session with a transaction that holds what its statement locks. */
const holding = Effect.fnUntraced(function* (statement: string) {
  const { url } = yield* TestDatabase.TestDatabase;
  const sql = yield* PgClient.make({
    url: Redacted.make(url),
    maxConnections: 1,
  }).pipe(Effect.provide(Reactivity.layer));
  const connection = yield* sql.reserve;
  const run = (text: string) =>
    connection.execute(text, [], undefined).pipe(Effect.orDie);
  yield* run("BEGIN");
  yield* run(statement);
  return run;
});

/** Waits until so many statements wait for a lock. */
const untilWaiting = (count: number) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    sql<{ waiting: number }>`
      SELECT count(*)::float8 AS waiting FROM pg_stat_activity
      WHERE datname = current_database() AND wait_event_type = 'Lock'`.pipe(
      Effect.repeat({
        until: ([row]) => (row?.waiting ?? 0) >= count,
        schedule: Schedule.spaced("5 millis"),
      }),
      Effect.timeout("20 seconds"),
    ),
  );

/** How an order leaves, as one transaction: what `leave` does. */
const leaving = (order_id: string) => `
  WITH gone AS (
    DELETE FROM orders WHERE order_id = '${order_id}' RETURNING *
  ), counted AS (
    UPDATE order_statistics SET archived = archived + 1 WHERE slot = 0
  )
  INSERT INTO archived_orders (order_id, digest)
  SELECT order_id, order_digest(user_id, total_amount, item_ids) FROM gone`;

/** Places an order again, which waits for the one that is about to leave. */
const placedWhileLeaving = Effect.fnUntraced(function* (order_id: string) {
  const repository = yield* OrderRepository;
  yield* (yield* OrderArchive).claim;
  yield* completed({ repository }, order_id);
  const run = yield* holding(leaving(order_id));
  const placing = yield* Effect.forkChild(
    Effect.result(repository.insert(newOrder(order_id), partition)),
  );
  yield* untilWaiting(1);
  yield* run("COMMIT");
  return yield* Fiber.join(placing);
});

const ready = Effect.gen(function* () {
  yield* (yield* Database).migrated;
  return {
    archive: yield* OrderArchive,
    repository: yield* OrderRepository,
    sql: yield* SqlClient.SqlClient,
  };
});

layer(store, { excludeTestServices: true })("an archive in use", (it) => {
  it.effect("places no order that leaves while it is placed again", () =>
    Effect.gen(function* () {
      const { repository } = yield* ready;
      const placed = yield* placedWhileLeaving("A");
      assert.isTrue(Result.isFailure(placed));
      const failure = Option.getOrThrow(Result.getFailure(placed));
      assert.deepInclude(failure, { _tag: "OrderHasLeft", isSame: true });
      assert.isTrue(Option.isNone(yield* repository.find("A")));
      const [orders, accepted] = yield* counted(repository, 100);
      assert.strictEqual(orders, accepted);
    }),
  );

  // The look at the archive before the insert has a snapshot that is too old.
  it.effect(
    "places none of a batch, one of which has come and left since",
    () =>
      Effect.gen(function* () {
        const { archive, repository } = yield* ready;
        yield* archive.claim;
        // The batch finds neither it nor the new one, and waits for it.
        const run = yield* holding(`
        INSERT INTO orders (order_id, user_id, item_ids, total_amount, partition)
        VALUES ('gone', 'U', '["I"]', 1, 7)`);
        const placing = yield* Effect.forkChild(
          repository.insertAllOrNone(
            ["beside", "gone"].map((order_id) => ({
              order: newOrder(order_id),
              partition,
            })),
          ),
        );
        yield* untilWaiting(1);
        yield* run(leaving("gone"));
        yield* run("COMMIT");
        assert.deepStrictEqual(
          yield* Fiber.join(placing),
          Result.fail([{ index: 1, by: "archived" as const }]),
        );
        assert.isTrue(Option.isNone(yield* repository.find("beside")));
      }),
  );

  it.effect("would place it, without the look once it is in", () =>
    Effect.gen(function* () {
      const { sql } = yield* ready;
      yield* sql`ALTER FUNCTION none_archived RENAME TO none_archived_really`;
      yield* sql`CREATE FUNCTION none_archived(ids text[]) RETURNS boolean
        LANGUAGE sql AS 'SELECT true'`;
      const placed = yield* placedWhileLeaving("B");
      yield* sql`DROP FUNCTION none_archived`;
      yield* sql`ALTER FUNCTION none_archived_really RENAME TO none_archived`;
      assert.isTrue(Result.isSuccess(placed) && placed.success.isNew);
      yield* sql`DELETE FROM orders WHERE order_id = 'B'`;
      yield* sql`UPDATE order_statistics SET accepted = 0, archived = 0`;
      yield* sql`DELETE FROM archived_orders`;
    }),
  );

  it.effect("is looked at as soon as it was claimed for the first time", () =>
    Effect.gen(function* () {
      const { archive, sql } = yield* ready;
      // As before the first claim of all.
      yield* sql`SELECT setval('order_archive_claims', 1, false)`;
      const repository = yield* OrderRepository;
      yield* completed({ repository }, "FIRST");
      const run = yield* holding(
        `UPDATE orders SET ended = 'CANCELLED' WHERE order_id = 'FIRST'`,
      );
      // It waits for the row of the order that it is about to place again.
      yield* run("DELETE FROM orders WHERE order_id = 'FIRST'");
      const placing = yield* Effect.forkChild(
        Effect.result(repository.insert(newOrder("FIRST"), partition)),
      );
      yield* untilWaiting(1);
      yield* archive.claim;
      yield* run(`INSERT INTO archived_orders VALUES ('FIRST', '')`);
      yield* run(
        "UPDATE order_statistics SET archived = archived + 1 WHERE slot = 1",
      );
      yield* run("COMMIT");
      assert.isTrue(Result.isFailure(yield* Fiber.join(placing)));
    }),
  );

  it.effect("answers who is placed with it all the same", () =>
    Effect.gen(function* () {
      const { repository } = yield* ready;
      yield* completed({ repository }, "C");
      const run = yield* holding(leaving("C"));
      const placing = yield* Effect.forkChild(
        Effect.forEach(
          ["C1", "C", "C2"],
          (order_id) =>
            Effect.result(repository.insert(newOrder(order_id), partition)),
          { concurrency: "unbounded" },
        ),
      );
      yield* untilWaiting(1);
      yield* run("COMMIT");
      const answers = yield* Fiber.join(placing);
      assert.deepStrictEqual(answers.map(Result.isSuccess), [
        true,
        false,
        true,
      ]);
    }),
  );

  it.effect("tells who claims it of the batch that was under way", () =>
    Effect.gen(function* () {
      const { archive, repository } = yield* ready;
      yield* completed({ repository }, "D");
      const former = yield* archive.claim;
      yield* archive.openFile(former.epoch, "D.gz");
      const orders = toLeave(yield* archive.read([id("D")]));
      const run = yield* holding(
        "SELECT FROM archive_files WHERE name = 'D.gz' FOR UPDATE",
      );
      const batch = yield* Effect.forkChild(
        archive.leave({
          ...{ epoch: former.epoch, orders },
          file: { name: "D.gz", bytes: 77 },
        }),
      );
      yield* untilWaiting(1);
      const claiming = yield* Effect.forkChild(archive.claim);
      yield* untilWaiting(2);
      yield* run("COMMIT");
      assert.strictEqual(yield* Fiber.join(batch), "left");
      const { files } = yield* Fiber.join(claiming);
      assert.deepInclude(files, { name: "D.gz", bytes: 77 });
    }),
  );

  it.effect("is fenced by a claim that it waited for", () =>
    Effect.gen(function* () {
      const { archive, repository } = yield* ready;
      yield* completed({ repository }, "E");
      const { epoch } = yield* archive.claim;
      const orders = toLeave(yield* archive.read([id("E")]));
      const run = yield* holding("UPDATE order_archive SET epoch = epoch + 1");
      const batch = yield* Effect.forkChild(
        archive.leave({ epoch, orders, file: undefined }),
      );
      yield* untilWaiting(1);
      yield* run("COMMIT");
      assert.strictEqual(yield* Fiber.join(batch), "fenced");
      assert.isTrue(Option.isSome(yield* repository.find("E")));
    }),
  );

  it.effect("passes over an order that somebody holds", () =>
    Effect.gen(function* () {
      const { archive, repository } = yield* ready;
      yield* completed({ repository }, "F1");
      yield* completed({ repository }, "F2");
      const run = yield* holding(
        "SELECT FROM orders WHERE order_id = 'F1' FOR UPDATE",
      );
      const read = yield* archive.read([id("F1"), id("F2")]);
      assert.deepStrictEqual(
        read.map(({ order }) => order.order_id as string),
        ["F2"],
      );
      yield* run("COMMIT");
    }),
  );

  it.effect("counts right while orders are placed, done and leave", () =>
    Effect.gen(function* () {
      const { archive, repository, sql } = yield* ready;
      const [before] = yield* sql<{ n: number }>`
        SELECT count(*)::float8 AS n FROM archived_orders`;
      const names = Array.from({ length: 300 }, (_, n) => `S${n}`);
      const { epoch } = yield* archive.claim;
      const placing = yield* Effect.forkChild(
        Effect.forEach(
          // Each is placed three times: it is done once, whenever that is.
          [...names, ...names.toReversed(), ...names],
          (order_id) =>
            Effect.gen(function* () {
              const placed = yield* Effect.result(
                repository.insert(newOrder(order_id), partition),
              );
              if (Result.isFailure(placed)) {
                const { _tag } = placed.failure;
                return assert.strictEqual(_tag, "OrderHasLeft");
              }
              if (placed.success.isNew) yield* repository.cancel(order_id);
            }),
          { concurrency: 20 },
        ),
      );
      let place = 0n;
      let left = 0;
      const leave = Effect.gen(function* () {
        const seen = yield* archive.look({
          after: place,
          ...{ limit: 50, age: Duration.zero, slack: Duration.zero },
        });
        const ids = seen.filter((_) => _.isReady).map((_) => _.order_id);
        const orders = toLeave(yield* archive.read(ids));
        if (orders.length === 0) return;
        const done = yield* archive.leave({ epoch, orders, file: undefined });
        if (done === "left") left += orders.length;
      });
      const census = Effect.gen(function* () {
        const [orders, accepted] = yield* counted(repository, 20_000);
        assert.strictEqual(orders, accepted);
      });
      while (placing.pollUnsafe() === undefined) {
        yield* leave;
        yield* census;
      }
      yield* Fiber.join(placing);
      place = 0n;
      for (let n = 0; n < 20; n += 1) yield* leave;
      const { accepted, archived, counts } = yield* repository.tally;
      const [after] = yield* sql<{ n: number }>`
        SELECT count(*)::float8 AS n FROM archived_orders`;
      assert.strictEqual((after?.n ?? 0) - (before?.n ?? 0), left);
      assert.isAtLeast(left, 300);
      assert.strictEqual(counts.CANCELLED, 300);
      assert.isAtMost(archived, accepted);
      yield* census;
    }),
  );
});
