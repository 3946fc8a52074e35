import { assert, describe, it } from "@effect/vitest";
import { Clock, Duration, Effect } from "effect";
import { TestClock } from "effect/testing";
import { OrderId } from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import {
  type Failure,
  type LogPlace,
  type OpenOrder,
  RepositoryUnavailable,
  type Underway,
} from "../../src/persistence/OrderRepository.ts";
import * as AttemptEnd from "../../src/processor/AttemptEnd.ts";
import * as TakingBack from "../../src/processor/TakingBack.ts";

const partition = Partition.make(5);

const attemptAt = (name: string, attempts = 1): Underway => ({
  order_id: OrderId.make(name),
  attempt: 7,
  attempts,
});

/** Taking back at work, with all that it asked of the database. */
const start = Effect.fnUntraced(function* (options: {
  readonly underway?: () => ReadonlyArray<Underway>;
  readonly inHand?: ReadonlyArray<string>;
  /** How long a look takes, and whether the database is away. */
  readonly looksFor?: Duration.Duration;
  readonly isAway?: () => boolean;
  readonly fail?: () => boolean;
}) {
  const looks: Array<number> = [];
  const failures: Array<Failure> = [];
  const places: Array<LogPlace> = [];
  const reads: Array<number> = [];
  const takingBack = yield* TakingBack.make(partition, {
    repository: {
      readLog: () =>
        Effect.gen(function* () {
          looks.push((yield* Clock.currentTimeMillis) / 1000);
          yield* Effect.sleep(options.looksFor ?? Duration.zero);
          if (options.isAway?.() === true) {
            return yield* new RepositoryUnavailable({ reason: "away" });
          }
          const open = (options.underway?.() ?? []).map(
            (underway): OpenOrder => ({
              order_id: underway.order_id,
              item_bytes: 0,
              seq: 3n,
              underway,
            }),
          );
          return { open, readTo: 9n, isEnd: true, settledTo: 9n };
        }),
      keepPlace: (_, __, place) =>
        Effect.sync(() => {
          places.push(place);
        }),
    },
    attemptEnd: yield* AttemptEnd.make({
      repository: {
        complete: () => Effect.die("nothing is completed"),
        release: () => Effect.die("nothing is given back"),
        fail: (failure) =>
          Effect.sync(() => {
            failures.push(failure);
            return options.fail?.() ?? true;
          }),
      },
      retryPolicy: {
        maxAttempts: 3,
        base: Duration.seconds(1),
        cap: Duration.minutes(5),
      },
    }),
    intake: {
      readTo: () => 1_000_000n,
      isInHand: (order_id) => options.inHand?.includes(order_id) === true,
      inHandNow: () => new Set(),
      readAgain: () => {},
      readNow: () => reads.push(failures.length),
    },
  });
  yield* Effect.forkScoped(takingBack.run({ epoch: 4, place: 0n }));
  yield* TestClock.adjust(0);
  return { ...takingBack, looks, failures, places, reads };
});

describe("taking back", () => {
  it.effect("looks by the time since an answer was lost, and for good", () =>
    Effect.gen(function* () {
      const { doubt, looks } = yield* start({});
      yield* TestClock.adjust("100 seconds");
      assert.deepStrictEqual(looks, [0, 1, 3, 7, 16, 46, 76]);
      yield* TestClock.adjust("5 seconds");
      doubt();
      yield* TestClock.adjust("48 seconds");
      assert.deepStrictEqual(looks.slice(7), [105, 106, 108, 112, 121, 151]);
    }),
  );

  it.effect("looks no more than once a second, however much is lost", () =>
    Effect.gen(function* () {
      const { doubt, looks } = yield* start({});
      for (let n = 0; n < 100; n += 1) {
        doubt();
        yield* TestClock.adjust("100 millis");
      }
      assert.isAtMost(looks.length, 11);
      assert.isAtLeast(looks.length, 9);
    }),
  );

  it.effect("rests a hundred times as long as a look took, in doubt too", () =>
    Effect.gen(function* () {
      const { looks } = yield* start({ looksFor: Duration.millis(50) });
      yield* TestClock.adjust("17 seconds");
      assert.deepStrictEqual(looks, [0, 5.05, 10.1, 16]);
    }),
  );

  it.effect("rests no longer than half a minute, however long it took", () =>
    Effect.gen(function* () {
      const { looks } = yield* start({ looksFor: Duration.seconds(10) });
      yield* TestClock.adjust("90 seconds");
      assert.deepStrictEqual(looks, [0, 40, 80]);
    }),
  );

  it.effect(
    "ends what is lost as a failed attempt, and waits as after one",
    () =>
      Effect.gen(function* () {
        const { failures } = yield* start({
          underway: () => [attemptAt("in work"), attemptAt("lost", 2)],
          inHand: ["in work"],
        });
        assert.strictEqual(failures.length, 1);
        const [{ wait, error, ...failure }] = failures as [Failure];
        assert.deepStrictEqual(failure, {
          order_id: OrderId.make("lost"),
          attempt: 7,
          epoch: 4,
          isLost: true,
        });
        assert.match(error, /the attempt was lost/);
        // After the second of them: 2 s, of which up to a half is taken off.
        const millis = Duration.toMillis(wait ?? Duration.zero);
        assert.isAtLeast(millis, 1000);
        assert.isAtMost(millis, 2000);
      }),
  );

  it.effect("has the first one begun again at once, and later ones wait", () =>
    Effect.gen(function* () {
      const { failures, reads } = yield* start({
        underway: () => [attemptAt("later", 2), attemptAt("first")],
      });
      assert.deepStrictEqual(
        failures.map(({ order_id, wait }) => [order_id, wait]),
        [
          [OrderId.make("later"), failures[0]?.wait],
          [OrderId.make("first"), Duration.zero],
        ],
      );
      assert.isAbove(Duration.toMillis(failures[0]?.wait ?? 0), 0);
      // Read after it became due, and not for the one that waits.
      assert.deepStrictEqual(reads, [2]);
    }),
  );

  it.effect("has nothing read for an attempt that ended by itself", () =>
    Effect.gen(function* () {
      const { failures, reads } = yield* start({
        underway: () => [attemptAt("first")],
        fail: () => false,
      });
      assert.strictEqual(failures.length, 1);
      assert.deepStrictEqual(reads, []);
    }),
  );

  it.effect("makes a dead letter of an order without another attempt", () =>
    Effect.gen(function* () {
      const { failures } = yield* start({
        underway: () => [attemptAt("lost", 3)],
      });
      assert.strictEqual(failures[0]?.order_id, "lost");
      assert.isUndefined(failures[0]?.wait);
    }),
  );

  it.effect("looks again when the database is back", () =>
    Effect.gen(function* () {
      let isAway = true;
      const { failures } = yield* start({
        underway: () => [attemptAt("lost")],
        isAway: () => isAway,
      });
      yield* TestClock.adjust("1 hour");
      assert.strictEqual(failures.length, 0);
      isAway = false;
      yield* TestClock.adjust("1 second");
      assert.strictEqual(failures[0]?.order_id, "lost");
    }),
  );

  it.effect("keeps the place up to which all is done, and no further", () =>
    Effect.gen(function* () {
      const { places } = yield* start({
        underway: () => [attemptAt("in work")],
        inHand: ["in work"],
      });
      // An open order has the number 3.
      assert.deepStrictEqual(places, [2n]);
      yield* TestClock.adjust("1 minute");
      assert.deepStrictEqual(places, [2n]);
    }),
  );

  it("is done for as long as nothing is open, and nothing can appear", () => {
    const read = { open: [], readTo: 9n, isEnd: true, settledTo: 7n };
    assert.strictEqual(TakingBack.doneTo(read, 20n, 0n), 7n);
    assert.strictEqual(TakingBack.doneTo(read, 5n, 0n), 5n);
    assert.strictEqual(TakingBack.doneTo(read, 5n, 6n), 6n);
    assert.strictEqual(
      TakingBack.doneTo({ ...read, settledTo: 12n }, 20n, 0n),
      9n,
    );
  });
});
