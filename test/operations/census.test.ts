import { assert, describe, it } from "@effect/vitest";
import { Clock, Context, Effect, Layer, Queue, Ref } from "effect";
import { SqlClient } from "effect/sql";
import { TestClock } from "effect/testing";
import { Partition } from "../../src/domain/Partition.ts";
import { Census } from "../../src/operations/Census.ts";
import { Database } from "../../src/persistence/Database.ts";
import {
  type Counted,
  type CountPlace,
  OrderRepository,
  RepositoryUnavailable,
} from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as Upkeep from "../../src/processor/Upkeep.ts";
import { newOrder } from "../persistence/orderRepositorySuite.ts";
import * as TestDatabase from "../support/testDatabase.ts";

const place: CountPlace = { seq: 7n };
const slice = (orders: number): Counted => ({ orders, next: place });
const rest = (orders: number, accepted: number): Counted => ({
  orders,
  next: undefined,
  accepted,
});
const away = new RepositoryUnavailable({ reason: "away" });

/** A census over a repository whose steps of counting are these, in turn. */
const counting = Effect.fnUntraced(function* (
  steps: ReadonlyArray<Counted | RepositoryUnavailable | "a defect">,
) {
  const asked = yield* Ref.make<ReadonlyArray<CountPlace | undefined>>([]);
  const count = Effect.fnUntraced(function* (after: CountPlace | undefined) {
    const { length } = yield* Ref.getAndUpdate(asked, (all) => [...all, after]);
    const step = steps[length];
    if (step === undefined) return yield* Effect.never;
    if (step === "a defect") return yield* Effect.die(step);
    return step instanceof RepositoryUnavailable ? yield* step : step;
  });
  const context = yield* Layer.build(
    Census.layer.pipe(
      Layer.provide(Layer.mock(OrderRepository, { count })),
      Layer.provide(Database.layerMemory),
      Layer.provideMerge(Upkeep.layer),
    ),
  );
  return {
    asked: Ref.get(asked),
    census: Context.get(context, Census),
    overdue: Effect.map(Context.get(context, Upkeep.Upkeep).overdue, (all) =>
      all.map(({ kind }) => kind),
    ),
  };
});

describe("the census", () => {
  it.effect("goes on from where the step before ended, after a pause", () =>
    Effect.gen(function* () {
      const { asked, census } = yield* counting([
        slice(10),
        slice(10),
        rest(3, 23),
      ]);
      yield* TestClock.adjust("499 millis");
      assert.deepStrictEqual(yield* asked, [undefined]);
      yield* TestClock.adjust("501 millis");
      assert.deepStrictEqual(yield* asked, [undefined, place, place]);
      assert.strictEqual(yield* census.missing, 0);
      // The next count begins at the oldest order again.
      yield* TestClock.adjust("9 seconds");
      assert.lengthOf(yield* asked, 3);
      yield* TestClock.adjust("1 second");
      assert.deepStrictEqual((yield* asked).slice(3), [undefined]);
    }),
  );

  it.effect("pauses longer after a step that took long", () =>
    Effect.gen(function* () {
      const slow = Effect.delay(Effect.succeed(slice(1)), "100 millis");
      const asked = yield* Ref.make(0);
      yield* Layer.build(
        Census.layer.pipe(
          Layer.provide(
            Layer.mock(OrderRepository, {
              count: () =>
                Effect.andThen(
                  Ref.update(asked, (n) => n + 1),
                  slow,
                ),
            }),
          ),
          Layer.provide(Database.layerMemory),
        ),
      );
      yield* TestClock.adjust("5 seconds");
      assert.strictEqual(yield* Ref.get(asked), 1);
      yield* TestClock.adjust("100 millis");
      assert.strictEqual(yield* Ref.get(asked), 2);
    }),
  );

  it.effect("believes what it finds once it finds it again", () =>
    Effect.gen(function* () {
      const { census } = yield* counting([
        rest(10, 10),
        rest(10, 11),
        slice(5),
        rest(5, 12),
        rest(12, 12),
      ]);
      yield* TestClock.adjust("10 seconds");
      assert.strictEqual(yield* census.missing, 0);
      yield* TestClock.adjust("1 second");
      assert.strictEqual(yield* census.missing, 2);
      // Whatever it was has been put right.
      yield* TestClock.adjust("10 seconds");
      assert.strictEqual(yield* census.missing, 0);
    }),
  );

  it.effect("raises no alarm over a count that was wrong only once", () =>
    Effect.gen(function* () {
      const { asked, census } = yield* counting([rest(10, 11), rest(11, 11)]);
      yield* TestClock.adjust("9 seconds");
      assert.lengthOf(yield* asked, 2);
      assert.strictEqual(yield* census.missing, 0);
    }),
  );

  it.effect("begins anew when the database was away", () =>
    Effect.gen(function* () {
      const { asked, census } = yield* counting([
        slice(10),
        away,
        slice(5),
        rest(6, 11),
      ]);
      yield* TestClock.adjust("20 seconds");
      assert.deepStrictEqual((yield* asked).slice(0, 4), [
        undefined,
        place,
        undefined,
        place,
      ]);
      assert.strictEqual(yield* census.missing, 0);
    }),
  );

  it.effect("is overdue after an hour of failures, until one is done", () =>
    Effect.gen(function* () {
      const { overdue } = yield* counting([
        rest(1, 1),
        ...Array.from({ length: 362 }, () => away),
        rest(1, 1),
      ]);
      yield* TestClock.adjust("1 hour");
      assert.deepStrictEqual(yield* overdue, []);
      yield* TestClock.adjust("10 seconds");
      assert.deepStrictEqual(yield* overdue, ["row_count"]);
      yield* TestClock.adjust("30 seconds");
      assert.deepStrictEqual(yield* overdue, []);
    }),
  );

  it.effect("goes on after a defect", () =>
    Effect.gen(function* () {
      const { asked } = yield* counting(["a defect", rest(1, 1)]);
      yield* TestClock.adjust("19 seconds");
      assert.lengthOf(yield* asked, 2);
    }),
  );

  it.live("notices on PostgreSQL that an order was deleted", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient;
      const repository = yield* OrderRepository;
      const live = yield* Clock.Clock;
      const steps = yield* Queue.unbounded<Counted>();
      const noticed = OrderRepository.of({
        ...repository,
        count: (after, limit) =>
          repository.count(after, limit).pipe(
            Effect.provideService(Clock.Clock, live),
            Effect.tap((step) => Queue.offer(steps, step)),
          ),
      });
      yield* (yield* Database).migrated;
      // More than a step of orders of long ago, and some that are new.
      yield* sql`
        WITH made AS (
          INSERT INTO orders
            (order_id, user_id, item_ids, total_amount, partition, created_at)
          SELECT 'OLD' || n, 'U', '[]', 1, 0, now() - n * interval '1 minute'
          FROM generate_series(1, 10005) AS n RETURNING 1
        )
        UPDATE order_statistics SET accepted = 10005, pending = 10005
        WHERE slot = 0`;
      for (const order_id of ["NEW1", "NEW2"]) {
        yield* repository.insert(newOrder(order_id), Partition.make(0));
      }
      // For the census alone time flies: the database answers when it does.
      const clock = yield* TestClock.make();
      yield* clock
        .adjust("1 second")
        .pipe(
          Effect.andThen(Effect.yieldNow),
          Effect.forever,
          Effect.forkScoped,
        );
      const context = yield* Layer.build(
        Layer.provide(Census.layer, Layer.succeed(OrderRepository, noticed)),
      ).pipe(Effect.provideService(Clock.Clock, clock));
      const { missing } = Context.get(context, Census);
      /** One count, all its steps. */
      const aCount = Effect.gen(function* () {
        let orders = 0;
        while (true) {
          const step = yield* Queue.take(steps);
          orders += step.orders;
          if (step.next === undefined) return orders;
        }
      });
      assert.strictEqual(yield* aCount, 10_007);
      assert.strictEqual(yield* missing, 0);
      yield* sql`DELETE FROM orders WHERE order_id IN ('OLD77', 'NEW1')`;
      while ((yield* missing) === 0) yield* aCount;
      assert.strictEqual(yield* missing, 2);
    }).pipe(
      Effect.provide(
        OrderRepositorySql.layer.pipe(
          Layer.provideMerge(Database.layer),
          Layer.provideMerge(TestDatabase.layerSql),
        ),
      ),
    ),
  );
});
