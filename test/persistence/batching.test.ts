import { assert, describe, it } from "@effect/vitest";
import {
  Cause,
  Clock,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Queue,
  Result,
} from "effect";
import { TestClock } from "effect/testing";
import * as Batching from "../../src/persistence/Batching.ts";

/** A run that waits to be told what comes of it. */
interface Run {
  readonly inputs: ReadonlyArray<number>;
  readonly end: (
    exit: Exit.Exit<ReadonlyArray<string | Batching.Refused<string>>, string>,
  ) => Effect.Effect<boolean>;
  /** Whether it was cut off. */
  readonly cutOff: Effect.Effect<void>;
}

const make = (
  options: Pick<
    Batching.BatchingOptions<number, string, string>,
    "size" | "lanes" | "weight" | "waitLimit"
  >,
) =>
  Effect.map(Queue.unbounded<Run>(), (runs) => {
    const batching = Batching.make<number, string, string>({
      ...options,
      name: "test",
      run: Effect.fnUntraced(function* (inputs) {
        const ended = yield* Deferred.make<
          ReadonlyArray<string | Batching.Refused<string>>,
          string
        >();
        const cutOff = yield* Deferred.make<void>();
        yield* Queue.offer(runs, {
          inputs,
          end: (exit) => Deferred.done(ended, exit),
          cutOff: Deferred.await(cutOff),
        });
        return yield* Effect.onInterrupt(Deferred.await(ended), () =>
          Deferred.succeed(cutOff, undefined),
        );
      }),
    });
    return { runs, ask: batching.one, askForAll: batching.all };
  });

const answers = (inputs: ReadonlyArray<number>) =>
  Exit.succeed(inputs.map((input) => `answer ${input}`));

type Ask = (input: number) => Effect.Effect<string, string>;

const fork = (ask: Ask, input: number) =>
  Effect.forkChild(ask(input), { startImmediately: true });

/** Each of them asks, in this order. */
const askAll = (ask: Ask, inputs: ReadonlyArray<number>) =>
  Effect.forEach(inputs, (input) => fork(ask, input));

const failureOf = (caller: Fiber.Fiber<string, string>) =>
  Effect.map(Fiber.await(caller), (exit) =>
    Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined,
  );

describe("batching", () => {
  it.effect("answers callers who are there together by one run", () =>
    Effect.gen(function* () {
      const { ask, runs } = yield* make({ size: 10, lanes: 2 });
      const callers = yield* askAll(ask, [1, 2, 3]);
      const run = yield* Queue.take(runs);
      assert.deepStrictEqual(run.inputs, [1, 2, 3]);
      yield* run.end(answers(run.inputs));
      assert.deepStrictEqual(
        yield* Effect.forEach(callers, (caller) => Fiber.join(caller)),
        ["answer 1", "answer 2", "answer 3"],
      );
    }),
  );

  it.effect("gathers while all lanes are taken, and no longer", () =>
    Effect.gen(function* () {
      const { ask, runs } = yield* make({ size: 10, lanes: 2 });
      yield* askAll(ask, [1]);
      const first = yield* Queue.take(runs);
      yield* askAll(ask, [2]);
      const second = yield* Queue.take(runs);
      assert.deepStrictEqual([first.inputs, second.inputs], [[1], [2]]);
      yield* askAll(ask, [3]);
      yield* askAll(ask, [4]);
      yield* Effect.yieldNow;
      assert.strictEqual(yield* Queue.size(runs), 0);
      yield* second.end(answers(second.inputs));
      assert.deepStrictEqual((yield* Queue.take(runs)).inputs, [3, 4]);
    }),
  );

  /** Each asks a turn of the event loop after the one before. */
  const askInTurns = (ask: Ask, inputs: ReadonlyArray<number>) =>
    Effect.forEach(inputs.toReversed(), (input, index) =>
      Effect.forkChild(
        Effect.andThen(
          Effect.repeat(Effect.yieldNow, { times: inputs.length - 1 - index }),
          ask(input),
        ),
        { startImmediately: true },
      ),
    );

  it.effect("gathers as long as each turn brings another caller", () =>
    Effect.gen(function* () {
      const { ask, runs } = yield* make({ size: 10, lanes: 1 });
      yield* askInTurns(ask, [1, 2, 3]);
      assert.deepStrictEqual((yield* Queue.take(runs)).inputs, [1, 2, 3]);
    }),
  );

  it.effect("lets nobody wait who is alone for a turn", () =>
    Effect.gen(function* () {
      const { ask, runs } = yield* make({ size: 10, lanes: 1 });
      yield* askAll(ask, [1]);
      yield* Effect.yieldNow;
      yield* Effect.yieldNow;
      assert.strictEqual(yield* Queue.size(runs), 1);
    }),
  );

  it.effect("does not gather for ever", () =>
    Effect.gen(function* () {
      const { ask, runs } = yield* make({ size: 1000, lanes: 1 });
      // A turn takes a millisecond.
      let now = 0;
      const clock: Clock.Clock = Object.assign(
        Object.create(yield* Clock.Clock),
        { currentTimeMillisUnsafe: () => now++ },
      );
      yield* askInTurns(
        (input) => Effect.provideService(ask(input), Clock.Clock, clock),
        Array.from({ length: 100 }, (_, index) => index),
      );
      assert.isBelow((yield* Queue.take(runs)).inputs.length, 10);
    }),
  );

  it.effect("counts the wait for a lane as waiting", () =>
    Effect.gen(function* () {
      const { ask, runs } = yield* make({
        lanes: 1,
        size: 10,
        waitLimit: { duration: Duration.seconds(10), error: () => "too late" },
      });
      const first = yield* fork(ask, 1);
      const run = yield* Queue.take(runs);
      yield* TestClock.adjust(Duration.seconds(4));
      const second = yield* fork(ask, 2);
      yield* TestClock.adjust(Duration.seconds(6));
      assert.strictEqual(yield* Effect.flip(Fiber.join(first)), "too late");
      // It waits for the lane of a statement that was sent, and goes on.
      yield* TestClock.adjust(Duration.seconds(3));
      assert.isUndefined(second.pollUnsafe());
      yield* TestClock.adjust(Duration.seconds(1));
      assert.strictEqual(yield* Effect.flip(Fiber.join(second)), "too late");
      yield* run.end(answers([1]));
      // The lane is free, and nobody is answered for those who gave up.
      const third = yield* fork(ask, 3);
      const next = yield* Queue.take(runs);
      assert.deepStrictEqual(next.inputs, [3]);
      yield* next.end(answers([3]));
      assert.strictEqual(yield* Fiber.join(third), "answer 3");
    }),
  );

  it.effect("gives one run no more than its size", () =>
    Effect.gen(function* () {
      const { ask, runs } = yield* make({ size: 2, lanes: 2 });
      yield* askAll(ask, [1, 2, 3, 4, 5]);
      const first = yield* Queue.take(runs);
      const second = yield* Queue.take(runs);
      assert.deepStrictEqual(
        [first.inputs, second.inputs],
        [
          [1, 2],
          [3, 4],
        ],
      );
      yield* first.end(answers(first.inputs));
      assert.deepStrictEqual((yield* Queue.take(runs)).inputs, [5]);
    }),
  );

  it.effect("gives one run no more than its weight, but one at least", () =>
    Effect.gen(function* () {
      const { ask, runs } = yield* make({
        size: 3,
        lanes: 1,
        weight: { weigh: (input) => input, max: 10 },
      });
      yield* askAll(ask, [4, 6, 1, 30, 2, 1, 1, 1]);
      const given: Array<ReadonlyArray<number>> = [];
      while (given.flat().length < 8) {
        const run = yield* Queue.take(runs);
        given.push(run.inputs);
        yield* run.end(answers(run.inputs));
      }
      assert.deepStrictEqual(given, [[4, 6], [1], [30], [2, 1, 1], [1]]);
    }),
  );

  it.effect("tells every caller of a run that it failed, and goes on", () =>
    Effect.gen(function* () {
      const { ask, runs } = yield* make({ size: 10, lanes: 1 });
      const callers = yield* askAll(ask, [1, 2]);
      yield* (yield* Queue.take(runs)).end(Exit.fail("away"));
      assert.deepStrictEqual(yield* Effect.forEach(callers, failureOf), [
        "away",
        "away",
      ]);
      const later = yield* fork(ask, 3);
      const run = yield* Queue.take(runs);
      yield* run.end(answers(run.inputs));
      assert.strictEqual(yield* Fiber.join(later), "answer 3");
    }),
  );

  it.effect("tells every caller of a run that crashed", () =>
    Effect.gen(function* () {
      const { ask, runs } = yield* make({ size: 10, lanes: 1 });
      const callers = yield* askAll(ask, [1, 2]);
      yield* (yield* Queue.take(runs)).end(Exit.die("a defect"));
      assert.deepStrictEqual(yield* Effect.forEach(callers, failureOf), [
        "a defect",
        "a defect",
      ]);
    }),
  );

  it.effect("does not run for who is gone before", () =>
    Effect.gen(function* () {
      const { ask, runs } = yield* make({ size: 10, lanes: 1 });
      yield* askAll(ask, [1]);
      const first = yield* Queue.take(runs);
      const gone = yield* fork(ask, 2);
      yield* askAll(ask, [3]);
      yield* Fiber.interrupt(gone);
      yield* first.end(answers(first.inputs));
      assert.deepStrictEqual((yield* Queue.take(runs)).inputs, [3]);
    }),
  );

  it.effect("goes on for whoever is left, and is cut off for nobody", () =>
    Effect.gen(function* () {
      const { ask, runs } = yield* make({ size: 10, lanes: 1 });
      const one = yield* fork(ask, 1);
      const other = yield* fork(ask, 2);
      const run = yield* Queue.take(runs);
      yield* Fiber.interrupt(one);
      yield* run.end(answers(run.inputs));
      assert.strictEqual(yield* Fiber.join(other), "answer 2");

      const callers = yield* askAll(ask, [3, 4]);
      const next = yield* Queue.take(runs);
      yield* Effect.forEach(callers, (caller) => Fiber.interrupt(caller));
      yield* next.cutOff;
      // Its lane is free again.
      yield* askAll(ask, [5]);
      assert.deepStrictEqual((yield* Queue.take(runs)).inputs, [5]);
    }),
  );

  it.effect("runs nothing when all are gone before, and goes on", () =>
    Effect.gen(function* () {
      const { ask, runs } = yield* make({ size: 10, lanes: 1 });
      const gone = yield* fork(ask, 1);
      yield* Fiber.interrupt(gone);
      yield* Effect.yieldNow;
      yield* askAll(ask, [2]);
      assert.deepStrictEqual((yield* Queue.take(runs)).inputs, [2]);
    }),
  );

  const forkAll = (
    askForAll: Batching.Batching<number, string, string>["all"],
    inputs: ReadonlyArray<number>,
  ) => Effect.forkChild(askForAll(inputs), { startImmediately: true });

  it.effect("answers one who asks for several, each by itself", () =>
    Effect.gen(function* () {
      const { ask, askForAll, runs } = yield* make({ size: 10, lanes: 1 });
      const before = yield* fork(ask, 1);
      const several = yield* forkAll(askForAll, [2, 3, 4]);
      const after = yield* fork(ask, 5);
      const run = yield* Queue.take(runs);
      assert.deepStrictEqual(run.inputs, [1, 2, 3, 4, 5]);
      yield* run.end(
        Exit.succeed(["a", "b", new Batching.Refused("not now"), "d", "e"]),
      );
      assert.deepStrictEqual(yield* Fiber.join(several), [
        Result.succeed("b"),
        Result.fail("not now"),
        Result.succeed("d"),
      ]);
      assert.strictEqual(yield* Fiber.join(before), "a");
      assert.strictEqual(yield* Fiber.join(after), "e");
    }),
  );

  it.effect("fails for one who asks for several when the run has failed", () =>
    Effect.gen(function* () {
      const { askForAll, runs } = yield* make({ size: 10, lanes: 1 });
      const several = yield* forkAll(askForAll, [1, 2]);
      yield* (yield* Queue.take(runs)).end(Exit.fail("away"));
      assert.strictEqual(yield* Effect.flip(Fiber.join(several)), "away");
    }),
  );

  it.effect("asks for nothing when it is asked for nothing", () =>
    Effect.gen(function* () {
      const { askForAll, runs } = yield* make({ size: 10, lanes: 1 });
      assert.deepStrictEqual(yield* askForAll([]), []);
      assert.strictEqual(yield* Queue.size(runs), 0);
    }),
  );

  it.effect(
    "does not part what one caller asks for, and counts all of it",
    () =>
      Effect.gen(function* () {
        const { askForAll, runs } = yield* make({ size: 4, lanes: 3 });
        yield* forkAll(askForAll, [1, 2, 3]);
        yield* forkAll(askForAll, [4, 5]);
        yield* forkAll(askForAll, [6, 7, 8, 9, 10]);
        const inputs = yield* Effect.forEach([1, 2, 3], () =>
          Effect.map(Queue.take(runs), (run) => run.inputs),
        );
        assert.deepStrictEqual(inputs, [
          [1, 2, 3],
          [4, 5],
          [6, 7, 8, 9, 10],
        ]);
      }),
  );

  it.effect("weighs all that one caller asks for", () =>
    Effect.gen(function* () {
      const { askForAll, runs } = yield* make({
        size: 100,
        lanes: 2,
        weight: { weigh: (input) => input, max: 10 },
      });
      yield* forkAll(askForAll, [3, 4]);
      yield* forkAll(askForAll, [1, 3]);
      const inputs = yield* Effect.forEach([1, 2], () =>
        Effect.map(Queue.take(runs), (run) => run.inputs),
      );
      assert.deepStrictEqual(inputs, [
        [3, 4],
        [1, 3],
      ]);
    }),
  );
});
