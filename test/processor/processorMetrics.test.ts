/** What the processor measures, as Prometheus is told it. */
import { assert, describe, it } from "@effect/vitest";
import { Duration, Effect, Exit, Layer, Metric, Scope } from "effect";
import { PrometheusMetrics } from "effect/observability";
import { TestClock } from "effect/testing";
import {
  type NewOrder,
  OrderId,
  TotalAmount,
  UserId,
} from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { Database } from "../../src/persistence/Database.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import {
  Fulfilment,
  FulfilmentFailed,
} from "../../src/processor/Fulfilment.ts";
import { OrderProcessor } from "../../src/processor/OrderProcessor.ts";
import * as PartitionsLocal from "../../src/processor/PartitionsLocal.ts";

type Repository = OrderRepository["Service"];

const partition = Partition.make(5);

/** One order is worked on at a time, for two seconds. */
const processor = (
  fulfil: Fulfilment["Service"]["fulfil"] = () => Effect.sleep("2 seconds"),
  wrap: (repository: Repository) => Repository = (repository) => repository,
) =>
  OrderProcessor.layer({
    concurrency: 1,
    attemptTimeout: Duration.seconds(60),
    drainTimeout: Duration.seconds(20),
    retryPolicy: {
      maxAttempts: 2,
      base: Duration.seconds(10),
      cap: Duration.seconds(10),
    },
  }).pipe(
    Layer.provide(Layer.succeed(Fulfilment, { fulfil })),
    Layer.provideMerge(
      Layer.effect(OrderRepository, Effect.map(OrderRepository, wrap)).pipe(
        Layer.provide(OrderRepositoryMemory.layer),
      ),
    ),
    Layer.provideMerge(Database.layerMemory),
  );

/** Places an order, three seconds before anybody works on it. */
const place = Effect.fnUntraced(function* (name: string) {
  const repository = yield* OrderRepository;
  const order: NewOrder = {
    order_id: OrderId.make(name),
    user_id: UserId.make("USER001"),
    item_ids: ["ITEM001"],
    total_amount: TotalAmount.make(19.9),
  };
  yield* repository.insert(order, partition);
});

const start = Effect.gen(function* () {
  yield* TestClock.adjust("3 seconds");
  const scope = yield* Scope.make();
  yield* Layer.buildWithScope(PartitionsLocal.layer, scope);
  yield* TestClock.adjust(0);
  return scope;
});

/** A value of `/metrics`, by what its line begins with; undefined if none is. */
const value = (name: string) =>
  Effect.map(PrometheusMetrics.format(), (text) => {
    const line = text.split("\n").find((_) => _.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.split(" ")[1]);
  });

/** How often something was measured, and the sum of it. */
const histogram = Effect.fnUntraced(function* (name: string) {
  return [yield* value(`${name}_count`), yield* value(`${name}_sum`)];
});

const attempts = (status: string) =>
  value(`order_attempts_total{status="${status}"}`);

/** Metrics of its own for each test: what others measured is not in them. */
const measured = <A, E, R, E2>(
  test: Effect.Effect<A, E, R>,
  layer: Layer.Layer<R, E2>,
) =>
  test.pipe(
    Effect.provide(layer),
    Effect.provideService(Metric.MetricRegistry, new Map()),
  );

describe("the processor measures", () => {
  it.effect("how long an order waits, is worked on, and takes in all", () =>
    measured(
      Effect.gen(function* () {
        yield* place("A");
        yield* start;
        assert.deepStrictEqual(yield* histogram("order_wait_seconds"), [1, 3]);
        yield* TestClock.adjust("2 seconds");
        assert.deepStrictEqual(yield* histogram("order_work_seconds"), [1, 2]);
        assert.deepStrictEqual(yield* histogram("order_whole_seconds"), [1, 5]);
        assert.strictEqual(yield* attempts("COMPLETED"), 1);
      }),
      processor(),
    ),
  );

  it.effect("every attempt, but the wait before the first alone", () =>
    measured(
      Effect.gen(function* () {
        yield* place("A");
        yield* start;
        yield* TestClock.adjust("2 seconds");
        assert.strictEqual(yield* attempts("PENDING"), 1);
        assert.isUndefined(yield* attempts("FAILED"));
        yield* TestClock.adjust("20 seconds");
        assert.strictEqual(yield* attempts("PENDING"), 1);
        assert.strictEqual(yield* attempts("FAILED"), 1);
        assert.isUndefined(yield* attempts("COMPLETED"));
        assert.deepStrictEqual(yield* histogram("order_wait_seconds"), [1, 3]);
        assert.deepStrictEqual(yield* histogram("order_work_seconds"), [2, 4]);
        assert.isUndefined(yield* value("order_whole_seconds_count"));
      }),
      processor(() =>
        Effect.andThen(
          Effect.sleep("2 seconds"),
          new FulfilmentFailed({ message: "no" }),
        ),
      ),
    ),
  );

  it.effect("attempts that were taken from it before they ended", () =>
    measured(
      Effect.gen(function* () {
        const repository = yield* OrderRepository;
        yield* place("A");
        yield* start;
        yield* repository.fail({
          order_id: OrderId.make("A"),
          attempt: 1,
          error: "",
          wait: Duration.hours(1),
        });
        yield* TestClock.adjust("2 seconds");
        assert.strictEqual(yield* attempts("STALE"), 1);
        assert.isUndefined(yield* attempts("COMPLETED"));
      }),
      processor(),
    ),
  );

  it.effect("how many orders are in work, and how many wait for it", () =>
    measured(
      Effect.gen(function* () {
        const now = Effect.fnUntraced(function* () {
          return {
            mailbox: yield* value("order_mailbox_depth"),
            inWork: yield* value("orders_in_work"),
          };
        });
        for (const name of ["A", "B", "C"]) yield* place(name);
        const scope = yield* start;
        yield* TestClock.adjust("1 second");
        assert.deepStrictEqual(yield* now(), { mailbox: 2, inWork: 1 });
        yield* TestClock.adjust("2 seconds");
        assert.deepStrictEqual(yield* now(), { mailbox: 1, inWork: 1 });
        yield* TestClock.adjust("10 seconds");
        assert.deepStrictEqual(yield* now(), { mailbox: 0, inWork: 0 });
        yield* Scope.close(scope, Exit.void);
      }),
      processor(),
    ),
  );

  it.effect("crashes of its actors", () => {
    let crashes = 2;
    return measured(
      Effect.gen(function* () {
        yield* start;
        yield* TestClock.adjust("5 seconds");
        assert.strictEqual(yield* value("order_actor_restarts_total"), 2);
      }),
      processor(undefined, (repository) => ({
        ...repository,
        readAside: (asked, limit) =>
          Effect.suspend(() => {
            if (asked !== partition || crashes === 0) {
              return repository.readAside(asked, limit);
            }
            crashes -= 1;
            return Effect.die("broken");
          }),
      })),
    );
  });
});
