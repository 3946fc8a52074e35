import { assert, describe, it } from "@effect/vitest";
import { Effect, Exit, Fiber, Scope } from "effect";
import { HttpServerResponse } from "effect/http";
import { TestClock } from "effect/testing";
import { UnavailableProblem } from "../../src/api/Problems.ts";
import { Answers, unreadBytesMax } from "../../src/http/Answers.ts";

const mebibyte = 2 ** 20;

const textOf = (bytes: number) =>
  Effect.sync(() => HttpServerResponse.text("x".repeat(bytes)));

/** As a request would: its scope is closed when its answer has been taken. */
const ask = Effect.fnUntraced(function* (bytes: number) {
  const answers = yield* Answers;
  const scope = yield* Scope.make();
  const exit = yield* answers
    .make(0, textOf(bytes))
    .pipe(Scope.provide(scope), Effect.exit);
  return { exit, taken: Scope.close(scope, Exit.void) };
});

const isRefused = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) &&
  exit.cause.reasons.some(
    (reason) =>
      reason._tag === "Fail" && reason.error instanceof UnavailableProblem,
  );

describe("large answers", () => {
  it.effect("are refused while too much has not been taken", () =>
    Effect.gen(function* () {
      const asked = yield* Effect.forEach(
        Array.from({ length: unreadBytesMax / mebibyte }),
        () => ask(mebibyte),
      );
      assert.isTrue(asked.every(({ exit }) => Exit.isSuccess(exit)));
      assert.isTrue(isRefused((yield* ask(mebibyte)).exit));
      yield* asked[0]?.taken ?? Effect.void;
      const next = yield* ask(mebibyte - 1);
      assert.isTrue(Exit.isSuccess(next.exit));
      // One byte is left, and small answers do not count.
      assert.isTrue(isRefused((yield* ask(70_000)).exit));
      assert.isTrue(Exit.isSuccess((yield* ask(60_000)).exit));
      for (const { taken } of [...asked.slice(1), next]) yield* taken;
      // One is sent, however large.
      const huge = yield* ask(2 * unreadBytesMax);
      assert.isTrue(Exit.isSuccess(huge.exit));
      assert.isTrue(isRefused((yield* ask(1)).exit));
      yield* huge.taken;
      assert.isTrue(Exit.isSuccess((yield* ask(mebibyte)).exit));
    }).pipe(Effect.provide(Answers.layer)),
  );

  it.effect("are read for a few at a time", () =>
    Effect.gen(function* () {
      const answers = yield* Answers;
      let atOnce = 0;
      let most = 0;
      const work = Effect.acquireUseRelease(
        Effect.sync(() => {
          most = Math.max(most, ++atOnce);
        }),
        () => Effect.andThen(Effect.sleep("1 second"), textOf(10)),
        () =>
          Effect.sync(() => {
            atOnce -= 1;
          }),
      );
      const all = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 24 }),
          () => answers.make(mebibyte, work),
          { concurrency: "unbounded" },
        ),
      );
      yield* TestClock.adjust("3 seconds");
      yield* Fiber.join(all);
      assert.strictEqual(most, 8);
    }).pipe(Effect.provide(Answers.layer)),
  );
});
