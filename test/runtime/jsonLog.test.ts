import { assert, describe, it } from "@effect/vitest";
import { Console, Effect, Logger } from "effect";
import { TestClock } from "effect/testing";
import * as JsonLog from "../../src/runtime/JsonLog.ts";

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
});
