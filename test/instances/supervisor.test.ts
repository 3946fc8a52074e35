import { assert, describe, it } from "@effect/vitest";
import { Deferred, Effect, Fiber, Logger } from "effect";
import { TestClock } from "effect/testing";
import { supervise } from "../../src/instances/Supervisor.ts";
import type { Ended } from "../../src/platform/Runtime.ts";

interface Started {
  readonly number: number;
  readonly becomeReady: Effect.Effect<unknown>;
  readonly end: (how: Ended) => Effect.Effect<unknown>;
}

/** A supervisor of instances that do as they are told, and what it did. */
const supervised = Effect.fnUntraced(function* (count: number) {
  const started: Array<Started> = [];
  const said: Array<string> = [];
  const fiber = yield* supervise({
    count,
    start: (number) =>
      Effect.gen(function* () {
        const ready = yield* Deferred.make<string>();
        const ended = yield* Deferred.make<Ended>();
        started.push({
          number,
          becomeReady: Deferred.succeed(ready, "http://here"),
          end: (how) => Deferred.succeed(ended, how),
        });
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => said.push(`${number} stopped`)),
        );
        return { ready: Deferred.await(ready), ended: Deferred.await(ended) };
      }),
    onServing: (base) => Effect.sync(() => said.push(`serving ${base}`)),
    onReady: () => Effect.sync(() => said.push("all ready")),
  }).pipe(Effect.forkChild);
  /** Lets the supervisor go on until it waits. */
  const settle = TestClock.adjust(0);
  yield* settle;
  const latest = (number: number) =>
    started.findLast((_) => _.number === number) as Started;
  return {
    fiber,
    said,
    numbers: () => started.map((_) => _.number),
    become: Effect.fnUntraced(function* (number: number) {
      yield* latest(number).becomeReady;
      yield* settle;
    }),
    end: Effect.fnUntraced(function* (number: number, how: Ended) {
      yield* latest(number).end(how);
      yield* settle;
    }),
  };
});

const quiet = Logger.layer([]);

describe("the supervisor", () => {
  it.effect("lets one go ahead, then starts the others, and says so once", () =>
    Effect.gen(function* () {
      const { become, numbers, said } = yield* supervised(3);
      assert.deepStrictEqual(numbers(), [1]);
      yield* become(1);
      assert.deepStrictEqual(numbers(), [1, 2, 3]);
      assert.deepStrictEqual(said, ["serving http://here"]);
      yield* become(3);
      yield* become(2);
      assert.deepStrictEqual(said, ["serving http://here", "all ready"]);
    }).pipe(Effect.provide(quiet)),
  );

  it.effect("starts no others when the first ends before it is ready", () =>
    Effect.gen(function* () {
      const { end, fiber, numbers } = yield* supervised(3);
      yield* end(1, 1);
      const error = yield* Effect.flip(Fiber.join(fiber));
      assert.match(error.message, /instance 1 ended with 1 before/);
      assert.deepStrictEqual(numbers(), [1]);
    }).pipe(Effect.provide(quiet)),
  );

  it.effect("starts again what ends, and says nothing twice", () =>
    Effect.gen(function* () {
      const { become, end, numbers, said } = yield* supervised(2);
      yield* become(1);
      yield* become(2);
      yield* end(2, "SIGKILL");
      assert.deepStrictEqual(numbers(), [1, 2]);
      yield* TestClock.adjust("500 millis");
      assert.deepStrictEqual(numbers(), [1, 2, 2]);
      yield* become(2);
      assert.deepStrictEqual(said, [
        "serving http://here",
        "all ready",
        "2 stopped",
      ]);
      // Asked to stop by somebody else: not by us, so it is missed.
      yield* end(1, 0);
      yield* TestClock.adjust("500 millis");
      assert.deepStrictEqual(numbers(), [1, 2, 2, 1]);
    }).pipe(Effect.provide(quiet)),
  );

  it.effect("gives up on one that keeps ending, and stops the others", () =>
    Effect.gen(function* () {
      const { become, end, fiber, numbers, said } = yield* supervised(2);
      yield* become(1);
      for (const wait of [500, 1000, 2000, 4000, 8000]) {
        yield* end(2, 1);
        yield* TestClock.adjust(wait - 1);
        const before = numbers().length;
        yield* TestClock.adjust(1);
        assert.strictEqual(numbers().length, before + 1);
      }
      yield* end(2, 1);
      const error = yield* Effect.flip(Fiber.join(fiber));
      assert.match(error.message, /instance 2 ended with 1, and 6 times/);
      assert.strictEqual(said.at(-1), "1 stopped");
    }).pipe(Effect.provide(quiet)),
  );

  it.effect("bears with one that ends now and then", () =>
    Effect.gen(function* () {
      const { become, end, numbers } = yield* supervised(1);
      yield* become(1);
      for (let time = 1; time <= 10; time++) {
        yield* TestClock.adjust("2 minutes");
        yield* end(1, "SIGSEGV");
        yield* TestClock.adjust("500 millis");
        assert.strictEqual(numbers().length, time + 1);
      }
    }).pipe(Effect.provide(quiet)),
  );

  it.effect("stops all when it is told to stop", () =>
    Effect.gen(function* () {
      const { become, fiber, said } = yield* supervised(2);
      yield* become(1);
      yield* Fiber.interrupt(fiber);
      assert.includeMembers(said, ["1 stopped", "2 stopped"]);
    }).pipe(Effect.provide(quiet)),
  );
});
