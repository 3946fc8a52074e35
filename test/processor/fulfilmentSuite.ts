/**
 * What every Fulfilment promises to the actors, whatever its work is. Run it
 * over your own work, too.
 */
import { setImmediate } from "node:timers/promises";
import { assert, describe, it } from "@effect/vitest";
import { Context, Duration, Effect, Exit, Fiber, Layer, Scope } from "effect";
import { TestClock } from "effect/testing";
import {
  type NewOrder,
  OrderId,
  TotalAmount,
  UserId,
} from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { Orders } from "../../src/orders/Orders.ts";
import { Database } from "../../src/persistence/Database.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import {
  Fulfilment,
  FulfilmentFailed,
} from "../../src/processor/Fulfilment.ts";
import { OrderProcessor } from "../../src/processor/OrderProcessor.ts";
import { orderInWork } from "./orderInWork.ts";

/** One way to do the work, at its best and at its worst. */
export interface Subject {
  /** Every order's work is done at once. */
  readonly quick: Layer.Layer<Fulfilment, unknown>;
  /** No order's work ends by itself. */
  readonly endless: Layer.Layer<Fulfilment, unknown>;
  /** Every order is refused for good; left out if there is no such thing. */
  readonly refusing?: Layer.Layer<Fulfilment, unknown>;
}

type Work = Layer.Layer<Fulfilment, unknown>;

const fulfilmentOf = (work: Work) =>
  Effect.map(Layer.build(work), Context.get(Fulfilment));

const attemptTimeout = Duration.seconds(10);
const drainTimeout = Duration.seconds(2);

/** The service without HTTP. */
const service = (work: Work) =>
  Orders.layer.pipe(
    Layer.provideMerge(
      OrderProcessor.layer({
        concurrency: 8,
        attemptTimeout,
        drainTimeout,
        retryPolicy: {
          maxAttempts: 3,
          base: Duration.seconds(1),
          cap: Duration.seconds(4),
        },
      }),
    ),
    Layer.provide(work),
    Layer.provideMerge(OrderRepositoryMemory.layer),
    Layer.provideMerge(Database.layerMemory),
  );

const newOrder: NewOrder = {
  order_id: OrderId.make("A"),
  user_id: UserId.make("USER001"),
  item_ids: ["ITEM001"],
  total_amount: TotalAmount.make(19.9),
};

/** Places the order where it is worked on; closing the scope drains. */
const placed = Effect.gen(function* () {
  const processor = yield* OrderProcessor;
  const scope = yield* Scope.make();
  yield* processor
    .run(Partition.make(5))
    .pipe(
      Effect.forkIn(scope, { startImmediately: true }),
      Effect.provideService(Scope.Scope, scope),
    );
  const orders = yield* Orders;
  yield* orders.place(newOrder);
  yield* TestClock.adjust(0);
  return { find: orders.find("A"), scope };
});

export const fulfilmentSuite = (name: string, subject: Subject) =>
  describe(`the work, ${name}`, () => {
    it.effect("is done, and done again for who asks again", () =>
      Effect.gen(function* () {
        const { fulfil } = yield* fulfilmentOf(subject.quick);
        yield* fulfil(orderInWork("A"));
        yield* fulfil(orderInWork("A"));
      }).pipe(Effect.scoped),
    );

    it.effect("is done for many orders at once", () =>
      Effect.gen(function* () {
        const { fulfil } = yield* fulfilmentOf(subject.quick);
        const orders = Array.from({ length: 300 }, (_, index) =>
          orderInWork(`A${index}`),
        );
        yield* Effect.forEach(orders, fulfil, {
          concurrency: "unbounded",
          discard: true,
        });
      }).pipe(Effect.scoped),
    );

    it.effect("of one order does not wait for another's", () =>
      Effect.gen(function* () {
        const { fulfil } = yield* fulfilmentOf(subject.endless);
        const fibers = yield* Effect.forEach(["A", "B", "C"], (order_id) =>
          Effect.forkChild(fulfil(orderInWork(order_id)), {
            startImmediately: true,
          }),
        );
        yield* TestClock.adjust(0);
        const [first, ...others] = fibers;
        if (first !== undefined) yield* Fiber.interrupt(first);
        for (const fiber of others) assert.isUndefined(fiber.pollUnsafe());
        yield* Fiber.interruptAll(others);
      }).pipe(Effect.scoped),
    );

    it.effect("ends at once when it is interrupted", () =>
      Effect.gen(function* () {
        const { fulfil } = yield* fulfilmentOf(subject.endless);
        const working = yield* Effect.forkChild(fulfil(orderInWork("A")), {
          startImmediately: true,
        });
        yield* TestClock.adjust(0);
        assert.isUndefined(working.pollUnsafe());
        // Not waited for: work that cannot be interrupted never ends here.
        yield* Effect.forkChild(Fiber.interrupt(working));
        yield* TestClock.adjust(0);
        const exit = working.pollUnsafe();
        assert.isTrue(exit !== undefined && Exit.hasInterrupts(exit));
      }).pipe(Effect.scoped),
    );

    it.effect("completes an order", () =>
      Effect.gen(function* () {
        const { find } = yield* placed;
        // Signing is the platform's, and takes turns of the event loop.
        const order = yield* find.pipe(
          Effect.tap(Effect.promise(() => setImmediate())),
          Effect.repeat({ until: ({ status }) => status !== "PROCESSING" }),
        );
        assert.strictEqual(order.status, "COMPLETED");
        assert.strictEqual(order.attempts, 1);
      }).pipe(Effect.provide(service(subject.quick))),
    );

    it.effect("costs an attempt when the actor has to cut it off", () =>
      Effect.gen(function* () {
        const { find } = yield* placed;
        yield* TestClock.adjust(attemptTimeout);
        const order = yield* find;
        assert.strictEqual(order.status, "PENDING");
        assert.strictEqual(order.attempts, 1);
        assert.match(order.last_error ?? "", /the work took longer than 10s/);
      }).pipe(Effect.provide(service(subject.endless))),
    );

    it.effect("costs none when the service stops before its end", () =>
      Effect.gen(function* () {
        const { find, scope } = yield* placed;
        assert.strictEqual((yield* find).status, "PROCESSING");
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void));
        yield* TestClock.adjust(drainTimeout);
        yield* Fiber.join(closing);
        const order = yield* find;
        assert.strictEqual(order.status, "PENDING");
        assert.strictEqual(order.attempts, 0);
      }).pipe(Effect.provide(service(subject.endless))),
    );

    const { refusing } = subject;
    if (refusing === undefined) return;

    it.effect("that is refused says so, for good and in words", () =>
      Effect.gen(function* () {
        const { fulfil } = yield* fulfilmentOf(refusing);
        const error = yield* Effect.flip(fulfil(orderInWork("A")));
        assert.instanceOf(error, FulfilmentFailed);
        assert.isTrue((error as FulfilmentFailed).final);
        assert.isNotEmpty(error.message);
      }).pipe(Effect.scoped),
    );

    it.effect("that is refused makes a dead letter at once", () =>
      Effect.gen(function* () {
        const { find } = yield* placed;
        const order = yield* find;
        assert.strictEqual(order.status, "FAILED");
        assert.strictEqual(order.attempts, 1);
        assert.isNotNull(order.last_error);
      }).pipe(Effect.provide(service(refusing))),
    );
  });
