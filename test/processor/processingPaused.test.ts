/** Pausing and resuming, where nothing but the database and the HTTP is left out. */
import { assert, describe, it } from "@effect/vitest";
import { Deferred, Duration, Effect, Exit, Layer, Option, Scope } from "effect";
import { TestClock } from "effect/testing";
import {
  type NewOrder,
  OrderId,
  TotalAmount,
  UserId,
} from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { Orders } from "../../src/orders/Orders.ts";
import { Processing } from "../../src/orders/Processing.ts";
import { Readiness } from "../../src/orders/Readiness.ts";
import { Database } from "../../src/persistence/Database.ts";
import { Actor } from "../../src/persistence/EventLog.ts";
import { InstanceName } from "../../src/persistence/InstanceName.ts";
import {
  OrderRepository,
  RepositoryUnavailable,
} from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import { ProcessingStore } from "../../src/persistence/ProcessingStore.ts";
import * as ProcessingStoreMemory from "../../src/persistence/ProcessingStoreMemory.ts";
import { Fulfilment } from "../../src/processor/Fulfilment.ts";
import * as InstanceReports from "../../src/processor/InstanceReports.ts";
import { mailboxCapacity } from "../../src/processor/Intake.ts";
import { OrderProcessor } from "../../src/processor/OrderProcessor.ts";
import * as PartitionsLocal from "../../src/processor/PartitionsLocal.ts";
import * as Pause from "../../src/processor/Pause.ts";
import { UnreadOrders } from "../../src/processor/UnreadOrders.ts";

const newOrder = (name: string): NewOrder => ({
  order_id: OrderId.make(name),
  user_id: UserId.make("USER001"),
  item_ids: ["ITEM001"],
  total_amount: TotalAmount.make(19.9),
});

/** What the instances share, and whether it answers. */
const shared = Effect.gen(function* () {
  const scope = yield* Effect.scope;
  const context = yield* Layer.buildWithScope(
    Layer.mergeAll(OrderRepositoryMemory.layer, ProcessingStoreMemory.layer),
    scope,
  );
  return { context, database: { isAway: false } };
});

type Shared = Effect.Success<typeof shared>;

/** An instance, without its partitions. */
const instance = (
  { context, database }: Shared,
  work: Fulfilment["Service"]["fulfil"] = () => Effect.sleep("1 second"),
) => {
  const whereThere = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(
      (): Effect.Effect<A, E | RepositoryUnavailable, R> =>
        database.isAway
          ? Effect.fail(new RepositoryUnavailable({ reason: "away" }))
          : effect,
    );
  const stores = Layer.effect(
    ProcessingStore,
    Effect.map(ProcessingStore, (store) =>
      ProcessingStore.of({
        ...store,
        control: whereThere(store.control),
        report: (report, grown) => whereThere(store.report(report, grown)),
      }),
    ),
  );
  return Layer.mergeAll(
    Orders.layer,
    Processing.layer,
    Readiness.layer,
    InstanceReports.layer,
  ).pipe(
    Layer.provide(UnreadOrders.layer),
    Layer.provideMerge(
      OrderProcessor.layer({
        concurrency: 256,
        attemptTimeout: Duration.seconds(60),
        drainTimeout: Duration.seconds(20),
        retryPolicy: {
          maxAttempts: 3,
          base: Duration.seconds(1),
          cap: Duration.minutes(5),
        },
      }),
    ),
    Layer.provideMerge(Layer.fresh(Pause.layer)),
    Layer.provide(Layer.succeed(Fulfilment, { fulfil: work })),
    Layer.provide(InstanceName.layerAlone),
    Layer.provideMerge(Database.layerMemory),
    Layer.provideMerge(stores),
    Layer.provideMerge(Layer.succeedContext(context)),
    Layer.fresh,
  );
};

const start = Effect.gen(function* () {
  const scope = yield* Scope.make();
  yield* Layer.buildWithScope(PartitionsLocal.layer, scope);
  yield* TestClock.adjust(0);
  return scope;
});

const statusOf = Effect.fnUntraced(function* (order_id: string) {
  const repository = yield* OrderRepository;
  return Option.getOrThrow(yield* repository.find(order_id)).status;
});

describe("processing that is paused", () => {
  it.effect(
    "finishes what is in work, begins nothing, and is ready; resumed, it does all",
    () =>
      Effect.gen(function* () {
        const world = yield* shared;
        yield* Effect.gen(function* () {
          const orders = yield* Orders;
          const processing = yield* Processing;
          const readiness = yield* Readiness;
          yield* start;
          yield* orders.place(newOrder("in work"));
          yield* TestClock.adjust("500 millis");
          assert.strictEqual(yield* statusOf("in work"), "PROCESSING");
          const paused = yield* Effect.provideService(
            processing.pause,
            Actor,
            "ops",
          );
          assert.strictEqual(paused.paused_by, "ops");
          // More than the mailbox holds: the rest is in the table.
          const repository = yield* OrderRepository;
          const processor = yield* OrderProcessor;
          const backlog = 2 * mailboxCapacity;
          const partition = Partition.make(5);
          for (let n = 0; n < backlog; n++) {
            const order = newOrder(`order ${n}`);
            yield* repository.insert(order, partition);
            processor.handOver(partition, order.order_id, 10);
          }
          yield* TestClock.adjust("2 minutes");
          const during = yield* orders.metrics;
          assert.strictEqual(during.status_counts.COMPLETED, 1);
          assert.strictEqual(during.status_counts.PENDING, backlog);
          assert.strictEqual(during.status_counts.PROCESSING, 0);
          assert.strictEqual(yield* statusOf("in work"), "COMPLETED");
          yield* readiness.check;
          assert.strictEqual(processor.status().mailboxDepth, mailboxCapacity);
          yield* processing.resume;
          yield* TestClock.adjust("10 seconds");
          const after = yield* orders.metrics;
          assert.strictEqual(after.status_counts.COMPLETED, backlog + 1);
        }).pipe(Effect.provide(instance(world)));
      }),
    60_000,
  );

  it.effect("begins nothing on another instance within two seconds", () =>
    Effect.gen(function* () {
      const world = yield* shared;
      const here = yield* Layer.build(instance(world));
      const there = yield* Layer.build(instance(world));
      yield* Effect.provide(start, there);
      yield* Effect.gen(function* () {
        const processing = yield* Processing;
        const pauseThere = yield* Effect.provide(Pause.Pause, there);
        yield* processing.pause;
        yield* TestClock.adjust("2 seconds");
        assert.isTrue(pauseThere.isPaused());
        const orders = yield* Effect.provide(Orders, there);
        yield* orders.place(newOrder("A"));
        yield* TestClock.adjust("1 minute");
        assert.strictEqual(yield* statusOf("A"), "PENDING");
        yield* processing.resume;
        yield* TestClock.adjust("2 seconds");
        assert.notStrictEqual(yield* statusOf("A"), "PENDING");
      }).pipe(Effect.provide(here));
    }),
  );

  it.effect(
    "stays so over a restart, and until the database has said otherwise",
    () =>
      Effect.gen(function* () {
        const world = yield* shared;
        yield* Effect.flatMap(Processing, ({ pause }) => pause).pipe(
          Effect.provide(instance(world)),
        );
        world.database.isAway = true;
        yield* Effect.gen(function* () {
          const orders = yield* Orders;
          const running = yield* start;
          yield* orders.place(newOrder("A"));
          yield* TestClock.adjust("1 minute");
          assert.strictEqual(yield* statusOf("A"), "PENDING");
          world.database.isAway = false;
          yield* TestClock.adjust("1 minute");
          assert.strictEqual(yield* statusOf("A"), "PENDING");
          yield* (yield* Processing).resume;
          yield* TestClock.adjust("2 seconds");
          assert.strictEqual(yield* statusOf("A"), "COMPLETED");
          // What it said last is in force while it is away.
          world.database.isAway = true;
          yield* TestClock.adjust("1 minute");
          yield* orders.place(newOrder("B"));
          yield* TestClock.adjust("2 seconds");
          assert.strictEqual(yield* statusOf("B"), "COMPLETED");
          yield* Scope.close(running, Exit.void);
        }).pipe(Effect.provide(instance(world)));
      }),
  );

  it.effect("is not resumed by an answer that is older than the pause", () =>
    Effect.gen(function* () {
      const world = yield* shared;
      const asked = yield* Deferred.make<void>();
      const answer = yield* Deferred.make<void>();
      let isSlow = false;
      const store = yield* Effect.provide(ProcessingStore, world.context);
      const slow = {
        ...world,
        context: yield* Layer.build(
          Layer.merge(
            Layer.succeedContext(world.context),
            Layer.succeed(ProcessingStore, {
              ...store,
              report: (report, grown) =>
                Effect.tap(store.report(report, grown), () =>
                  isSlow
                    ? Effect.andThen(
                        Deferred.succeed(asked, undefined),
                        Deferred.await(answer),
                      )
                    : Effect.void,
                ),
            }),
          ),
        ),
      };
      yield* Effect.gen(function* () {
        const pause = yield* Pause.Pause;
        yield* TestClock.adjust(0);
        assert.isFalse(pause.isPaused());
        isSlow = true;
        yield* TestClock.adjust("1 second");
        yield* Deferred.await(asked);
        yield* (yield* Processing).pause;
        isSlow = false;
        yield* Deferred.succeed(answer, undefined);
        yield* TestClock.adjust(0);
        assert.isTrue(pause.isPaused());
        yield* TestClock.adjust("1 minute");
        assert.isTrue(pause.isPaused());
      }).pipe(Effect.provide(instance(slow)));
    }),
  );

  it.effect(
    "drains at once: a stop waits for no order that has not begun",
    () =>
      Effect.gen(function* () {
        const world = yield* shared;
        yield* Effect.gen(function* () {
          const orders = yield* Orders;
          const running = yield* start;
          yield* (yield* Processing).pause;
          yield* orders.place(newOrder("A"));
          yield* TestClock.adjust("1 second");
          yield* Scope.close(running, Exit.void);
          assert.strictEqual(yield* statusOf("A"), "PENDING");
        }).pipe(Effect.provide(instance(world)));
      }),
  );
});
