/**
 * The actors and the webhook together, on the test's clock: orders wait for a
 * receiver that is away, and none becomes a dead letter for it.
 */
import { assert, describe, it } from "@effect/vitest";
import {
  Clock,
  Context,
  Duration,
  Effect,
  Exit,
  Layer,
  Redacted,
} from "effect";
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
import { Fulfilment } from "../../src/processor/Fulfilment.ts";
import * as FulfilmentWebhook from "../../src/processor/FulfilmentWebhook.ts";
import { OrderProcessor } from "../../src/processor/OrderProcessor.ts";
import { orderInWork as order } from "./orderInWork.ts";
import { shiftable } from "./shiftedClock.ts";
import { type Answer, stubReceiver } from "./stubReceiver.ts";

const webhook = (stub: ReturnType<typeof stubReceiver>) =>
  FulfilmentWebhook.layer({
    url: Redacted.make(new URL("http://127.0.0.1:1/?token=t0ken")),
    // Signing takes real time, which the test's clock does not wait for.
    secret: undefined,
    timeout: Duration.seconds(57),
  }).pipe(Layer.provide(stub.layer));

/** Some partitions are as good as all of them, and sooner worked on. */
const working = Layer.effectDiscard(
  Effect.gen(function* () {
    const processor = yield* OrderProcessor;
    for (const partition of [3, 17]) {
      yield* Effect.forkScoped(processor.run(Partition.make(partition)), {
        startImmediately: true,
      });
    }
  }),
);

/** The service without HTTP, with the settings that it has by default. */
const service = (stub: ReturnType<typeof stubReceiver>) =>
  working.pipe(
    Layer.provideMerge(Orders.layer),
    Layer.provideMerge(
      OrderProcessor.layer({
        concurrency: 256,
        attemptTimeout: Duration.seconds(60),
        drainTimeout: Duration.zero,
        retryPolicy: {
          maxAttempts: 8,
          base: Duration.seconds(1),
          cap: Duration.minutes(5),
        },
      }),
    ),
    Layer.provide(webhook(stub)),
    Layer.provideMerge(OrderRepositoryMemory.layer),
    Layer.provideMerge(Database.layerMemory),
  );

const newOrder = (name: string): NewOrder => ({
  order_id: OrderId.make(name),
  user_id: UserId.make("USER001"),
  item_ids: ["ITEM001"],
  total_amount: TotalAmount.make(19.9),
});

const placeMany = Effect.fnUntraced(function* (prefix: string, count: number) {
  const orders = yield* Orders;
  for (let index = 0; index < count; index += 1) {
    yield* orders.place(newOrder(`${prefix}${index}`));
  }
});

/** Passes the time bit by bit, so that no order is begun far too late. */
const pass = (seconds: number) =>
  Effect.forEach(
    Array.from({ length: seconds * 2 }),
    () => TestClock.adjust("500 millis"),
    { discard: true },
  );

const counts = Effect.flatMap(Orders, (orders) =>
  Effect.map(orders.metrics, (_) => _.status_counts),
);

/** The receiver is back: a minute later nothing is left, and nothing is lost. */
const assertAllCompletedInAMinute = Effect.fnUntraced(function* (
  count: number,
) {
  yield* pass(60);
  assert.deepStrictEqual(yield* counts, {
    PENDING: 0,
    PROCESSING: 0,
    COMPLETED: count,
    FAILED: 0,
    CANCELLED: 0,
  });
});

describe("a receiver that is away", () => {
  it.effect.each<Answer>(["refused", "hangs", 429, 503])(
    "makes no dead letter of the only order, and spends none of its attempts (%s)",
    (answer) => {
      const stub = stubReceiver(answer);
      return Effect.gen(function* () {
        const orders = yield* Orders;
        yield* orders.place(newOrder("A"));
        yield* pass(600);
        const waiting = yield* orders.find("A");
        assert.isAtMost(waiting.attempts, 1);
        assert.match(waiting.last_error ?? "", /^the receiver/);
        assert.isAbove(stub.receiver.calls.length, 7);
        // Not more often than every 15 s in the end.
        assert.isBelow(stub.receiver.calls.length, 50);
        stub.receiver.answer = 200;
        yield* assertAllCompletedInAMinute(1);
        assert.strictEqual((yield* orders.find("A")).attempts, 1);
      }).pipe(Effect.provide(service(stub)));
    },
  );

  it.effect.each<Answer>(["refused", "hangs", 301, 401, 404, 500, 503])(
    "for ten minutes (%s) makes no dead letter of many, and all are COMPLETED a minute later",
    (answer) => {
      const stub = stubReceiver();
      return Effect.gen(function* () {
        yield* placeMany("before", 20);
        yield* pass(2);
        stub.receiver.answer = answer;
        for (let turn = 0; turn < 10; turn += 1) {
          yield* placeMany(`during${turn}-`, 20);
          yield* pass(60);
        }
        const { COMPLETED, FAILED } = yield* counts;
        assert.deepStrictEqual([COMPLETED, FAILED], [20, 0]);
        stub.receiver.answer = 200;
        yield* assertAllCompletedInAMinute(220);
      }).pipe(Effect.provide(service(stub)));
    },
    60_000,
  );

  it.effect("is not called before it asked to be, up to an hour", () => {
    const stub = stubReceiver(503);
    stub.receiver.retryAfter = 7200;
    return Effect.gen(function* () {
      const orders = yield* Orders;
      yield* orders.place(newOrder("A"));
      yield* pass(3595);
      assert.strictEqual(stub.receiver.calls.length, 1);
      stub.receiver.answer = 200;
      yield* pass(10);
      assert.strictEqual((yield* orders.find("A")).status, "COMPLETED");
    }).pipe(Effect.provide(service(stub)));
  });

  it.effect("is left alone as long as it asked, once all calls fail", () => {
    const stub = stubReceiver(503);
    stub.receiver.retryAfter = 1800;
    return Effect.gen(function* () {
      yield* placeMany("A", 20);
      yield* pass(100);
      const called = stub.receiver.calls.length;
      yield* placeMany("B", 20);
      yield* pass(1690);
      assert.strictEqual(stub.receiver.calls.length, called);
      stub.receiver.answer = 200;
      yield* assertAllCompletedInAMinute(40);
    }).pipe(Effect.provide(service(stub)));
  });

  it.effect("spends no attempt when it is probed in vain", () => {
    const stub = stubReceiver(404);
    return Effect.gen(function* () {
      yield* placeMany("A", 2);
      yield* pass(3600);
      const orders = yield* Orders;
      // An attempt under way is counted, and refunded at its end.
      while ((yield* counts).PROCESSING > 0) {
        yield* TestClock.adjust("10 millis");
      }
      const attempts = (yield* orders.find("A0")).attempts;
      // The ten that opened the circuit, and none of the hundreds after it.
      assert.strictEqual(attempts + (yield* orders.find("A1")).attempts, 10);
      assert.isAbove(stub.receiver.calls.length, 100);
      assert.strictEqual((yield* counts).FAILED, 0);
      stub.receiver.answer = 200;
      yield* assertAllCompletedInAMinute(2);
    }).pipe(Effect.provide(service(stub)));
  });

  it.effect("lets an order come to its end that it answers to", () => {
    const stub = stubReceiver(500);
    return Effect.gen(function* () {
      const orders = yield* Orders;
      yield* orders.place(newOrder("A"));
      yield* pass(200);
      const failed = yield* orders.find("A");
      assert.strictEqual(failed.status, "FAILED");
      assert.strictEqual(failed.last_error, "the receiver answered 500");
      assert.strictEqual(stub.receiver.calls.length, 8);
    }).pipe(Effect.provide(service(stub)));
  });

  it.effect("is not what orders wait for that come after many ill ones", () => {
    const stub = stubReceiver();
    stub.receiver.ill = "ill";
    return Effect.gen(function* () {
      yield* placeMany("ill", 30);
      for (let turn = 0; turn < 30; turn += 1) {
        yield* placeMany(`well${turn}-`, 1);
        yield* pass(10);
      }
      // The last of them have a while left.
      yield* pass(90);
      const { COMPLETED } = yield* counts;
      assert.strictEqual(COMPLETED, 30);
      // Each well one that is done has the ill ones tried again.
      yield* placeMany("more", 20);
      yield* pass(600);
      assert.strictEqual((yield* counts).FAILED, 30);
    }).pipe(Effect.provide(service(stub)));
  });

  it.effect("is called again in time when the machine's clock steps back", () =>
    Effect.gen(function* () {
      const stub = stubReceiver(503);
      const { clock, shift } = yield* shiftable;
      const onIt = Effect.provideService(Clock.Clock, clock);
      const { fulfil } = yield* onIt(
        Effect.map(Layer.build(webhook(stub)), Context.get(Fulfilment)),
      );
      let call = 0;
      const attempt = Effect.suspend(() => {
        call += 1;
        return onIt(Effect.exit(fulfil(order(`A${call}`))));
      });
      while (call < 11) yield* attempt;
      assert.strictEqual(stub.receiver.calls.length, 10);
      stub.receiver.answer = 200;
      shift.millis = -3_600_000;
      yield* TestClock.adjust("999 millis");
      assert.isTrue(Exit.isFailure(yield* attempt));
      yield* TestClock.adjust("1 millis");
      assert.isTrue(Exit.isSuccess(yield* attempt));
    }),
  );
});
