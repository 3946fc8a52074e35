import { assert, describe, it } from "@effect/vitest";
import { Cause, Clock, Console, Effect, Logger, Schema } from "effect";
import { TestClock } from "effect/testing";
import * as JsonLog from "../../src/operations/JsonLog.ts";

/** What is written when `logged` has been logged. */
const written = Effect.fnUntraced(function* (logged: Effect.Effect<unknown>) {
  const pieces: Array<string> = [];
  const console = {
    ...globalThis.console,
    log: (piece: string) => pieces.push(piece),
  };
  yield* logged.pipe(
    Effect.andThen(TestClock.adjust("1 second")),
    Effect.provide(Logger.layer([JsonLog.logger("web#2:8000")])),
    Effect.provideService(Console.Console, console),
  );
  return pieces;
});

/** Times that are close to each other, around the beginning of seconds. */
const Millis = Schema.Int.check(
  Schema.isBetween({ minimum: 1_795_000_000_000, maximum: 1_795_000_003_000 }),
);

describe("logs in JSON", () => {
  it.effect("say in each line which instance wrote it", () =>
    Effect.gen(function* () {
      const [line] = yield* written(
        Effect.logInfo("order begun", { order_id: "A", instance: "a liar" }),
      );
      assert.deepInclude(JSON.parse(line ?? ""), {
        level: "INFO",
        message: "order begun",
        order_id: "A",
        instance: "web#2:8000",
        instance_: "a liar",
      });
    }),
  );

  it.effect.prop(
    "say when, to the millisecond",
    [Schema.Array(Millis)],
    Effect.fnUntraced(function* ([times]) {
      const clock = yield* Clock.Clock;
      const lines = yield* written(
        Effect.forEach(times, (millis) =>
          Effect.provideService(Effect.logInfo("now"), Clock.Clock, {
            ...clock,
            currentTimeMillisUnsafe: () => millis,
          }),
        ),
      );
      assert.deepStrictEqual(
        lines
          .flatMap((piece) => piece.split("\n"))
          .map((line) => JSON.parse(line).time),
        times.map((millis) => new Date(millis).toISOString()),
      );
    }),
  );

  it.effect("say what went wrong, and why", () =>
    Effect.gen(function* () {
      const [line] = yield* written(
        Effect.logError("request failed", Cause.fail("no disk"), {
          order_id: "A",
        }),
      );
      const { cause, ...fields } = JSON.parse(line ?? "");
      assert.match(cause, /no disk/);
      assert.deepInclude(fields, {
        level: "ERROR",
        message: "request failed",
        order_id: "A",
      });
    }),
  );

  it.effect("are written without fields that no JSON can say", () =>
    Effect.gen(function* () {
      const [line] = yield* written(
        Effect.logInfo("odd", { number: 1n }, Cause.fail("no disk")),
      );
      const { cause, ...fields } = JSON.parse(line ?? "");
      assert.match(cause, /no disk/);
      assert.deepInclude(fields, { message: "odd", instance: "web#2:8000" });
    }),
  );

  it.effect("are whole without any field", () =>
    Effect.gen(function* () {
      const [line] = yield* written(Effect.logInfo("two", "words"));
      assert.strictEqual(JSON.parse(line ?? "").message, "two words");
    }),
  );
});
