/**
 * How the statements of `OrderRepositorySql` do on a real PostgreSQL: how few
 * they are, which indexes they read, and what an update costs.
 */
import { assert, layer } from "@effect/vitest";
import { DateTime, Duration, Effect, Layer, Option, Schedule } from "effect";
import { SqlClient } from "effect/sql";
import { UserId } from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { Connections } from "../../src/persistence/Connections.ts";
import { Database } from "../../src/persistence/Database.ts";
import { EventLog } from "../../src/persistence/EventLog.ts";
import { OrderArchive } from "../../src/persistence/OrderArchive.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import { beginOne, completeOne } from "../support/oneOrder.ts";
import * as TestDatabase from "../support/testDatabase.ts";
import { assertTallyIsCount, id, newOrder } from "./orderRepositorySuite.ts";
import * as Recording from "./recordingClient.ts";

const partition = Partition.make(7);

const migrated = Layer.effectDiscard(
  Effect.flatMap(Database, (database) => database.migrated),
);

const repositoryLayer = migrated.pipe(
  Layer.provideMerge(OrderRepositorySql.layer),
  Layer.provideMerge(Database.layer),
);

const recordedLayer = repositoryLayer.pipe(
  Layer.provideMerge(Recording.layer),
  Layer.provide(TestDatabase.layerSql),
);

/** Concurrent callers of one operation, and the most statements for all. */
const callers = 500;
const statementsMax = 10;

layer(recordedLayer, { excludeTestServices: true })(
  "many callers of OrderRepositorySql",
  (it) => {
    it.effect("share a few statements", () =>
      Effect.gen(function* () {
        const repository = yield* OrderRepository;
        const { during } = yield* Recording.Recorder;
        const ids = Array.from({ length: callers }, (_, index) =>
          id(`A${index}`),
        );
        const isDone: Array<boolean> = [];
        const counted = Effect.fnUntraced(function* <E>(
          what: string,
          call: (order_id: (typeof ids)[number]) => Effect.Effect<boolean, E>,
        ) {
          const statements = yield* during(
            Effect.forEach(
              ids,
              (order_id) =>
                Effect.map(call(order_id), (done) => isDone.push(done)),
              { concurrency: "unbounded", discard: true },
            ),
          );
          assert.isAtLeast(statements.length, 1, what);
          assert.isAtMost(statements.length, statementsMax, what);
        });
        const first = (order_id: (typeof ids)[number]) => ({
          order_id,
          attempt: 1,
        });
        yield* counted("insert", (order_id) =>
          Effect.map(
            repository.insert(newOrder(order_id), partition),
            (placement) => placement.isNew,
          ),
        );
        yield* counted("find", (order_id) =>
          Effect.map(repository.find(order_id), Option.isSome),
        );
        yield* counted("begin", (order_id) =>
          Effect.map(beginOne(repository, order_id, 0), Option.isSome),
        );
        yield* counted("release", (order_id) =>
          repository.release({ ...first(order_id), wait: Duration.zero }),
        );
        yield* counted("begin again", (order_id) =>
          Effect.map(beginOne(repository, order_id, 0), Option.isSome),
        );
        yield* counted("fail", (order_id) =>
          repository.fail({
            order_id,
            attempt: 2,
            error: "no",
            wait: Duration.zero,
          }),
        );
        yield* counted("begin once more", (order_id) =>
          Effect.map(beginOne(repository, order_id, 0), Option.isSome),
        );
        yield* counted("complete", (order_id) =>
          completeOne(repository, { order_id, attempt: 3 }),
        );
        yield* counted("read the log", () =>
          Effect.map(
            repository.readLog(partition, 0n, 1),
            ({ open }) => open.length === 0,
          ),
        );
        yield* counted("read what is aside", () =>
          Effect.map(
            repository.readAside(partition, 1),
            (open) => open.length === 0,
          ),
        );
        assert.strictEqual(isDone.length, 10 * callers);
        assert.isTrue(isDone.every((done) => done));
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect("read no large order for one that is another", () =>
      Effect.gen(function* () {
        const repository = yield* OrderRepository;
        const { during } = yield* Recording.Recorder;
        const ids = Array.from({ length: 20 }, (_, index) => `OTHER${index}`);
        const placings = (length: number) =>
          ids.map((order_id) => ({
            order: newOrder(order_id, { item_ids: ["x".repeat(length)] }),
            partition,
          }));
        yield* repository.insertMany(placings(20_000));
        const tried = (length: number) =>
          Effect.map(
            during(
              Effect.andThen(
                repository.insertMany(placings(length)),
                repository.insertAllOrNone(placings(length)),
              ),
            ),
            (statements) => statements.length,
          );
        // The insert and a look, and a look before all or none.
        assert.strictEqual(yield* tried(1), 3);
        assert.strictEqual(yield* tried(20_001), 3);
        // And their items, where they may be the same.
        assert.isAbove(yield* tried(20_000), 3);
      }),
    );

    it.effect("share none that would take long to send", () =>
      Effect.gen(function* () {
        const repository = yield* OrderRepository;
        const { during } = yield* Recording.Recorder;
        const orders = Array.from({ length: 30 }, (_, index) =>
          newOrder(`LARGE${index}`, { item_ids: ["x".repeat(900_000)] }),
        );
        const statements = yield* during(
          Effect.forEach(
            orders,
            (order) => repository.insert(order, partition),
            { concurrency: "unbounded" },
          ),
        );
        const sizes = statements.map((_) => JSON.stringify(_.params).length);
        assert.isBelow(Math.max(...sizes), 5_000_000);
        // And still as many together as may be.
        assert.isBelow(statements.length, 12);
      }),
    );

    it.effect("begin and find large orders a few at a time", () =>
      Effect.gen(function* () {
        const repository = yield* OrderRepository;
        const { during } = yield* Recording.Recorder;
        const size = 900_000;
        const ids = Array.from({ length: 30 }, (_, n) => id(`LARGE${n}`));
        const statementsOf = (
          call: (
            order_id: (typeof ids)[number],
          ) => Effect.Effect<boolean, unknown>,
        ) =>
          Effect.map(
            during(
              Effect.forEach(
                ids,
                (order_id) =>
                  Effect.map(call(order_id), (is) => assert.isTrue(is)),
                { concurrency: "unbounded", discard: true },
              ),
            ),
            (statements) => statements.length,
          );
        // Four fit into 4 MiB.
        const found = yield* statementsOf((order_id) =>
          Effect.map(repository.find(order_id), Option.isSome),
        );
        assert.isAtLeast(found, 9);
        assert.isAtMost(found, 12);
        const replayed = yield* statementsOf((order_id) =>
          Effect.map(
            repository.insert(newOrder(order_id), partition),
            ({ order }) => JSON.stringify(order.item_ids).length > size,
          ),
        );
        assert.isAtLeast(replayed, 9);
        const begun = yield* statementsOf((order_id) =>
          Effect.map(beginOne(repository, order_id, 0, size), Option.isSome),
        );
        assert.isAtLeast(begun, 8);
      }),
    );

    it.effect("read no more of the log of events than is asked for", () =>
      Effect.gen(function* () {
        const log = yield* EventLog;
        const { during, unrecorded } = yield* Recording.Recorder;
        // Records of 500 events each: as many as one statement places.
        yield* unrecorded`
          INSERT INTO order_events (event, size, order_ids, user_ids)
          SELECT 'order.placed', 500, array_fill('A'::text, ARRAY[500]),
            array_fill('U'::text, ARRAY[500])
          FROM generate_series(1, 20)`;
        // From the first, and from behind one: both have all of it behind them.
        const oldest = yield* log.oldest;
        const second = { record: oldest.record + 1n, index: 999_999 };
        for (const [place, limit, records] of [
          [oldest, 10, 1],
          [oldest, 501, 2],
          [second, 10, 2],
        ] as const) {
          const statements = yield* during(log.read(place, limit));
          const reading = statements.find(({ text }) =>
            text.includes("FROM order_events\n"),
          );
          assert.isDefined(reading);
          const rows = yield* unrecorded.unsafe(
            reading?.text ?? "",
            reading?.params,
          );
          assert.isAtLeast(rows.length, 1);
          assert.isAtMost(rows.length, records);
        }
      }),
    );

    it.effect("ask back no more of what is retried together than is used", () =>
      Effect.gen(function* () {
        const repository = yield* OrderRepository;
        const { during, unrecorded } = yield* Recording.Recorder;
        yield* unrecorded`UPDATE orders SET status = 'FAILED', ended = 'FAILED'
          WHERE order_id LIKE 'LARGE%'`;
        const [, statement] = yield* during(
          repository.retryMany({ limit: 30 }),
        );
        assert.match(
          statement?.text ?? "",
          /SELECT order_id, partition, item_bytes FROM moved$/,
        );
        assert.notInclude(statement?.text, "item_ids");
      }),
    );
  },
);

// -- plans -------------------------------------------------------------------

interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly Plans?: ReadonlyArray<PlanNode>;
}

const nodesOf = (node: PlanNode): ReadonlyArray<PlanNode> => [
  node,
  ...(node.Plans ?? []).flatMap(nodesOf),
];

/** The plan for these parameters, and the one kept for any parameters. */
const plansOf = Effect.fnUntraced(function* (statement: Recording.Recorded) {
  const { unrecorded: sql } = yield* Recording.Recorder;
  const explain = "EXPLAIN (FORMAT JSON, COSTS OFF)";
  const parse = (rows: ReadonlyArray<object>) => {
    const [plan] = Object.values(rows[0] ?? {}).flat() as [{ Plan: PlanNode }];
    return nodesOf(plan.Plan);
  };
  return yield* sql.withTransaction(
    Effect.gen(function* () {
      const custom = yield* sql.unsafe<object>(
        `${explain} ${statement.text}`,
        statement.params,
      );
      yield* sql`SET LOCAL plan_cache_mode = 'force_generic_plan'`;
      yield* sql.unsafe(`PREPARE explained AS ${statement.text}`);
      const nulls = statement.params.map(() => "NULL").join(", ");
      const generic = yield* sql.unsafe<object>(
        `${explain} EXECUTE explained${nulls === "" ? "" : `(${nulls})`}`,
      );
      yield* sql`DEALLOCATE explained`;
      return [parse(custom), parse(generic)];
    }),
  );
});

/** Buffers of 8 KiB that a statement touches. */
const buffersOf = Effect.fnUntraced(function* (statement: Recording.Recorded) {
  const { unrecorded: sql } = yield* Recording.Recorder;
  const rows = yield* sql.unsafe<object>(
    `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${statement.text}`,
    statement.params,
  );
  const [{ Plan }] = Object.values(rows[0] ?? {}).flat() as [
    { Plan: Record<string, number> },
  ];
  return (Plan["Shared Hit Blocks"] ?? 0) + (Plan["Shared Read Blocks"] ?? 0);
});

const orderCount = 50_000;

/** How many of them, the newest, came after all that is done. */
const undone = 20_000;

/**
 * Orders that the planner knows nothing of, spread as they would be: those of
 * long ago are all COMPLETED, and some users came long ago only. Of the others
 * some are open, and some of these aside.
 */
const filled = Effect.gen(function* () {
  const { unrecorded: sql } = yield* Recording.Recorder;
  yield* sql`INSERT INTO orders (order_id, user_id, item_ids, total_amount,
      partition, created_at, due_at, status, ended, attempts)
    SELECT 'O' || n,
      CASE WHEN n > ${undone} AND n % 2 = 0 THEN 'U7' ELSE 'V' || n % 500 END,
      '["ITEM001"]', 1, n % 32, now() - n * interval '1 second',
      CASE WHEN state = 'PENDING' AND n % 6 = 0
        THEN now() - n * interval '1 second' END,
      state, CASE WHEN state IN ('FAILED', 'CANCELLED') THEN state END, 1
    FROM generate_series(1, ${orderCount}::integer) AS n,
      LATERAL (SELECT CASE WHEN n > ${undone} THEN 'COMPLETED' ELSE
        (ARRAY['PENDING', 'PENDING', 'PENDING', 'COMPLETED', 'FAILED',
          'CANCELLED'])[1 + n % 6] END AS state) AS stated
    ORDER BY n DESC`;
  yield* sql`UPDATE partition_owners SET place = (
    SELECT max(seq) - ${undone} FROM orders)`;
  // Other tests have transactions open on the same server: a count reads only
  // what is settled, and all the rest at its end.
  const repository = yield* OrderRepository;
  const [row] = yield* sql<{ last: string }>`
    SELECT max(seq)::text AS last FROM orders`;
  yield* repository.readLog(partition, 0n, 1).pipe(
    Effect.repeat({
      until: ({ settledTo }) => settledTo >= BigInt(row?.last ?? 0),
      schedule: Schedule.spaced("50 millis"),
    }),
    Effect.timeout("20 seconds"),
  );
});

/** The index each statement is to read orders by; two for a join of both. */
const statements = Effect.gen(function* () {
  const repository = yield* OrderRepository;
  const archive = yield* OrderArchive;
  const { orders } = yield* repository.list({ limit: 1 });
  const newest = orders[0]?.created_at as DateTime.Utc;
  const last = (yield* (yield* Recording.Recorder).unrecorded<{
    seq: bigint;
  }>`SELECT max(seq) AS seq FROM orders`)[0]?.seq as bigint;
  /** An hour and thirteen before the newest: an order came each second. */
  const after = { seq: last - 3_600n };
  const deep = { seq: last - 46_800n };
  const ids = Array.from({ length: 300 }, (_, index) => id(`O${index * 7}`));
  const each = <A, E>(
    call: (order_id: (typeof ids)[number]) => Effect.Effect<A, E>,
  ) => Effect.forEach(ids, call, { concurrency: "unbounded" });
  const attempt = { order_id: id("O6"), attempt: 1 };
  const bounds = {
    created_after: DateTime.subtract(newest, { hours: 2 }),
    created_before: DateTime.subtract(newest, { hours: 1 }),
  };
  const user_id = UserId.make("U7");
  const limit = 50;
  const { list } = repository;
  const failure = { ...attempt, error: "no" };
  return {
    "find one": [repository.find("O77"), "orders_pkey"],
    "find many": [each(repository.find), "orders_pkey"],
    "insert what exists": [
      repository.insert(newOrder("O77"), partition),
      "orders_pkey",
    ],
    "insert all or none of what exists": [
      repository.insertAllOrNone([{ order: newOrder("O77"), partition }]),
      "orders_pkey",
    ],
    "begin one": [beginOne(repository, id("O6"), 0), "orders_pkey"],
    "begin many": [
      each((order_id) => beginOne(repository, order_id, 0)),
      "orders_pkey",
    ],
    "complete one": [completeOne(repository, attempt), "orders_pkey"],
    "complete many": [
      each((order_id) => completeOne(repository, { order_id, attempt: 1 })),
      "orders_pkey",
    ],
    fail: [repository.fail({ ...failure, wait: Duration.zero }), "orders_pkey"],
    bury: [repository.fail({ ...failure, wait: undefined }), "orders_pkey"],
    release: [
      repository.release({ ...attempt, wait: Duration.zero }),
      "orders_pkey",
    ],
    cancel: [repository.cancel("O6"), "orders_pkey"],
    retry: [repository.retry("O6"), "orders_pkey"],
    "retry many": [
      repository.retryMany({ limit, created_before: bounds.created_before }),
      "orders_ended",
    ],
    "retry many of a user": [
      repository.retryMany({ limit, user_id }),
      "orders_ended_of_user",
    ],
    "retry many of an error": [
      repository.retryMany({ limit, error: "no" }),
      "orders_ended",
    ],
    "cancel many": [
      repository.cancelMany({ limit, created_before: bounds.created_before }),
      "orders_log",
      "orders_aside_log",
    ],
    "cancel many of a user": [
      repository.cancelMany({ limit, user_id }),
      "orders_of_user",
      "orders_aside_log",
    ],
    "count what would be retried": [
      repository.countMatching({ status: "FAILED" }, 10_000),
      "orders_ended",
    ],
    "count what would be cancelled": [
      repository.countMatching({ status: "PENDING" }, 10_000),
      "orders_log",
      "orders_aside_log",
    ],
    "a page of an export": [list({ limit: 2_000, after }), "orders_log"],
    "a page of an export, filtered": [
      list({ limit: 2_000, status: ["FAILED", "PENDING"], user_id }),
      "orders_of_user",
    ],
    "read the log": [
      repository.readLog(partition, last - BigInt(undone), 100),
      "orders_log",
    ],
    "read the log of all partitions": [
      Effect.forEach(
        Array.from({ length: 32 }, (_, index) => Partition.make(index)),
        (partition) => repository.readLog(partition, last - 100n, 10),
        { concurrency: "unbounded" },
      ),
      "orders_log",
    ],
    "read what is aside": [repository.readAside(partition, 50), "orders_aside"],
    "list, first page": [list({ limit }), "orders_log"],
    "list, next page": [list({ limit, after }), "orders_log"],
    "list, a page far behind": [list({ limit, after: deep }), "orders_log"],
    "list, between times": [list({ limit, ...bounds }), "orders_log"],
    "list PENDING": [
      list({ limit, status: ["PENDING"] }),
      "orders_aside_log",
      "orders_log",
    ],
    "list PENDING, next page": [
      list({ limit, after, status: ["PENDING"] }),
      "orders_aside_log",
      "orders_log",
    ],
    "list COMPLETED": [list({ limit, status: ["COMPLETED"] }), "orders_log"],
    "list COMPLETED, next page, between times": [
      list({ limit, after, status: ["COMPLETED"], ...bounds }),
      "orders_log",
    ],
    "list CANCELLED": [list({ limit, status: ["CANCELLED"] }), "orders_ended"],
    "list several statuses": [
      list({ limit, after, status: ["PENDING", "FAILED", "CANCELLED"] }),
      "orders_aside_log",
      "orders_ended",
      "orders_log",
    ],
    "list of a user": [list({ limit, user_id }), "orders_of_user"],
    "list of a user, next page": [
      list({ limit, user_id, after }),
      "orders_of_user",
    ],
    "list of a user, a page far behind": [
      list({ limit, user_id, after: deep }),
      "orders_of_user",
    ],
    "list COMPLETED, a page far behind, before a time": [
      list({
        limit,
        status: ["COMPLETED"],
        after: deep,
        created_before: bounds.created_before,
      }),
      "orders_log",
    ],
    "list of a user, by status, between times": [
      list({ limit, user_id, status: ["FAILED", "PENDING"], ...bounds }),
      "orders_of_user",
    ],
    "list a user's dead letters": [
      list({ limit, user_id, status: ["FAILED"] }),
      "orders_ended_of_user",
    ],
    tally: [repository.tally, "orders_aside_log", "orders_log"],
    "count, a step": [
      repository.count(undefined, 500),
      "orders_log",
      "archive_batches_pkey",
    ],
    "count, the rest": [
      repository.count(after, 50),
      "orders_log",
      "archive_batches_pkey",
    ],
    "is empty": [repository.isEmpty, "orders_log", "archived_orders_pkey"],
    "look for what may leave": [
      archive.look({
        after: deep.seq,
        limit: 500,
        age: Duration.zero,
        slack: Duration.zero,
      }),
      "orders_log",
    ],
    "read what leaves": [archive.read(ids), "orders_pkey"],
    // Nobody has claimed the archive: nothing leaves.
    "let orders leave": [
      archive.leave({
        epoch: -1,
        orders: ids.map((order_id) => ({
          order_id,
          status: "COMPLETED" as const,
          begun: 1,
        })),
        file: { name: "file", bytes: 1 },
      }),
      "orders_pkey",
      "order_history_pkey",
      "archive_batches_pkey",
      "archive_files_pkey",
    ],
  } as const;
});

/** A page or a batch of orders is some hundred buffers; all are thousands. */
const buffersMax = 1500;

/** Each order of a page may be in a buffer of its own; what is before is none. */
const deepBuffersMax = 80;

/** What is wrong with the plans of the statements, in words. */
const faultsOfPlans = Effect.gen(function* () {
  const { during } = yield* Recording.Recorder;
  const faults: Array<string> = [];
  for (const [name, [effect, ...indexes]] of Object.entries(
    yield* statements,
  )) {
    const recorded = yield* during(effect as Effect.Effect<unknown, unknown>);
    assert.isAtLeast(recorded.length, 1, name);
    for (const statement of recorded) {
      // How far the log is settled is asked of no order.
      if (!/\borders\b/.test(statement.text)) continue;
      const [custom = [], generic = []] = yield* plansOf(statement);
      for (const [kind, plan] of Object.entries({ custom, generic })) {
        const scans = plan.filter((node) => node["Relation Name"] === "orders");
        if (scans.some((node) => node["Node Type"] === "Seq Scan")) {
          faults.push(`${name}: the ${kind} plan scans all orders`);
        }
        const isInsert = statement.text.includes("INSERT INTO orders");
        const used = new Set(plan.flatMap((node) => node["Index Name"] ?? []));
        used.delete("order_statistics_pkey");
        used.delete("partition_owners_pkey");
        // What was chosen before is changed by its ids.
        const isByIds = statement.text.includes(") AS chosen");
        const looksFirst = statement.text.includes("ON CONFLICT");
        const expected = isInsert
          ? looksFirst
            ? ["archived_orders_pkey"]
            : []
          : isByIds
            ? ["orders_pkey"]
            : indexes;
        if (used.symmetricDifference(new Set(expected)).size > 0) {
          faults.push(
            `${name}: the ${kind} plan reads ${[...used].join(", ")} instead of ${expected.join(", ")}`,
          );
        }
      }
      if (/UPDATE|INSERT/.test(statement.text)) continue;
      const buffers = yield* buffersOf(statement);
      const isDeep = name.includes("far behind");
      if (buffers > (isDeep ? deepBuffersMax : buffersMax)) {
        faults.push(`${name}: touches ${buffers} buffers`);
      }
    }
  }
  return faults;
});

layer(recordedLayer, { excludeTestServices: true })(
  "the statements of OrderRepositorySql on a table never analysed",
  (it) => {
    it.effect(
      "read the index that was made for them",
      () =>
        Effect.gen(function* () {
          const { unrecorded: sql } = yield* Recording.Recorder;
          yield* sql`ALTER TABLE orders SET (autovacuum_enabled = off)`;
          yield* filled;
          assert.deepStrictEqual(yield* faultsOfPlans, []);
        }),
      60_000,
    );
  },
);

layer(recordedLayer, { excludeTestServices: true })(
  "the statements of OrderRepositorySql on a table analysed when empty",
  (it) => {
    it.effect(
      "read the index that was made for them",
      () =>
        Effect.gen(function* () {
          const { unrecorded: sql } = yield* Recording.Recorder;
          yield* sql`ALTER TABLE orders SET (autovacuum_enabled = off)`;
          yield* sql`ANALYZE orders`;
          yield* filled;
          assert.deepStrictEqual(yield* faultsOfPlans, []);
        }),
      60_000,
    );
  },
);

layer(recordedLayer, { excludeTestServices: true })(
  "the statements of OrderRepositorySql on a table well known",
  (it) => {
    it.effect(
      "read the index that was made for them",
      () =>
        Effect.gen(function* () {
          const { unrecorded: sql } = yield* Recording.Recorder;
          yield* sql`ALTER TABLE orders SET (autovacuum_enabled = off)`;
          yield* filled;
          yield* sql`ANALYZE orders`;
          assert.deepStrictEqual(yield* faultsOfPlans, []);
        }),
      60_000,
    );
  },
);

layer(recordedLayer, { excludeTestServices: true })(
  "choosing many of a large table",
  (it) => {
    it.effect(
      "finds over many steps what one statement over all would",
      () =>
        Effect.gen(function* () {
          const { during, unrecorded: sql } = yield* Recording.Recorder;
          yield* filled;
          const repository = yield* OrderRepository;
          const user_id = UserId.make("V3");
          const [middle] = yield* sql<{ at: Date }>`
            SELECT max(created_at) - interval '3 hours' AS at FROM orders`;
          const created_before = DateTime.makeUnsafe(
            middle?.at.getTime() as number,
          );
          for (const status of ["PENDING", "FAILED"] as const) {
            for (const filter of [
              {},
              { user_id },
              { created_before },
              { created_before, user_id },
              { error: "nobody said so" },
            ]) {
              const [expected] = yield* sql<{ orders: number }>`
                SELECT count(*)::integer AS orders FROM orders
                WHERE ${sql.and([
                  sql`status = ${status}`,
                  ...(filter.user_id ? [sql`user_id = ${user_id}`] : []),
                  ...(filter.error ? [sql`last_error = ${filter.error}`] : []),
                  ...(filter.created_before
                    ? [sql`created_at < ${middle?.at}::timestamptz`]
                    : []),
                ])}`;
              assert.deepStrictEqual(
                yield* repository.countMatching({ status, ...filter }, 50_000),
                { matching: expected?.orders, isCapped: false },
                `${status} ${Object.keys(filter)}`,
              );
            }
          }
          const oldest = yield* sql<{ order_id: string }>`
            SELECT order_id FROM orders
            WHERE user_id = 'V3' AND status = 'PENDING'
            ORDER BY seq LIMIT 12`;
          const cancelled = yield* repository.cancelMany({
            limit: 12,
            user_id,
          });
          assert.deepStrictEqual(
            cancelled.orders.toSorted(),
            oldest.map(({ order_id }) => order_id).toSorted(),
          );
          assert.isTrue(cancelled.more);
          // The backlog is before what is done, and nothing behind it is read.
          const few = yield* during(repository.cancelMany({ limit: 1 }));
          assert.lengthOf(few, 2);
        }),
      60_000,
    );

    it.effect(
      "ends after a hundred thousand rows, and says so",
      () =>
        Effect.gen(function* () {
          const { during, unrecorded: sql } = yield* Recording.Recorder;
          const repository = yield* OrderRepository;
          yield* sql`INSERT INTO orders (order_id, user_id, item_ids,
              total_amount, partition, status, ended, last_error)
            SELECT 'D' || n, 'U', '[1]', 1, 7, 'FAILED', 'FAILED',
              CASE WHEN n > 110000 THEN 'late' ELSE 'early' END
            FROM generate_series(1, 110001) AS n`;
          yield* sql`DELETE FROM orders WHERE order_id NOT LIKE 'D%'`;
          const none = { status: "FAILED", error: "late" } as const;
          const statements = yield* during(
            Effect.map(repository.countMatching(none, 10), (counted) =>
              assert.deepStrictEqual(counted, { matching: 0, isCapped: true }),
            ),
          );
          assert.isAtMost(statements.length, 20);
          assert.deepStrictEqual(
            yield* repository.countMatching({ status: "FAILED" }, 10_000),
            { matching: 10_000, isCapped: true },
          );
          const changed = yield* repository.retryMany({
            limit: 10,
            error: "late",
          });
          assert.lengthOf(changed.orders, 0);
          assert.isTrue(changed.more);
          // It lies behind what one change reads, and is found by going on.
          const found = yield* repository.retryMany({
            limit: 10,
            error: "late",
            after: changed.end,
          });
          assert.deepStrictEqual(
            found.orders.map(({ order_id }) => order_id as string),
            ["D110001"],
          );
          assert.deepStrictEqual([found.more, found.end], [false, undefined]);
        }),
      60_000,
    );
  },
);

layer(repositoryLayer.pipe(Layer.provideMerge(TestDatabase.layerSql)), {
  excludeTestServices: true,
})("beginning an attempt", (it) => {
  it.effect("changes no index, also when many begin together", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient;
      const repository = yield* OrderRepository;
      yield* sql`ALTER TABLE orders SET (autovacuum_enabled = off)`;
      const ids = Array.from({ length: 500 }, (_, index) => id(`A${index}`));
      const each = <A, E>(
        call: (order_id: (typeof ids)[number]) => Effect.Effect<A, E>,
      ) => Effect.forEach(ids, call, { concurrency: "unbounded" });
      yield* each((order_id) =>
        repository.insert(newOrder(order_id), partition),
      );
      const begun = yield* each((order_id) =>
        beginOne(repository, order_id, 0),
      );
      assert.strictEqual(begun.filter(Option.isSome).length, ids.length);
      const updates = yield* updatesOf("orders");
      assert.strictEqual(updates.all, ids.length);
      assert.isAtLeast(updates.heapOnly, 0.9 * ids.length);
    }),
  );
});

/** The updates of a table that the server has counted, once it has them all. */
const updatesOf = Effect.fnUntraced(function* (table: string) {
  const { working: sql } = yield* Connections;
  // Each session hands in its own counts; as many as the pool has at most.
  yield* Effect.forEach(
    Array.from({ length: 5 }),
    () =>
      sql.withTransaction(
        Effect.andThen(
          sql`SELECT pg_stat_force_next_flush()`,
          sql`SELECT pg_sleep(0.1)`,
        ),
      ),
    { concurrency: "unbounded", discard: true },
  );
  const [row] = yield* sql<{ all: number; heap_only: number }>`
    SELECT n_tup_upd::float8 AS all, n_tup_hot_upd::float8 AS heap_only
    FROM pg_stat_user_tables WHERE relname = ${table}::text`;
  return { all: row?.all ?? 0, heapOnly: row?.heap_only ?? 0 };
});
