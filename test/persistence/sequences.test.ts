/** A database whose rows were moved, and whose sequences were not. */
import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber, Latch, Layer, Redacted, Schedule } from "effect";
import { SqlClient } from "effect/sql";
import { Partition } from "../../src/domain/Partition.ts";
import { Connections } from "../../src/persistence/Connections.ts";
import { Database } from "../../src/persistence/Database.ts";
import { EventLog } from "../../src/persistence/EventLog.ts";
import { OrderArchive } from "../../src/persistence/OrderArchive.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as Sequences from "../../src/persistence/Sequences.ts";
import * as Postgres from "../../src/platform/Postgres.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { id, newOrder } from "./orderRepositorySuite.ts";

const partition = Partition.make(3);

/** An instance of the service, as far as it concerns the database. */
const started = Effect.gen(function* () {
  const { url } = yield* TestDatabase;
  const context = yield* Layer.build(
    Layer.fresh(
      OrderRepositorySql.layer.pipe(
        Layer.provideMerge(Database.layer),
        Layer.provideMerge(
          Postgres.layer({ url: Redacted.make(url), poolSize: 10 }),
        ),
      ),
    ),
  );
  yield* (yield* Effect.provide(Database, context)).migrated;
  const events = yield* Effect.provide(EventLog, context);
  const repository = yield* Effect.provide(OrderRepository, context);
  const archive = yield* Effect.provide(OrderArchive, context);
  const sql = yield* Effect.provide(SqlClient.SqlClient, context);
  const { apart } = yield* Effect.provide(Connections, context);
  return { apart, archive, events, repository, sql };
});

const names = Sequences.counters.map(({ sequence }) => sequence);

/** What logical replication leaves: the rows, and sequences that begin anew. */
const restartSequences = (sql: SqlClient.SqlClient) =>
  Effect.forEach(
    names,
    (name) => sql`ALTER SEQUENCE ${sql.literal(name)} RESTART`,
  );

const place = (repository: OrderRepository["Service"], order_id: string) =>
  repository.insert(newOrder(order_id), partition);

/** Everything that takes a number: placing, ending, archiving, pausing. */
const orders = 20;
const live = Effect.gen(function* () {
  const { archive, repository, sql } = yield* started;
  for (let n = 0; n < orders; n += 1) yield* place(repository, `OLD${n}`);
  yield* repository.cancel("OLD0");
  yield* sql`INSERT INTO processing_changes (state) VALUES ('PAUSED')`;
  const claim = yield* repository.claim(partition);
  yield* repository.keepPlace(partition, claim.epoch, BigInt(orders));
  const { epoch } = yield* archive.claim;
  const left = yield* archive.read([id("OLD0")]);
  yield* archive.leave({
    epoch,
    orders: left.map(({ begun, order }) => ({
      order_id: order.order_id,
      status: order.status,
      begun,
    })),
    file: undefined,
  });
  yield* repository.cancel("OLD1");
}).pipe(Effect.scoped);

describe("the sequences", () => {
  it.live("are all known, and owned by the column they number", () =>
    Effect.gen(function* () {
      const { sql } = yield* started;
      const found = yield* sql<{ name: string; is_owned: boolean }>`
        SELECT c.relname AS name, EXISTS (
          SELECT FROM pg_depend AS d
          WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
            AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')) AS is_owned
        FROM pg_class AS c
        WHERE c.relkind = 'S' AND c.relnamespace = 'public'::regnamespace`;
      assert.sameMembers(
        found.map(({ name }) => name),
        names,
      );
      assert.deepStrictEqual(
        found.filter(({ is_owned }) => !is_owned),
        [],
      );
    }).pipe(Effect.provide(TestDatabase.layer)),
  );

  it.live(
    "are raised above what is stored, by instances that start together",
    () =>
      Effect.gen(function* () {
        yield* live;
        const { sql } = yield* started;
        yield* restartSequences(sql);
        // Each places orders as soon as it may: none of them lowers a sequence.
        const instances = yield* Effect.forEach(
          ["A", "B", "C", "D"],
          (name) =>
            Effect.gen(function* () {
              const instance = yield* started;
              yield* Effect.forEach(
                Array.from({ length: 50 }, (_, n) => `${name}${n}`),
                (order_id) => place(instance.repository, order_id),
                { concurrency: 10 },
              );
              return instance;
            }),
          { concurrency: "unbounded" },
        );
        const [numbers] = yield* sql<{
          orders: bigint;
          seqs: bigint;
          low: bigint;
        }>`
        SELECT count(*) AS orders, count(DISTINCT seq) AS seqs,
          min(seq) FILTER (WHERE order_id NOT LIKE 'OLD%') AS low FROM orders`;
        assert.deepStrictEqual(numbers, { orders: 219n, seqs: 219n, low: 21n });
        const [events] = yield* sql<{ records: bigint; nos: bigint }>`
        SELECT count(*) AS records, count(DISTINCT no) AS nos
        FROM order_events`;
        assert.strictEqual(events?.records, events?.nos);
        assert.deepStrictEqual(
          yield* Sequences.raise.pipe(
            Effect.provideService(SqlClient.SqlClient, sql),
          ),
          [],
        );

        // The next owner finds what was placed since.
        const { archive, repository } = instances[0] as (typeof instances)[0];
        const claim = yield* repository.claim(partition);
        const { open } = yield* repository.readLog(partition, claim.place, 500);
        assert.lengthOf(open, 200);
        // Nothing that has left the table is placed again.
        assert.strictEqual(
          (yield* Effect.flip(place(repository, "OLD0")))._tag,
          "OrderHasLeft",
        );
        assert.isAbove((yield* archive.claim).epoch, 1);
        yield* repository.cancel("OLD1");
        yield* repository.cancel("A0");
        yield* sql`INSERT INTO processing_changes (state) VALUES ('RUNNING')`;
      }).pipe(Effect.provide(TestDatabase.layer)),
  );

  it.live("are raised above the positions of subscriptions and readers", () =>
    Effect.gen(function* () {
      const { sql } = yield* started;
      yield* sql`INSERT INTO subscriptions
        (id, slot, url, types, secret, place, place_index)
        VALUES ('S', 0, 'http://127.0.0.1', '{}', 's', 700, 0)`;
      yield* sql`UPDATE partition_owners SET place = 900 WHERE partition = 3`;
      const { events, repository } = yield* started;
      yield* place(repository, "A");
      const [order] = yield* sql<{ seq: bigint }>`SELECT seq FROM orders`;
      assert.strictEqual(order?.seq, 901n);
      const [event] = yield* sql<{ no: bigint }>`SELECT no FROM order_events`;
      assert.strictEqual(event?.no, 701n);
      const read = yield* events.read({ record: 700n, index: 0 }, 10);
      assert.isTrue(read.isEnd);
    }).pipe(Effect.provide(TestDatabase.layer)),
  );

  it.live("are raised once all who have taken a number have ended", () =>
    Effect.gen(function* () {
      yield* live;
      const { apart, sql } = yield* started;
      yield* sql`ALTER SEQUENCE orders_seq RESTART`;
      const taken = yield* Latch.make(false);
      const free = yield* Latch.make(false);
      const open = yield* Effect.forkScoped(
        apart.withTransaction(
          apart`SELECT nextval('orders_seq')`.pipe(
            Effect.andThen(taken.open),
            Effect.andThen(free.await),
          ),
        ),
      );
      yield* taken.await;
      const raising = yield* Effect.forkScoped(
        Effect.provideService(Sequences.raise, SqlClient.SqlClient, sql),
      );
      const waiting = yield* Effect.repeat(
        apart`SELECT FROM pg_locks
          WHERE relation = 'orders_seq'::regclass AND NOT granted`,
        {
          until: (waiting) => waiting.length > 0,
          schedule: Schedule.spaced("10 millis"),
          times: 3000,
        },
      );
      assert.isAbove(waiting.length, 0);
      yield* free.open;
      yield* Fiber.join(open);
      assert.deepStrictEqual(
        (yield* Fiber.join(raising)).map(({ last, stored }) => [last, stored]),
        [[1n, 20n]],
      );
    }).pipe(Effect.provide(TestDatabase.layer)),
  );
});
