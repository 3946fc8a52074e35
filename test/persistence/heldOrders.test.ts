/** Shared statements and orders that another session of the database holds. */
import { assert, describe, it } from "@effect/vitest";
import { Duration, Effect } from "effect";
import { SqlError } from "effect/sql";
import { TestClock } from "effect/testing";
import { Refused } from "../../src/persistence/Batching.ts";
import * as HeldOrders from "../../src/persistence/HeldOrders.ts";

const lockTimeout = new SqlError.SqlError({
  reason: new SqlError.LockTimeoutError({ cause: "for the test" }),
});

/** A database in which others hold the orders in `held`. */
const make = () => {
  const held = new Set<string>();
  const looks: Array<ReadonlyArray<string>> = [];
  const runs: Array<ReadonlyArray<string>> = [];
  const { passing } = HeldOrders.make((ids) =>
    Effect.sync(() => {
      looks.push(ids);
      return new Set(ids.filter((id) => held.has(id)));
    }),
  );
  const ask = passing((inputs: ReadonlyArray<{ order_id: string }>) =>
    Effect.suspend(() => {
      const ids = inputs.map((_) => _.order_id);
      runs.push(ids);
      return ids.some((id) => held.has(id))
        ? Effect.fail(lockTimeout)
        : Effect.succeed(ids);
    }),
  );
  return {
    held,
    looks,
    runs,
    /** The answers; of those refused, why. */
    answers: (...ids: ReadonlyArray<string>) =>
      Effect.map(ask(ids.map((order_id) => ({ order_id }))), (answers) =>
        answers.map((answer) =>
          answer instanceof Refused ? answer.error.reason : answer,
        ),
      ),
  };
};

const isHeld = "another session of the database holds the order";

describe("orders held by others", () => {
  it.effect("are not looked for while no statement had to wait", () =>
    Effect.gen(function* () {
      const { answers, looks, runs } = make();
      assert.deepStrictEqual(yield* answers("A", "B"), ["A", "B"]);
      assert.deepStrictEqual(runs, [["A", "B"]]);
      assert.deepStrictEqual(looks, []);
    }),
  );

  it.effect("are refused, and all others answered, in their order", () =>
    Effect.gen(function* () {
      const { answers, held, runs } = make();
      held.add("B").add("D");
      assert.deepStrictEqual(yield* answers("A", "B", "C", "D", "E"), [
        "A",
        isHeld,
        "C",
        isHeld,
        "E",
      ]);
      assert.deepStrictEqual(runs.at(-1), ["A", "C", "E"]);
    }),
  );

  it.effect("make one statement wait, and none after it", () =>
    Effect.gen(function* () {
      const { answers, held, runs } = make();
      held.add("B");
      yield* answers("A", "B");
      const waited = runs.length - 1;
      assert.strictEqual(waited, 1);
      // Longer than it is wary: what is found held keeps it so.
      for (let second = 0; second < 60; second += 1) {
        yield* TestClock.adjust(Duration.seconds(1));
        // Another row of the same session, met for the first time.
        held.add(`H${second}`);
        assert.deepStrictEqual(yield* answers("B", `H${second}`, "Z"), [
          isHeld,
          isHeld,
          "Z",
        ]);
      }
      assert.isTrue(runs.slice(2).every((ids) => ids.join() === "Z"));
    }),
  );

  it.effect("are answered once they are free, and then not looked for", () =>
    Effect.gen(function* () {
      const { answers, held, looks } = make();
      held.add("B");
      assert.deepStrictEqual(yield* answers("B"), [isHeld]);
      held.clear();
      assert.deepStrictEqual(yield* answers("B"), ["B"]);
      yield* TestClock.adjust(Duration.seconds(10));
      looks.length = 0;
      yield* answers("A");
      assert.deepStrictEqual(looks, []);
    }),
  );

  it.effect("are not what other failures are taken for", () =>
    Effect.gen(function* () {
      const looks: Array<unknown> = [];
      const { passing } = HeldOrders.make((ids) =>
        Effect.sync(() => {
          looks.push(ids);
          return new Set<string>();
        }),
      );
      const other = new SqlError.SqlError({
        reason: new SqlError.StatementTimeoutError({ cause: "for the test" }),
      });
      const ask = passing(() => Effect.fail(other));
      const error = yield* Effect.flip(ask([{ order_id: "A" }]));
      assert.strictEqual(error, other);
      assert.deepStrictEqual(looks, []);
    }),
  );
});
