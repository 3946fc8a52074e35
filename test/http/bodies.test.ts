import { assert, describe, it } from "@effect/vitest";
import { Effect, Exit, Fiber } from "effect";
import { HttpIncomingMessage, HttpServerRequest } from "effect/http";
import { TestClock } from "effect/testing";
import { UnavailableProblem } from "../../src/api/Problems.ts";
import * as Bodies from "../../src/http/Bodies.ts";
import * as JsonBody from "../../src/http/JsonBody.ts";

const mebibyte = 2 ** 20;

/** Text of so many bytes, as JSON. */
const json = (bytes: number) => JSON.stringify("x".repeat(bytes - 2));

/** A request, and how its body comes: `send` a part of it, `end` it. */
const request = (length?: number) => {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start: (given) => {
      controller = given;
    },
  });
  const given = new Request("http://service/", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(length === undefined ? {} : { "content-length": String(length) }),
    },
    body,
    duplex: "half",
  } as RequestInit);
  return {
    given: HttpServerRequest.fromWeb(given),
    send: (text: string) => controller.enqueue(new TextEncoder().encode(text)),
    end: () => controller.close(),
  };
};

/** Time for streams, which go on by promises and not by the clock. */
const settle = Effect.andThen(
  Effect.promise(() => new Promise((resolve) => setImmediate(resolve))),
  TestClock.adjust(0),
);

const read = ({ given }: ReturnType<typeof request>) =>
  Effect.forkChild(
    JsonBody.use(given, Effect.succeed).pipe(Effect.scoped, Effect.exit),
  );

const provide = (max: number) => (effect: Effect.Effect<void>) =>
  effect.pipe(
    Effect.provideService(Bodies.Bodies, Bodies.make(max)),
    Effect.provideService(HttpIncomingMessage.MaxBodySize, mebibyte as never),
  );

const isRefused = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) &&
  exit.cause.reasons.some(
    (reason) =>
      reason._tag === "Fail" &&
      reason.error instanceof UnavailableProblem &&
      reason.error.retry_after_seconds === 5,
  );

describe("bodies in memory", () => {
  it.effect("wait for room, and are refused when there is none in time", () =>
    Effect.gen(function* () {
      const slow = request(mebibyte);
      const reading = yield* read(slow);
      slow.send('"xxx');
      const next = request(mebibyte);
      const waiting = yield* read(next);
      next.send(json(mebibyte));
      next.end();
      yield* settle;
      yield* TestClock.adjust("4 seconds");
      assert.isUndefined(waiting.pollUnsafe());
      yield* TestClock.adjust("1 second");
      assert.isTrue(isRefused(yield* Fiber.join(waiting)));
      // The first is read all the same.
      slow.send("x".repeat(mebibyte - 5));
      slow.send('"');
      slow.end();
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(reading)));
    }).pipe(provide((8 / 5) * mebibyte)),
  );

  it.effect("are read as soon as the one before has been worked on", () =>
    Effect.gen(function* () {
      const first = request(mebibyte);
      const reading = yield* read(first);
      const second = request(mebibyte);
      const waiting = yield* read(second);
      yield* settle;
      for (const { end, send } of [first, second]) {
        send(json(mebibyte));
        end();
      }
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(reading)));
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(waiting)));
    }).pipe(provide((8 / 5) * mebibyte)),
  );

  it.effect("take no room from those of a usual size", () =>
    Effect.gen(function* () {
      yield* read(request(mebibyte));
      yield* settle;
      for (const bytes of [100, 10_000]) {
        const small = request(bytes);
        const reading = yield* read(small);
        small.send(json(bytes));
        small.end();
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(reading)));
      }
    }).pipe(provide((8 / 5) * mebibyte)),
  );

  it.effect(
    "count as the longest there may be once a chunked one is large",
    () =>
      Effect.gen(function* () {
        const chunked = request();
        const reading = yield* read(chunked);
        chunked.send(`"${"x".repeat(10_000)}`);
        yield* settle;
        // Small so far, it has left the room for large ones alone.
        const other = request(mebibyte);
        const beside = yield* read(other);
        yield* settle;
        chunked.send(`${"x".repeat(10_000)}"`);
        chunked.end();
        yield* settle;
        assert.isUndefined(reading.pollUnsafe());
        other.send(json(mebibyte));
        other.end();
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(beside)));
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(reading)));
      }).pipe(provide((8 / 5) * mebibyte)),
  );

  it.effect("are worked on a few at a time", () =>
    Effect.gen(function* () {
      const bodies = Bodies.make(64 * mebibyte);
      let atOnce = 0;
      let most = 0;
      const work = Effect.acquireUseRelease(
        Effect.sync(() => {
          most = Math.max(most, ++atOnce);
        }),
        () => Effect.sleep("1 second"),
        () =>
          Effect.sync(() => {
            atOnce -= 1;
          }),
      );
      const all = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 12 }),
          () => bodies.working(mebibyte, work),
          { concurrency: "unbounded" },
        ),
      );
      yield* TestClock.adjust("3 seconds");
      yield* Fiber.join(all);
      assert.strictEqual(most, 4);
    }),
  );
});
