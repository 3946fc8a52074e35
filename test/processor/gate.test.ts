import { assert, describe, it } from "@effect/vitest";
import { Clock, Duration, Effect, Fiber } from "effect";
import { TestClock } from "effect/testing";
import * as Gate from "../../src/processor/Gate.ts";
import { shiftable } from "./shiftedClock.ts";

describe("the gate", () => {
  it.effect("is open until it is closed, and again after its pause", () =>
    Effect.gen(function* () {
      const gate = yield* Gate.make;
      assert.isTrue(gate.isOpen());
      yield* gate.awaitOpen;
      yield* gate.closeFor(Duration.seconds(10));
      assert.isFalse(gate.isOpen());
      const waiting = yield* Effect.forkChild(gate.awaitOpen);
      yield* TestClock.adjust("9999 millis");
      assert.isFalse(gate.isOpen());
      assert.isUndefined(waiting.pollUnsafe());
      yield* TestClock.adjust("1 millis");
      assert.isTrue(gate.isOpen());
      yield* Fiber.join(waiting);
    }),
  );

  it.effect("keeps the longer of two pauses", () =>
    Effect.gen(function* () {
      const gate = yield* Gate.make;
      yield* gate.closeFor(Duration.seconds(10));
      yield* gate.closeFor(Duration.seconds(1));
      yield* TestClock.adjust("9 seconds");
      assert.isFalse(gate.isOpen());
      yield* gate.closeFor(Duration.seconds(5));
      const waiting = yield* Effect.forkChild(gate.awaitOpen);
      yield* TestClock.adjust("4999 millis");
      assert.isUndefined(waiting.pollUnsafe());
      yield* TestClock.adjust("1 millis");
      yield* Fiber.join(waiting);
    }),
  );

  it.effect.each([-3_600_000, 3_600_000])(
    "pauses no longer or shorter when the machine's time is set off by %d ms",
    (off) =>
      Effect.gen(function* () {
        const { clock, shift } = yield* shiftable;
        const gate = yield* Effect.provideService(
          Gate.make,
          Clock.Clock,
          clock,
        );
        yield* gate.closeFor(Duration.seconds(10));
        shift.millis = off;
        const waiting = yield* Effect.forkChild(gate.awaitOpen);
        yield* TestClock.adjust("9 seconds");
        assert.isFalse(gate.isOpen());
        assert.isUndefined(waiting.pollUnsafe());
        yield* TestClock.adjust("1 second");
        assert.isTrue(gate.isOpen());
        yield* Fiber.join(waiting);
      }),
  );
});
