import { assert, describe, it } from "@effect/vitest";
import {
  Deferred,
  Duration,
  Effect,
  Fiber,
  Option,
  References,
  Result,
} from "effect";
import { TestClock } from "effect/testing";
import { OrderId } from "../../src/domain/Order.ts";
import {
  type DueOrder,
  type Failure,
  type OrderRepository,
  RepositoryUnavailable,
} from "../../src/persistence/OrderRepository.ts";
import * as AttemptEnd from "../../src/processor/AttemptEnd.ts";
import type { Fulfilment } from "../../src/processor/Fulfilment.ts";
import * as OrderAttempt from "../../src/processor/OrderAttempt.ts";
import * as TakingUp from "../../src/processor/TakingUp.ts";
import { orderInWork } from "./orderInWork.ts";

type Repository = OrderRepository["Service"];

const due = (order_id: string): DueOrder => ({
  order_id: OrderId.make(order_id),
  item_bytes: 2,
});

const held = new RepositoryUnavailable({ reason: "held", isHeld: true });
const away = new RepositoryUnavailable({ reason: "away" });

interface Options {
  readonly work?: Fulfilment["Service"]["fulfil"];
  /** What an order that is to begin, or to be completed, is answered. */
  readonly begin?: (order_id: string) => Option.Option<RepositoryUnavailable>;
  readonly complete?: (
    order_id: string,
  ) => Option.Option<RepositoryUnavailable>;
  /** Whether the whole statement fails. */
  readonly isAway?: () => boolean;
  readonly isDraining?: () => boolean;
  readonly isPaused?: () => boolean;
}

/** Taking up, with what it asks of the database and has go on apart. */
const makeTraced = Effect.fnUntraced(function* (options: Options) {
  const asked = {
    begin: [] as Array<ReadonlyArray<string>>,
    complete: [] as Array<ReadonlyArray<string>>,
    fail: [] as Array<Failure>,
  };
  const apart: Array<string> = [];
  let putOff = 0;
  const unavailable: Array<string> = [];
  const none = () => Option.none<RepositoryUnavailable>();
  /** Asked for all, each gets its own answer. */
  const answerEach = <In extends { readonly order_id: string }, A>(
    inputs: ReadonlyArray<In>,
    said: Array<ReadonlyArray<string>>,
    refusal: (order_id: string) => Option.Option<RepositoryUnavailable>,
    answer: (input: In) => A,
  ) =>
    Effect.suspend(() => {
      said.push(inputs.map(({ order_id }) => order_id));
      return options.isAway?.() === true
        ? Effect.fail(away)
        : Effect.succeed(
            inputs.map((input) =>
              Option.match(refusal(input.order_id), {
                onNone: () => Result.succeed(answer(input)),
                onSome: Result.fail,
              }),
            ),
          );
    });
  const repository: Pick<Repository, "begin" | "complete" | "fail"> = {
    begin: (inputs) =>
      answerEach(inputs, asked.begin, options.begin ?? none, ({ order_id }) =>
        Option.some({ order: orderInWork(order_id), attempt: 7 }),
      ),
    complete: (inputs) =>
      answerEach(inputs, asked.complete, options.complete ?? none, () => true),
    fail: (failure) =>
      Effect.sync(() => {
        asked.fail.push(failure);
        return true;
      }),
  };
  const attemptEnd = yield* AttemptEnd.make({
    repository: {
      ...repository,
      release: () => Effect.die("nothing is given back"),
    },
    retryPolicy: {
      maxAttempts: 9,
      base: Duration.seconds(1),
      cap: Duration.minutes(5),
    },
  });
  const shared = {
    attemptEnd,
    isDraining: options.isDraining ?? (() => false),
    onUnavailable: ({ reason }: RepositoryUnavailable) => {
      unavailable.push(reason);
    },
  };
  const takeUp = yield* TakingUp.make({
    ...shared,
    repository,
    attempt: yield* OrderAttempt.make({
      ...shared,
      fulfilment: { fulfil: options.work ?? (() => Effect.void) },
      attemptTimeout: Duration.minutes(1),
      closeGate: () => Effect.die("nothing is impossible"),
    }),
    isPaused: options.isPaused ?? (() => false),
    onPutOff: () => {
      putOff += 1;
    },
    onBegun: () => {},
  });
  return {
    apart,
    putOff: () => putOff,
    asked,
    unavailable,
    takeUp: (...order_ids: ReadonlyArray<string>) =>
      takeUp(order_ids.map(due), 1, ({ order_id }, rest) => {
        apart.push(order_id);
        return Effect.asVoid(
          Effect.forkChild(rest, { startImmediately: true }),
        );
      }),
  };
});

/** With traces, each order has a span, and so a fiber. */
const make = (options: Options) =>
  Effect.provideService(makeTraced(options), References.TracerEnabled, false);

/** Refuses one order, so many times. */
const refusing = (refused: string, times: number) => {
  let left = times;
  return (order_id: string) =>
    order_id === refused && left-- > 0 ? Option.some(held) : Option.none();
};

describe("taking up", () => {
  it.effect("begins all by one statement, and completes all by one", () =>
    Effect.gen(function* () {
      const { apart, asked, takeUp } = yield* make({});
      yield* takeUp("A", "B", "C");
      assert.deepStrictEqual(asked.begin, [["A", "B", "C"]]);
      assert.deepStrictEqual(asked.complete, [["A", "B", "C"]]);
      assert.deepStrictEqual(apart, [], "none has a fiber of its own");
    }),
  );

  it.effect("has no order wait for the work of another", () =>
    Effect.gen(function* () {
      const done = yield* Deferred.make<void>();
      const { apart, asked, takeUp } = yield* make({
        work: ({ order_id }) =>
          order_id === "slow" ? Deferred.await(done) : Effect.void,
      });
      yield* takeUp("A", "slow", "B");
      assert.deepStrictEqual(asked.complete, [["A", "B"]]);
      assert.deepStrictEqual(apart, ["slow"]);
      yield* Deferred.succeed(done, undefined);
      yield* TestClock.adjust(0);
      assert.deepStrictEqual(asked.complete, [["A", "B"], ["slow"]]);
    }),
  );

  it.effect("takes work that throws for work that failed", () =>
    Effect.gen(function* () {
      const { asked, takeUp } = yield* make({
        work: ({ order_id }) => {
          if (order_id === "broken") throw new Error("a bug");
          return Effect.void;
        },
      });
      yield* takeUp("A", "broken", "B");
      yield* TestClock.adjust(0);
      assert.deepStrictEqual(asked.complete, [["A", "B"]]);
      assert.deepStrictEqual(
        asked.fail.map(({ error, order_id }) => `${order_id}: ${error}`),
        ["broken: the work crashed: a bug"],
      );
    }),
  );

  it.effect("asks again for one that another session holds, alone", () =>
    Effect.gen(function* () {
      const { apart, asked, takeUp, unavailable } = yield* make({
        begin: refusing("held", 3),
      });
      yield* takeUp("A", "held", "B");
      assert.deepStrictEqual(asked.complete, [["A", "B"]]);
      assert.deepStrictEqual(apart, ["held"]);
      yield* TestClock.adjust("1 second");
      assert.deepStrictEqual(asked.complete, [["A", "B"], ["held"]]);
      assert.deepStrictEqual(asked.begin.slice(1), [
        ["held"],
        ["held"],
        ["held"],
      ]);
      assert.deepStrictEqual(unavailable, ["held", "held", "held"]);
    }),
  );

  it.effect("completes one whose row is held once it is free, alone", () =>
    Effect.gen(function* () {
      const { apart, asked, takeUp, unavailable } = yield* make({
        complete: refusing("held", 2),
      });
      yield* takeUp("A", "held", "B");
      assert.deepStrictEqual(apart, ["held"]);
      yield* TestClock.adjust("1 second");
      assert.deepStrictEqual(asked.complete, [
        ["A", "held", "B"],
        ["held"],
        ["held"],
      ]);
      assert.deepStrictEqual(asked.begin, [["A", "held", "B"]]);
      assert.deepStrictEqual(unavailable, ["held", "held"]);
    }),
  );

  it.effect("asks again while the database is away", () =>
    Effect.gen(function* () {
      let isAway = true;
      const { asked, takeUp, unavailable } = yield* make({
        isAway: () => isAway,
      });
      const taking = yield* Effect.forkChild(takeUp("A", "B"), {
        startImmediately: true,
      });
      yield* TestClock.adjust("1 second");
      assert.isUndefined(taking.pollUnsafe());
      assert.isAtLeast(unavailable.length, 2);
      isAway = false;
      yield* TestClock.adjust("1 second");
      assert.deepStrictEqual(asked.begin.at(-1), ["A", "B"]);
      assert.deepStrictEqual(asked.complete, [["A", "B"]]);
    }),
  );

  it.effect("begins nothing while draining", () =>
    Effect.gen(function* () {
      const { asked, takeUp } = yield* make({ isDraining: () => true });
      yield* takeUp("A", "B");
      assert.deepStrictEqual(asked.begin, []);
      assert.deepStrictEqual(asked.complete, []);
    }),
  );

  it.effect(
    "begins nothing once it is paused, also what waited for the database",
    () =>
      Effect.gen(function* () {
        let isAway = true;
        let isPaused = false;
        const { asked, putOff, takeUp } = yield* make({
          isAway: () => isAway,
          isPaused: () => isPaused,
        });
        const taking = yield* Effect.forkChild(takeUp("A", "B"));
        yield* TestClock.adjust("1 second");
        const asks = asked.begin.length;
        assert.isAtLeast(asks, 2);
        isPaused = true;
        isAway = false;
        yield* TestClock.adjust("1 second");
        assert.lengthOf(asked.begin, asks);
        assert.deepStrictEqual(asked.complete, []);
        assert.strictEqual(putOff(), 1);
        yield* Fiber.join(taking);
      }),
  );
});
