/**
 * What every `SubscriptionStore` keeps to. One suite, run over each of them.
 */
import { assert, layer as withLayer } from "@effect/vitest";
import {
  Context,
  Duration,
  Effect,
  type Layer,
  Option,
  type Scope,
} from "effect";
import type { EventPlace } from "../../src/domain/OrderEvent.ts";
import { Partition } from "../../src/domain/Partition.ts";
import {
  type NewSubscription,
  subscriptionsMax,
} from "../../src/domain/Subscription.ts";
import type { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import type { SubscriptionStore } from "../../src/persistence/SubscriptionStore.ts";
import { newOrder } from "./orderRepositorySuite.ts";

type Store = SubscriptionStore["Service"];

export interface Stores {
  readonly store: Store;
  /** Another instance's, of the same subscriptions. */
  readonly other: Store;
  /** Writes the events. */
  readonly repository: OrderRepository["Service"];
}

/** Where the suite gets its stores from, and how their time passes. */
export class StoreSubject extends Context.Service<
  StoreSubject,
  {
    /** Without subscriptions and orders. The one before is not used again. */
    readonly fresh: Effect.Effect<Stores, never, Scope.Scope>;
    readonly pass: (time: Duration.Input) => Effect.Effect<void>;
  }
>()("test/SubscriptionStoreSuite/StoreSubject") {}

const subject = Effect.gen(function* () {
  const { fresh, pass } = yield* StoreSubject;
  return { ...(yield* fresh), pass };
});

const start: EventPlace = { record: 0n, index: 0 };

const given = (id: string, place = start): NewSubscription => ({
  id,
  url: `https://receiver.example/${id}`,
  types: ["order.placed", "order.failed"],
  secret: `whsec_${id}`,
  place,
});

const found = (store: Store, id: string) =>
  Effect.map(store.find(id), Option.getOrThrow);

const claimed = (store: Store, id: string) =>
  Effect.map(store.claim(id), Option.getOrThrow);

const failure = { error: "the receiver answered 500", wait: Duration.zero };

export const subscriptionStoreSuite = (
  name: string,
  layer: Layer.Layer<StoreSubject, unknown>,
  { isOnTestClock }: { readonly isOnTestClock: boolean },
) =>
  withLayer(layer, { excludeTestServices: !isOnTestClock, timeout: 60_000 })(
    name,
    (it) => {
      it.effect("keeps a subscription as it was given", () =>
        Effect.gen(function* () {
          const { store } = yield* subject;
          const made = Option.getOrThrow(yield* store.insert(given("a")));
          const { created_at, ...rest } = made;
          assert.deepStrictEqual(rest, {
            id: "a",
            url: "https://receiver.example/a",
            types: ["order.placed", "order.failed"],
            status: "ACTIVE",
            reason: null,
            delivered: 0,
            delivered_at: null,
            failures: 0,
            failing_since: null,
            next_attempt_at: null,
            last_error: null,
            lag_seconds: 0,
          });
          assert.deepStrictEqual(yield* found(store, "a"), made);
          yield* store.insert({ ...given("b"), types: [] });
          const all = yield* store.list;
          assert.deepStrictEqual(
            all.map(({ id, types }) => [id, types.length]),
            [
              ["a", 2],
              ["b", 0],
            ],
          );
          assert.deepStrictEqual(
            Option.getOrThrow(yield* store.receiver("a")),
            { url: made.url, secret: "whsec_a" },
          );
          assert.isAbove(created_at.epochMilliseconds, -1);
        }),
      );

      it.effect("knows nothing of one that is not there", () =>
        Effect.gen(function* () {
          const { store } = yield* subject;
          yield* store.insert(given("gone"));
          assert.isTrue(yield* store.remove("gone"));
          assert.isFalse(yield* store.remove("gone"));
          const answers = yield* Effect.all([
            store.find("gone"),
            store.receiver("gone"),
            store.pause("gone"),
            store.resume("gone"),
            store.claim("gone"),
          ]);
          for (const answer of answers) assert.strictEqual(answer._tag, "None");
          assert.deepStrictEqual(yield* store.list, []);
          assert.deepStrictEqual(yield* store.active, []);
          const nobody = { id: "gone", epoch: 1 };
          assert.isFalse(yield* store.keepPlace(nobody, start, 1));
        }),
      );

      it.effect(
        "has at most a hundred, also of many made at once, each with its slot",
        () =>
          Effect.gen(function* () {
            const { other, store } = yield* subject;
            const made = yield* Effect.forEach(
              Array.from({ length: subscriptionsMax + 5 }, (_, n) => n),
              (n) => (n % 2 === 0 ? store : other).insert(given(`s${n}`)),
              { concurrency: 20 },
            );
            assert.strictEqual(
              made.filter(Option.isSome).length,
              subscriptionsMax,
            );
            const slots = (yield* store.active).map(({ slot }) => slot);
            assert.deepStrictEqual(
              slots.sort((a, b) => a - b),
              Array.from({ length: subscriptionsMax }, (_, n) => n),
            );
            const last = (yield* store.active).find(({ slot }) => slot === 41);
            yield* store.remove(last?.id ?? "");
            assert.isTrue(Option.isSome(yield* store.insert(given("new"))));
            const taken = (yield* store.active).find(({ id }) => id === "new");
            assert.strictEqual(taken?.slot, 41);
            assert.isTrue(Option.isNone(yield* store.insert(given("more"))));
          }),
      );

      it.effect("gives whoever claims it what there is to know", () =>
        Effect.gen(function* () {
          const { store } = yield* subject;
          const place = { record: 5_000_000_000n, index: 3, at: 1_700_000_000 };
          yield* store.insert(given("a", place));
          const { wait, ...rest } = yield* claimed(store, "a");
          assert.deepStrictEqual(rest, {
            id: "a",
            url: "https://receiver.example/a",
            types: ["order.placed", "order.failed"],
            secret: "whsec_a",
            epoch: 1,
            place,
            failures: 0,
          });
          assert.strictEqual(Duration.toMillis(wait), 0);
          const [active] = yield* store.active;
          assert.deepStrictEqual(active, {
            ...{ id: "a", slot: 0, resumed: 0, epoch: 1 },
          });
        }),
      );

      it.effect("refuses whatever a former dispatcher still says", () =>
        Effect.gen(function* () {
          const { store } = yield* subject;
          yield* store.insert(given("a"));
          const former = yield* claimed(store, "a");
          const latter = yield* claimed(store, "a");
          assert.isAbove(latter.epoch, former.epoch);
          const further = { record: 9n, index: 1 };
          assert.isFalse(yield* store.keepPlace(former, further, 7));
          assert.isTrue(Option.isNone(yield* store.fail(former, failure)));
          assert.isFalse(yield* store.disable(former, "no"));
          const after = yield* found(store, "a");
          assert.deepStrictEqual(
            [after.delivered, after.failures, after.status],
            [0, 0, "ACTIVE"],
          );
          assert.isTrue(yield* store.keepPlace(latter, further, 7));
          assert.deepStrictEqual((yield* claimed(store, "a")).place, further);
        }),
      );

      it.effect("counts what was taken, and moves its place", () =>
        Effect.gen(function* () {
          const { store } = yield* subject;
          yield* store.insert(given("a"));
          const mine = yield* claimed(store, "a");
          yield* store.fail(mine, failure);
          const passed = { record: 4n, index: 999_999 };
          yield* store.keepPlace(mine, passed, 0);
          const before = yield* found(store, "a");
          assert.deepStrictEqual([before.delivered, before.failures], [0, 1]);
          assert.isNull(before.delivered_at);
          const to = { record: 8n, index: 2, at: 1_700_000_000_000 };
          yield* store.keepPlace(mine, to, 3);
          yield* store.keepPlace(mine, to, 2);
          const after = yield* found(store, "a");
          assert.strictEqual(after.delivered, 5);
          assert.isNotNull(after.delivered_at);
          assert.deepStrictEqual(
            [after.failures, after.failing_since, after.last_error],
            [0, null, null],
          );
          assert.deepStrictEqual((yield* claimed(store, "a")).place, to);
        }),
      );

      it.effect("counts failures from the first on, and says when again", () =>
        Effect.gen(function* () {
          const { pass, store } = yield* subject;
          yield* store.insert(given("a"));
          const mine = yield* claimed(store, "a");
          const wait = Duration.minutes(5);
          const first = yield* store.fail(mine, failure);
          assert.isBelow(Duration.toMillis(Option.getOrThrow(first)), 2);
          const since = (yield* found(store, "a")).failing_since;
          yield* pass("300 millis");
          const second = yield* store.fail(mine, { error: "again", wait });
          assert.isAtLeast(Duration.toMillis(Option.getOrThrow(second)), 300);
          const { failing_since, failures, last_error, next_attempt_at } =
            yield* found(store, "a");
          assert.deepStrictEqual(
            [failures, last_error, failing_since],
            [2, "again", since],
          );
          assert.isAtLeast(
            Number(next_attempt_at?.epochMilliseconds) -
              Number(since?.epochMilliseconds),
            Duration.toMillis(wait) + 300,
          );
          const next = yield* claimed(store, "a");
          assert.strictEqual(next.failures, 2);
          assert.isAbove(Duration.toSeconds(next.wait), 200);
          assert.isAtMost(Duration.toSeconds(next.wait), 300);
        }),
      );

      it.effect("is paused: not dispatched, and keeps what was under way", () =>
        Effect.gen(function* () {
          const { store } = yield* subject;
          yield* store.insert(given("a"));
          const mine = yield* claimed(store, "a");
          yield* store.fail(mine, { ...failure, wait: Duration.hours(1) });
          const paused = Option.getOrThrow(yield* store.pause("a"));
          assert.deepStrictEqual(
            [paused.status, paused.next_attempt_at],
            ["PAUSED", null],
          );
          assert.deepStrictEqual(yield* store.active, []);
          assert.isTrue(Option.isNone(yield* store.claim("a")));
          assert.isTrue(Option.isNone(yield* store.fail(mine, failure)));
          assert.isFalse(yield* store.disable(mine, "no"));
          const to = { record: 2n, index: 0 };
          assert.isTrue(yield* store.keepPlace(mine, to, 1));
          assert.deepStrictEqual((yield* found(store, "a")).status, "PAUSED");
        }),
      );

      it.effect("is resumed as if its receiver had never failed", () =>
        Effect.gen(function* () {
          const { store } = yield* subject;
          yield* store.insert(given("a"));
          const mine = yield* claimed(store, "a");
          yield* store.fail(mine, { ...failure, wait: Duration.hours(1) });
          assert.isTrue(yield* store.disable(mine, "for a reason"));
          const disabled = yield* found(store, "a");
          assert.deepStrictEqual(
            [disabled.status, disabled.reason, disabled.next_attempt_at],
            ["DISABLED", "for a reason", null],
          );
          assert.strictEqual(disabled.last_error, failure.error);
          assert.isTrue(Option.isNone(yield* store.claim("a")));
          const paused = Option.getOrThrow(yield* store.pause("a"));
          assert.strictEqual(paused.status, "DISABLED");
          const resumed = Option.getOrThrow(yield* store.resume("a"));
          assert.deepStrictEqual(
            [
              ...[resumed.status, resumed.reason, resumed.failures],
              ...[resumed.failing_since, resumed.last_error],
            ],
            ["ACTIVE", null, 0, null, null],
          );
          assert.strictEqual((yield* store.active)[0]?.resumed, 1);
          const { failures, wait } = yield* claimed(store, "a");
          assert.deepStrictEqual([failures, Duration.toMillis(wait)], [0, 0]);
        }),
      );

      it.effect("says how old the oldest event after its place is", () =>
        Effect.gen(function* () {
          const { pass, repository, store } = yield* subject;
          yield* store.insert(given("a"));
          assert.strictEqual((yield* found(store, "a")).lag_seconds, 0);
          yield* repository.insert(newOrder("LAG1"), Partition.make(1));
          yield* pass("250 millis");
          yield* repository.insert(newOrder("LAG2"), Partition.make(1));
          const lag = (yield* found(store, "a")).lag_seconds;
          assert.isAtLeast(lag, 0.25);
          assert.isAtLeast((yield* store.list)[0]?.lag_seconds ?? 0, lag);
          const mine = yield* claimed(store, "a");
          // After all there are, however they are numbered.
          const end = { record: 1_000_000_000n, index: 0 };
          yield* store.keepPlace(mine, end, 2);
          assert.strictEqual((yield* found(store, "a")).lag_seconds, 0);
        }),
      );
    },
  );
