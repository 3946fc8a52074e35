import { assert, describe, it } from "@effect/vitest";
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Option } from "effect";
import { TestClock } from "effect/testing";
import {
  FulfilmentFailed,
  FulfilmentUnavailable,
} from "../../src/processor/Fulfilment.ts";
import * as ReceiverCircuit from "../../src/processor/ReceiverCircuit.ts";
import { NotDone } from "../../src/processor/ReceiverCircuit.ts";
import * as ReceiverState from "../../src/processor/ReceiverState.ts";

const silent = new NotDone({ message: "no answer", isAnswered: false });
const answered = new NotDone({ message: "answered 500", isAnswered: true });
const refused = new FulfilmentFailed({ message: "no", final: true });

const circuit = ReceiverCircuit.make;
const withStore = Effect.provide(
  ReceiverCircuit.layerSteadyStore.pipe(Layer.orDie),
);

type Circuit = Effect.Success<typeof circuit>;

/** No two calls are for the same order, unless a test says so. */
let orders = 0;
const nextOrder = () => {
  orders += 1;
  return `order ${orders}`;
};

const failTimes = (
  { call }: Circuit,
  times: number,
  error: NotDone = answered,
) =>
  Effect.forEach(Array.from({ length: times }), () =>
    Effect.flip(call(nextOrder(), error)),
  );

/** How long nothing is called; nothing, when a call is let through. */
const pauseOf = ({ call }: Circuit) =>
  Effect.map(
    Effect.exit(Effect.flip(call("B", Effect.void))),
    (exit): number | undefined =>
      Exit.isSuccess(exit) && exit.value._tag === "FulfilmentUnavailable"
        ? Duration.toSeconds(exit.value.pause ?? 0)
        : undefined,
  );

describe("the circuit of the receiver", () => {
  it.effect("opens after ten failures in a row, not after nine", () =>
    Effect.gen(function* () {
      const one = yield* circuit;
      yield* failTimes(one, 9);
      assert.isUndefined(yield* pauseOf(one));
      yield* failTimes(one, 9, silent);
      yield* Effect.flip(one.call("A", refused));
      yield* failTimes(one, 9);
      assert.isUndefined(yield* pauseOf(one));
      yield* failTimes(one, 10);
      assert.strictEqual(yield* pauseOf(one), 1);
    }).pipe(withStore),
  );

  it.effect("does not count calls that failed while another was answered", () =>
    Effect.gen(function* () {
      const one = yield* circuit;
      const timeout = yield* Deferred.make<void, NotDone>();
      const hanging = yield* Effect.forEach(Array.from({ length: 30 }), () =>
        Effect.forkChild(Effect.flip(one.call("A", Deferred.await(timeout))), {
          startImmediately: true,
        }),
      );
      yield* one.call("A", Effect.void);
      yield* Deferred.fail(timeout, silent);
      yield* Effect.forEach(hanging, Fiber.join);
      assert.isUndefined(yield* pauseOf(one));
    }).pipe(withStore),
  );

  it.effect.each([
    ["silent", silent, [1, 2, 4, 8, 15, 15]],
    ["answering", answered, [1, 2, 2, 2]],
    [
      "asking for an hour",
      new NotDone({ ...answered, message: "", retryAfter: Duration.hours(9) }),
      [3600, 3600],
    ],
  ] as const)("leaves a receiver alone that is %s", ([, error, pauses]) =>
    Effect.gen(function* () {
      const one = yield* circuit;
      yield* failTimes(one, 9, error);
      for (const pause of pauses) {
        yield* failTimes(one, 1, error);
        assert.strictEqual(yield* pauseOf(one), pause);
        yield* TestClock.adjust(Duration.seconds(pause));
      }
      assert.isUndefined(yield* pauseOf(one));
    }).pipe(withStore),
  );

  it.effect("spends no attempt on its probe", () =>
    Effect.gen(function* () {
      const one = yield* circuit;
      for (const error of yield* failTimes(one, 10)) {
        assert.instanceOf(error, FulfilmentFailed);
      }
      yield* TestClock.adjust("1 second");
      const [probe] = yield* failTimes(one, 1);
      assert.instanceOf(probe, FulfilmentUnavailable);
      assert.strictEqual(probe?.message, "answered 500");
    }).pipe(withStore),
  );

  it.effect("lets one call through to see, and nobody beside it", () =>
    Effect.gen(function* () {
      const one = yield* circuit;
      yield* failTimes(one, 10);
      yield* TestClock.adjust("1 second");
      const probe = yield* Effect.forkChild(one.call("A", Effect.never), {
        startImmediately: true,
      });
      assert.strictEqual(yield* pauseOf(one), 1);
      // One that is cut off tells nothing: the next one is the probe.
      yield* Fiber.interrupt(probe);
      yield* Effect.exit(one.call("A", Effect.die("a defect")));
      yield* Effect.flip(one.call("A", refused));
      yield* failTimes(one, 9);
      assert.isUndefined(yield* pauseOf(one));
    }).pipe(withStore),
  );

  it.effect("has an order make the probe whose last call did not fail", () =>
    Effect.gen(function* () {
      const one = yield* circuit;
      yield* failTimes(one, 9);
      yield* Effect.flip(one.call("A", answered));
      yield* TestClock.adjust("1 second");
      const made: Array<string> = [];
      const call = (order_id: string) =>
        Effect.forkChild(
          one.call(
            order_id,
            Effect.sync(() => made.push(order_id)),
          ),
          { startImmediately: true },
        );
      yield* call("A");
      yield* call("B");
      assert.deepStrictEqual(made, ["B"]);
      yield* TestClock.adjust("200 millis");
      assert.deepStrictEqual(made, ["B", "A"]);
    }).pipe(withStore),
  );

  it.effect("shows how it is with the receiver, and the last error", () =>
    Effect.gen(function* () {
      const state = ReceiverState.make();
      yield* Effect.gen(function* () {
        yield* TestClock.adjust("1 second");
        const one = yield* circuit;
        // Whoever is told of transitions listens from now on.
        yield* TestClock.adjust(0);
        const shown = () => {
          const { circuit, last_error, since } = Option.getOrThrow(
            Option.fromNullOr(state.now()),
          );
          return [circuit, since.epochMilliseconds, last_error];
        };
        assert.deepStrictEqual(shown(), ["CLOSED", 1000, null]);
        yield* failTimes(one, 9);
        yield* TestClock.adjust("1 second");
        assert.deepStrictEqual(shown(), ["CLOSED", 1000, "answered 500"]);
        yield* failTimes(one, 1, silent);
        yield* TestClock.adjust(0);
        assert.deepStrictEqual(shown(), ["OPEN", 2000, "no answer"]);
        // A probe that fails: it is away since then, not anew.
        yield* TestClock.adjust("2 seconds");
        yield* failTimes(one, 1, silent);
        yield* TestClock.adjust(0);
        assert.deepStrictEqual(shown(), ["OPEN", 2000, "no answer"]);
        yield* TestClock.adjust("5 seconds");
        yield* one.call("back", Effect.void);
        yield* TestClock.adjust(0);
        assert.deepStrictEqual(shown(), ["CLOSED", 9000, "no answer"]);
      }).pipe(Effect.provideService(ReceiverState.ReceiverState, state));
    }).pipe(withStore),
  );
});
