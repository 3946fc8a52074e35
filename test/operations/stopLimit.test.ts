import { assert, describe, it } from "@effect/vitest";
import { Cause, Deferred, Duration, Effect, Exit, Fiber } from "effect";
import { TestClock } from "effect/testing";
import { stopWithin } from "../../src/operations/StopLimit.ts";

/** A service that takes `stopping` to give back what it has acquired. */
const started = Effect.fnUntraced(function* (stopping: Duration.Input) {
  const running = yield* Deferred.make<void>();
  const service = Effect.scoped(
    Effect.gen(function* () {
      yield* Effect.addFinalizer(() => Effect.sleep(stopping));
      yield* Deferred.succeed(running, undefined);
      return yield* Effect.never;
    }),
  ).pipe(stopWithin(Duration.seconds(30)));
  const fiber = yield* Effect.forkDetach(service);
  yield* Deferred.await(running);
  return fiber;
});

describe("the limit on stopping", () => {
  it.effect("waits for what stops in time", () =>
    Effect.gen(function* () {
      const fiber = yield* started("29 seconds");
      const stop = yield* Effect.forkChild(Fiber.interrupt(fiber));
      yield* TestClock.adjust("28 seconds");
      assert.isUndefined(stop.pollUnsafe());
      yield* TestClock.adjust("1 second");
      const exit = yield* Fiber.await(fiber);
      assert.isTrue(
        Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause),
      );
    }),
  );

  it.effect("says so, and waits no longer, for what does not", () =>
    Effect.gen(function* () {
      const fiber = yield* started("1 hour");
      yield* Effect.forkChild(Fiber.interrupt(fiber));
      yield* TestClock.adjust("30 seconds");
      const error = yield* Effect.flip(Fiber.join(fiber));
      assert.match(error.message, /did not stop within 30s/);
    }),
  );

  it.effect("passes on how the service ends by itself", () =>
    Effect.gen(function* () {
      const ended = Effect.fail("gave up").pipe(
        stopWithin(Duration.seconds(30)),
      );
      assert.strictEqual(yield* Effect.flip(ended), "gave up");
    }),
  );
});
