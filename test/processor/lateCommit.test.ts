/**
 * On PostgreSQL an order gets its number before it is committed. Whatever the
 * order of the commits, none is passed over.
 */
import { assert, layer } from "@effect/vitest";
import { Deferred, Duration, Effect, Fiber, Layer, Schedule } from "effect";
import { SqlClient } from "effect/sql";
import { Partition } from "../../src/domain/Partition.ts";
import { Database } from "../../src/persistence/Database.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as FulfilmentSimulated from "../../src/processor/FulfilmentSimulated.ts";
import { OrderProcessor } from "../../src/processor/OrderProcessor.ts";
import * as PartitionsLocal from "../../src/processor/PartitionsLocal.ts";
import { newOrder } from "../persistence/orderRepositorySuite.ts";
import * as TestDatabase from "../support/testDatabase.ts";

const partition = Partition.make(7);

/** Many more than a mailbox holds. */
const earlyOrders = 1500;

const service = PartitionsLocal.layer.pipe(
  Layer.provideMerge(
    OrderProcessor.layer({
      concurrency: 8,
      attemptTimeout: Duration.seconds(10),
      retryPolicy: {
        maxAttempts: 3,
        base: Duration.seconds(1),
        cap: Duration.seconds(1),
      },
      drainTimeout: Duration.seconds(1),
    }),
  ),
  Layer.provide(FulfilmentSimulated.layer(Duration.zero)),
  Layer.provideMerge(OrderRepositorySql.layer),
  Layer.provideMerge(Database.layer),
  Layer.provideMerge(TestDatabase.layerSql),
);

layer(service, { excludeTestServices: true })("late commits", (it) => {
  it.effect(
    "are worked on, though later numbers were read and done before",
    () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient;
        const repository = yield* OrderRepository;
        yield* (yield* Database).migrated;
        const isCompleted = (order_id: string) =>
          repository.find(order_id).pipe(
            Effect.map((found) =>
              found._tag === "Some" ? found.value.status : "missing",
            ),
            Effect.repeat({
              until: (status) => status === "COMPLETED",
              schedule: Schedule.spaced("50 millis"),
            }),
            Effect.timeout("20 seconds"),
          );
        const placed = yield* Deferred.make<bigint>();
        const mayCommit = yield* Deferred.make<void>();
        // As somebody would place it who does not hand it over to an actor.
        const early = yield* Effect.forkChild(
          sql.withTransaction(
            Effect.gen(function* () {
              const rows = yield* sql<{ seq: bigint }>`
                INSERT INTO orders
                  (order_id, user_id, item_ids, total_amount, partition, seq)
                SELECT 'EARLY' || n, 'U', '[1]', 1, ${partition}::smallint,
                  nextval('orders_seq')
                FROM generate_series(1, ${earlyOrders}::integer) AS n
                WHERE pg_current_xact_id() IS NOT NULL
                RETURNING seq`;
              yield* Deferred.succeed(placed, rows[0]?.seq ?? 0n);
              yield* Deferred.await(mayCommit);
              // Not before: one in 64 of the service's statements waits for it.
              yield* sql`UPDATE order_statistics SET
                accepted = accepted + ${earlyOrders}::integer,
                pending = pending + ${earlyOrders}::integer
                WHERE slot = 63`;
            }),
          ),
        );
        const seq = yield* Deferred.await(placed);
        for (const order_id of ["LATE1", "LATE2"]) {
          yield* repository.insert(newOrder(order_id), partition);
          yield* isCompleted(order_id);
        }
        // Nothing is settled from there on, whoever asks and however often.
        const read = yield* repository.readLog(partition, 0n, 10);
        assert.isTrue(read.readTo > seq);
        assert.isTrue(read.settledTo < seq);
        yield* Deferred.succeed(mayCommit, undefined);
        yield* Fiber.join(early);
        yield* repository.tally.pipe(
          Effect.repeat({
            until: ({ counts }) => counts.COMPLETED === earlyOrders + 2,
            schedule: Schedule.spaced("50 millis"),
          }),
          Effect.timeout("20 seconds"),
        );
      }),
    60_000,
  );
});
