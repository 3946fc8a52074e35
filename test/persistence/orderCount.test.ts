/** Counting the orders themselves while more of them come in. */
import { assert, layer } from "@effect/vitest";
import { Deferred, Effect, Fiber, Layer, Schedule } from "effect";
import { SqlClient } from "effect/sql";
import { Partition } from "../../src/domain/Partition.ts";
import { Connections } from "../../src/persistence/Connections.ts";
import { Database } from "../../src/persistence/Database.ts";
import {
  type CountPlace,
  OrderRepository,
} from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as TestDatabase from "../support/testDatabase.ts";
import { counted, newOrder } from "./orderRepositorySuite.ts";

const partition = Partition.make(7);

const repositoryLayer = OrderRepositorySql.layer.pipe(
  Layer.provideMerge(Database.layer),
  Layer.provideMerge(TestDatabase.layerSql),
);

/** Orders placed so long ago that none can appear among them. */
const settled = 40;
const stepSize = 10;

/** An empty table, and then `settled` orders of long ago. */
const filled = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  yield* sql`TRUNCATE orders`;
  yield* sql`UPDATE order_statistics SET accepted = 0, pending = 0`;
  yield* sql`
    INSERT INTO orders
      (order_id, user_id, item_ids, total_amount, partition, created_at)
    SELECT 'OLD' || n, 'U', '[]', 1, 0, now() - interval '1 hour'
    FROM generate_series(1, ${settled}::integer) AS n`;
  yield* sql`UPDATE order_statistics
    SET accepted = ${settled}::integer, pending = ${settled}::integer
    WHERE slot = 0`;
});

/** An order inserted at once, which nobody sees until it is let go. */
const heldBack = Effect.fnUntraced(function* (order_id: string) {
  const { apart: sql } = yield* Connections;
  const inserted = yield* Deferred.make<void>();
  const letGo = yield* Deferred.make<void>();
  const transaction = yield* sql
    .withTransaction(
      Effect.gen(function* () {
        yield* sql`
          INSERT INTO orders
            (order_id, user_id, item_ids, total_amount, partition)
          VALUES (${order_id}::text, 'U', '[]', 1, 0)`;
        yield* Deferred.succeed(inserted, undefined);
        yield* Deferred.await(letGo);
        yield* sql`UPDATE order_statistics
          SET accepted = accepted + 1, pending = pending + 1 WHERE slot = 0`;
      }),
    )
    .pipe(Effect.forkChild);
  yield* Deferred.await(inserted);
  return Effect.andThen(
    Deferred.succeed(letGo, undefined),
    Fiber.join(transaction),
  );
});

layer(repositoryLayer, { excludeTestServices: true })(
  "counting orders on PostgreSQL",
  (it) => {
    it.effect("goes through those of long ago in steps", () =>
      Effect.gen(function* () {
        const repository = yield* OrderRepository;
        yield* filled;
        // As soon as what was open before on this server has ended.
        const first = yield* repository.count(undefined, stepSize).pipe(
          Effect.repeat({
            until: ({ next }) => next !== undefined,
            schedule: Schedule.spaced("20 millis"),
          }),
          Effect.timeout("30 seconds"),
        );
        assert.strictEqual(first.orders, stepSize);
        for (const limit of [1, 7, settled, settled + 1]) {
          assert.deepStrictEqual(yield* counted(repository, limit), [
            settled,
            settled,
          ]);
        }
      }),
    );

    it.effect("waits where too much is not settled, and then goes on", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient;
        const repository = yield* OrderRepository;
        yield* filled;
        const letGo = yield* heldBack("OPEN");
        const many = 20_001;
        yield* sql`
          INSERT INTO orders (order_id, user_id, item_ids, total_amount, partition)
          SELECT 'NEW' || n, 'U', '[]', 1, 0
          FROM generate_series(1, ${many}::integer) AS n`;
        yield* sql`UPDATE order_statistics SET accepted = accepted
          + ${many}::integer WHERE slot = 1`;
        let after: CountPlace | undefined;
        let orders = 0;
        // What was there before may be settled; what came since is not.
        for (let steps = 0; steps < 20; steps += 1) {
          const step = yield* repository.count(after, stepSize);
          assert.isDefined(step.next);
          orders += step.orders;
          after = step.next;
        }
        assert.isAtMost(orders, settled);
        yield* letGo;
        assert.deepStrictEqual(yield* counted(repository, many), [
          settled + many + 1,
          settled + many + 1,
        ]);
      }),
    );

    it.effect("misses the row that somebody deleted", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient;
        const repository = yield* OrderRepository;
        yield* filled;
        yield* sql`DELETE FROM orders WHERE order_id = 'OLD17'`;
        assert.deepStrictEqual(yield* counted(repository, stepSize), [
          settled - 1,
          settled,
        ]);
      }),
    );

    // Committed after each of the steps in turn, before all that came later.
    it.effect.each(Array.from({ length: 9 }, (_, index) => index))(
      "misses none that is committed late, %i steps on, in a storm of others",
      (steps) =>
        Effect.gen(function* () {
          const repository = yield* OrderRepository;
          yield* filled;
          const letGo = yield* heldBack("LATE");
          const place = (order_id: string) =>
            repository.insert(newOrder(order_id), partition);
          yield* Effect.forEach(
            Array.from({ length: 3 * stepSize }, (_, n) => `BEFORE${n}`),
            place,
            { concurrency: "unbounded" },
          );
          const storm = yield* Effect.forEach(
            Array.from({ length: 100 }, (_, n) => n),
            (n) => place(`STORM${n}`),
            { concurrency: 4 },
          ).pipe(Effect.forkChild);
          let orders = 0;
          let after: CountPlace | undefined;
          for (let taken = 0; ; taken += 1) {
            if (taken === steps) yield* letGo;
            const step = yield* repository.count(after, stepSize);
            orders += step.orders;
            after = step.next;
            if (step.next === undefined) {
              assert.strictEqual(orders, step.accepted);
              break;
            }
          }
          yield* letGo;
          yield* Fiber.join(storm);
        }),
    );
  },
);
