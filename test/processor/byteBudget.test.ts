import { assert, describe, it } from "@effect/vitest";
import { Duration, Effect, Exit, Fiber } from "effect";
import { TestClock } from "effect/testing";
import * as ByteBudget from "../../src/processor/ByteBudget.ts";

const patience = {
  waitingMax: 1,
  wait: Duration.seconds(5),
  refusal: (): string => "full",
};

describe("a budget of bytes", () => {
  it.effect("serves who waits in line, the large one too", () =>
    Effect.gen(function* () {
      const budget = ByteBudget.make(10);
      const served: Array<string> = [];
      const take = (name: string, bytes: number) =>
        Effect.forkChild(
          Effect.tap(budget.take(bytes), () =>
            Effect.sync(() => served.push(name)),
          ),
        );
      assert.isTrue(budget.takeNow(4));
      assert.isTrue(budget.takeNow(4));
      yield* take("large", 7);
      yield* take("small", 1);
      yield* TestClock.adjust(0);
      assert.deepStrictEqual(served, []);
      assert.isFalse(budget.takeNow(1), "nobody passes the line by");
      budget.release(4);
      yield* TestClock.adjust(0);
      assert.deepStrictEqual(served, []);
      budget.release(4);
      yield* TestClock.adjust(0);
      assert.deepStrictEqual(served, ["large", "small"]);
      assert.strictEqual(budget.waiting(), 0);
      assert.isTrue(budget.takeNow(2));
      assert.isFalse(budget.takeNow(1));
    }),
  );

  it.effect("gives more than there is to one alone", () =>
    Effect.gen(function* () {
      const budget = ByteBudget.make(10);
      yield* budget.take(1_000);
      assert.isFalse(budget.takeNow(1));
      budget.release(1_000);
      assert.isTrue(budget.takeNow(10));
    }),
  );

  it.effect("forgets who gives up, and serves those behind", () =>
    Effect.gen(function* () {
      const budget = ByteBudget.make(10);
      yield* budget.take(8);
      const large = yield* Effect.forkChild(budget.take(5));
      const small = yield* Effect.forkChild(budget.take(2));
      yield* TestClock.adjust(0);
      assert.strictEqual(budget.waiting(), 2);
      yield* Fiber.interrupt(large);
      yield* Fiber.join(small);
      budget.release(8);
      budget.release(2);
      assert.isTrue(budget.takeNow(10));
    }),
  );

  it.effect("has back what an effect had, however it ended", () =>
    Effect.gen(function* () {
      const budget = ByteBudget.make(10);
      yield* Effect.exit(
        ByteBudget.within(budget, 9, patience, Effect.fail("no")),
      );
      const under = yield* Effect.forkChild(
        ByteBudget.within(budget, 9, patience, Effect.never),
      );
      yield* TestClock.adjust(0);
      assert.isFalse(budget.takeNow(2));
      yield* Fiber.interrupt(under);
      assert.isTrue(budget.takeNow(10));
    }),
  );

  it.effect("lets only so many wait, and only so long", () =>
    Effect.gen(function* () {
      const budget = ByteBudget.make(10);
      assert.isTrue(budget.takeNow(8));
      const take = ByteBudget.takeOrFail(budget, 5, patience);
      const first = yield* Effect.forkChild(Effect.exit(take));
      yield* TestClock.adjust("4 seconds");
      assert.deepStrictEqual(yield* Effect.exit(take), Exit.fail("full"));
      assert.strictEqual(budget.waiting(), 1);
      yield* TestClock.adjust("1 second");
      assert.deepStrictEqual(yield* Fiber.join(first), Exit.fail("full"));
      assert.strictEqual(budget.waiting(), 0);
      budget.release(8);
      assert.isTrue(budget.takeNow(10));
    }),
  );
});
