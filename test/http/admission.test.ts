import { assert, describe, it } from "@effect/vitest";
import { Deferred, Effect, Fiber, Metric } from "effect";
import { TestClock } from "effect/testing";
import { Admission } from "../../src/http/Admission.ts";

const max = 10;

/** A request that is being worked on until it is told to end. */
const begun = Effect.gen(function* () {
  const { admit } = yield* Admission;
  const done = yield* Deferred.make<void>();
  const fiber = yield* Effect.forkChild(admit(Deferred.await(done)), {
    startImmediately: true,
  });
  return Effect.andThen(Deferred.succeed(done, undefined), Fiber.join(fiber));
});

const begin = (count: number) => Effect.replicateEffect(begun, count);

/** What the next request is asked to wait, in seconds. */
const retryAfter = Effect.gen(function* () {
  const { admit } = yield* Admission;
  const refused = yield* Effect.flip(admit(Effect.void));
  return refused.retry_after_seconds;
});

const gauge = Effect.map(
  Metric.snapshot,
  (metrics) =>
    metrics.find(({ id }) => id === "http_requests_in_flight")?.state,
);

describe("admission", () => {
  it.effect("asks for a second while it has measured nothing", () =>
    Effect.gen(function* () {
      yield* begin(max);
      assert.strictEqual(yield* retryAfter, 1);
    }).pipe(Effect.provide(Admission.layer(max))),
  );

  it.effect("asks for as long as the last busy second's rate says", () =>
    Effect.gen(function* () {
      const requests = yield* begin(max);
      yield* Effect.all(requests.slice(0, 4));
      yield* TestClock.adjust("1 second");
      yield* Effect.all(requests.slice(4, 5));
      // Five in a second: ten are done in two.
      yield* begin(5);
      assert.strictEqual(yield* retryAfter, 2);
      yield* TestClock.adjust("1 second");
      yield* Effect.all(requests.slice(5, 6));
      yield* begin(1);
      // One in the second after.
      assert.strictEqual(yield* retryAfter, 10);
    }).pipe(Effect.provide(Admission.layer(max))),
  );

  it.effect("does not take an idle minute for slow work", () =>
    Effect.gen(function* () {
      const first = yield* begin(max);
      yield* TestClock.adjust("1 second");
      yield* Effect.all(first);
      yield* TestClock.adjust("1 minute");
      const [one, ...others] = yield* begin(max);
      yield* one as Effect.Effect<void>;
      yield* begin(1);
      assert.isAtMost(yield* retryAfter, 10);
      yield* Effect.all(others);
    }).pipe(Effect.provide(Admission.layer(max))),
  );

  it.effect("shows how many requests are being worked on", () =>
    Effect.gen(function* () {
      const requests = yield* begin(3);
      assert.deepInclude(yield* gauge, { value: 3 });
      yield* Effect.all(requests);
      assert.deepInclude(yield* gauge, { value: 0 });
    }).pipe(Effect.provide(Admission.layer(max))),
  );
});
