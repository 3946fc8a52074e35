/**
 * Events are posted to subscriptions in their order and at least once, whatever
 * happens to the receiver and to those who post.
 */
import { assert, describe, it } from "@effect/vitest";
import {
  Deferred,
  Duration,
  Effect,
  Fiber,
  Layer,
  Metric,
  Random,
} from "effect";
import { TestClock } from "effect/testing";
import { Partition } from "../../src/domain/Partition.ts";
import { EventFollower } from "../../src/events/EventFollower.ts";
import { SubscriptionDelivery } from "../../src/events/SubscriptionDelivery.ts";
import { SubscriptionDispatchers } from "../../src/events/SubscriptionDispatchers.ts";
import { lagOf } from "../../src/events/SubscriptionMetrics.ts";
import { WritesEvents } from "../../src/persistence/EventLog.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import { SubscriptionStore } from "../../src/persistence/SubscriptionStore.ts";
import * as SubscriptionStoreMemory from "../../src/persistence/SubscriptionStoreMemory.ts";
import { makeWorld, refused, taken } from "./subscriptionWorld.ts";

const numbered = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, n) => `${prefix}${n}`);

const placed = (ids: ReadonlyArray<string>) =>
  ids.map((id) => `order.placed ${id}`);

describe("a subscription", () => {
  it.effect("gets what happens from when it was made, in order", () =>
    Effect.gen(function* () {
      const { complete, find, instance, place, receiver, soon, subscribe } =
        yield* makeWorld;
      yield* place("BEFORE");
      yield* subscribe("s");
      yield* instance("one");
      yield* place("A", "B");
      yield* complete("B");
      yield* soon;
      yield* complete("A");
      yield* soon;
      assert.deepStrictEqual(receiver.taken, [
        "order.placed A",
        "order.placed B",
        "order.completed B",
        "order.completed A",
      ]);
      const { delivered, delivered_at, lag_seconds } = yield* find("s");
      assert.deepStrictEqual([delivered, lag_seconds], [4, 0]);
      assert.isNotNull(delivered_at);
    }),
  );

  it.effect("gets a hundred at once, and more once these were answered", () =>
    Effect.gen(function* () {
      const { instance, place, receiver, soon, subscribe } = yield* makeWorld;
      const answer = yield* Deferred.make<typeof taken>();
      receiver.answer = Deferred.await(answer);
      yield* subscribe("s");
      const ids = numbered("O", 250);
      yield* place(...ids);
      yield* instance("one");
      yield* soon;
      assert.deepStrictEqual(
        receiver.calls.map(({ events }) => events.length),
        [100],
      );
      yield* Deferred.succeed(answer, taken);
      yield* soon;
      assert.deepStrictEqual(
        receiver.calls.map(({ events }) => events.length),
        [100, 100, 50],
      );
      assert.deepStrictEqual(receiver.taken, placed(ids));
      assert.strictEqual(new Set(receiver.calls.map(({ id }) => id)).size, 3);
    }),
  );

  it.effect("gets only the types it wants, and passes over the others", () =>
    Effect.gen(function* () {
      const {
        complete,
        find,
        instance,
        place,
        receiver,
        soon,
        store,
        subscribe,
      } = yield* makeWorld;
      yield* subscribe("s", { types: ["order.completed"] });
      yield* place(...numbered("O", 1500));
      yield* complete("O1499");
      yield* place("LAST");
      yield* instance("one");
      yield* soon;
      assert.deepStrictEqual(receiver.taken, ["order.completed O1499"]);
      yield* TestClock.adjust("2 seconds");
      const { delivered, lag_seconds } = yield* find("s");
      // Its place is after LAST, too, or that would be gone one day.
      assert.deepStrictEqual([delivered, lag_seconds], [1, 0]);
      const claim = yield* store.claim("s");
      assert.strictEqual(
        claim._tag === "Some" ? claim.value.place.record : 0n,
        1502n,
      );
    }),
  );

  it.effect("waits for a receiver that fails, and misses nothing", () =>
    Effect.gen(function* () {
      const { find, instance, place, receiver, soon, subscribe } =
        yield* makeWorld;
      receiver.answer = Effect.succeed(refused);
      yield* subscribe("s");
      yield* instance("one");
      yield* place("A");
      yield* soon;
      yield* place("B");
      yield* TestClock.adjust("10 minutes");
      // Waits of 1/2..1, 1..2, 2..4 s and so on, up to 2.5..5 minutes.
      assert.isAtLeast(receiver.calls.length, 9);
      assert.isAtMost(receiver.calls.length, 13);
      const ids = new Set(receiver.calls.map(({ id }) => id));
      assert.strictEqual(ids.size, 1, "the same batch has the same id");
      const failing = yield* find("s");
      assert.strictEqual(failing.failures, receiver.calls.length);
      assert.strictEqual(failing.last_error, "the receiver answered 503");
      assert.isNotNull(failing.failing_since);
      assert.isNotNull(failing.next_attempt_at);
      assert.isAtLeast(failing.lag_seconds, 600);
      const { value } = yield* Metric.value(lagOf("s"));
      assert.isAtLeast(value, 600);
      receiver.answer = Effect.succeed(taken);
      yield* TestClock.adjust("5 minutes");
      assert.deepStrictEqual(receiver.taken, placed(["A", "B"]));
      const back = yield* find("s");
      assert.deepStrictEqual(
        [back.failures, back.failing_since, back.next_attempt_at],
        [0, null, null],
      );
    }),
  );

  it.effect(
    "leaves a receiver alone for as long as it asks, up to an hour",
    () =>
      Effect.gen(function* () {
        const { instance, place, receiver, soon, subscribe } = yield* makeWorld;
        receiver.answer = Effect.succeed({
          ...refused,
          retryAfter: Duration.minutes(30),
        });
        yield* subscribe("s");
        yield* instance("one");
        yield* place("A");
        yield* soon;
        yield* TestClock.adjust("29 minutes");
        assert.strictEqual(receiver.calls.length, 1);
        receiver.answer = Effect.succeed({
          ...refused,
          retryAfter: Duration.days(1),
        });
        yield* TestClock.adjust("1 minute");
        assert.strictEqual(receiver.calls.length, 2);
        yield* TestClock.adjust("59 minutes");
        assert.strictEqual(receiver.calls.length, 2);
        yield* TestClock.adjust("1 minute");
        assert.strictEqual(receiver.calls.length, 3);
      }),
  );

  it.effect("is disabled after five days of failing, and can be resumed", () =>
    Effect.gen(function* () {
      const { find, instance, place, receiver, soon, store, subscribe } =
        yield* makeWorld;
      receiver.answer = Effect.succeed(refused);
      yield* subscribe("s");
      yield* place("A");
      const first = yield* instance("one");
      yield* soon;
      yield* first.stop;
      const since = (yield* find("s")).failing_since;
      // Nobody dispatches meanwhile: the time counts all the same.
      yield* TestClock.adjust(
        Duration.subtract(Duration.days(5), Duration.minutes(1)),
      );
      const second = yield* instance("two");
      yield* soon;
      const still = yield* find("s");
      assert.deepStrictEqual(
        [still.status, still.failing_since],
        ["ACTIVE", since],
      );
      yield* second.stop;
      yield* TestClock.adjust("5 minutes");
      yield* instance("three");
      yield* soon;
      const disabled = yield* find("s");
      assert.strictEqual(disabled.status, "DISABLED");
      assert.match(disabled.reason ?? "", /took nothing for 5d/);
      const calls = receiver.calls.length;
      yield* TestClock.adjust("10 minutes");
      assert.strictEqual(receiver.calls.length, calls);
      receiver.answer = Effect.succeed(taken);
      yield* store.resume("s");
      yield* soon;
      assert.deepStrictEqual(receiver.taken, placed(["A"]));
    }),
  );

  it.effect("is disabled where what it should get is gone, never skipped", () =>
    Effect.gen(function* () {
      const { find, instance, place, receiver, soon, subscribe } =
        yield* makeWorld;
      yield* subscribe("s", { place: { record: 99n, index: 0 } });
      yield* place("A");
      yield* instance("one");
      yield* soon;
      const { reason, status } = yield* find("s");
      assert.strictEqual(status, "DISABLED");
      assert.match(reason ?? "", /not in the log of events any more/);
      assert.deepStrictEqual(receiver.calls, []);
    }),
  );

  it.effect("is soon paused, resumed and deleted", () =>
    Effect.gen(function* () {
      const { instance, place, receiver, soon, store, subscribe } =
        yield* makeWorld;
      yield* instance("one");
      yield* subscribe("s");
      yield* soon;
      yield* store.pause("s");
      yield* soon;
      yield* place("A");
      yield* soon;
      assert.deepStrictEqual(receiver.taken, []);
      yield* store.resume("s");
      yield* soon;
      assert.deepStrictEqual(receiver.taken, placed(["A"]));
      yield* store.remove("s");
      yield* soon;
      yield* place("B");
      yield* soon;
      assert.deepStrictEqual(receiver.taken, placed(["A"]));
    }),
  );

  it.effect("is tried at once when it is resumed while it waits", () =>
    Effect.gen(function* () {
      const { instance, place, receiver, soon, store, subscribe } =
        yield* makeWorld;
      receiver.answer = Effect.succeed({
        ...refused,
        retryAfter: Duration.hours(1),
      });
      yield* subscribe("s");
      yield* instance("one");
      yield* place("A");
      yield* soon;
      receiver.answer = Effect.succeed(taken);
      yield* store.resume("s");
      yield* soon;
      assert.deepStrictEqual(receiver.taken, placed(["A"]));
    }),
  );
});

describe("a dispatcher", () => {
  it.effect(
    "that is killed in a delivery is followed by one that repeats it",
    () =>
      Effect.gen(function* () {
        const { complete, instance, place, receiver, soon, subscribe } =
          yield* makeWorld;
        yield* subscribe("s");
        yield* place("A", "B");
        const first = yield* instance("first");
        // It is posted, and taken, and nobody is left to say so.
        receiver.answer = Effect.sync(() => {
          first.state.isDead = true;
          return taken;
        });
        yield* soon;
        assert.deepStrictEqual(receiver.taken, placed(["A", "B"]));
        receiver.answer = Effect.succeed(taken);
        yield* complete("A");
        yield* instance("second");
        yield* soon;
        assert.deepStrictEqual(receiver.taken, [
          ...placed(["A", "B"]),
          ...placed(["A", "B"]),
          "order.completed A",
        ]);
      }),
  );

  it.effect(
    "that was overtaken stops, and what it says counts for nothing",
    () =>
      Effect.gen(function* () {
        const { find, instance, place, receiver, soon, subscribe } =
          yield* makeWorld;
        const late = yield* Deferred.make<typeof taken>();
        receiver.answer = Deferred.await(late);
        yield* subscribe("s");
        yield* place("A");
        const first = yield* instance("first");
        yield* soon;
        first.state.isDead = true;
        receiver.answer = Effect.succeed(taken);
        yield* instance("second");
        yield* place("B");
        yield* soon;
        assert.deepStrictEqual(receiver.taken, placed(["A", "B"]));
        first.state.isDead = false;
        yield* Deferred.succeed(late, taken);
        yield* place("C");
        yield* soon;
        const { delivered } = yield* find("s");
        assert.strictEqual(delivered, 3, "A is not counted twice");
        assert.deepStrictEqual(
          receiver.calls.filter(({ by }) => by === "first").length,
          1,
        );
        assert.deepStrictEqual(receiver.taken.at(-1), "order.placed C");
      }),
  );

  it.effect("sees that it was overtaken before it posts again", () =>
    Effect.gen(function* () {
      const { instance, place, receiver, soon, store, subscribe } =
        yield* makeWorld;
      yield* subscribe("s");
      yield* instance("first");
      yield* soon;
      yield* store.claim("s");
      yield* soon;
      yield* place("A");
      yield* soon;
      assert.deepStrictEqual(receiver.calls, []);
      // Whoever claimed it is gone again.
      yield* TestClock.adjust("10 seconds");
      assert.deepStrictEqual(receiver.taken, placed(["A"]));
    }),
  );

  it.effect("waits out a database that is away, and repeats nothing", () =>
    Effect.gen(function* () {
      const { find, instance, place, receiver, soon, subscribe } =
        yield* makeWorld;
      yield* subscribe("s");
      const one = yield* instance("one");
      yield* soon;
      receiver.answer = Effect.sync(() => {
        one.state.isAway = true;
        return taken;
      });
      yield* place("A");
      yield* TestClock.adjust("10 minutes");
      assert.strictEqual((yield* find("s")).delivered, 0);
      receiver.answer = Effect.succeed(taken);
      one.state.isAway = false;
      yield* place("B");
      yield* soon;
      assert.strictEqual((yield* find("s")).delivered, 2);
      assert.deepStrictEqual(receiver.taken, placed(["A", "B"]));
    }),
  );

  it.effect("lets a delivery under way end when it is to stop, for 5 s", () =>
    Effect.gen(function* () {
      const { find, instance, place, receiver, soon, subscribe } =
        yield* makeWorld;
      receiver.answer = Effect.as(Effect.sleep("5 seconds"), taken);
      yield* subscribe("s");
      const one = yield* instance("one");
      yield* place("A");
      yield* soon;
      const stopping = yield* Effect.forkChild(one.stop);
      yield* place("B");
      yield* TestClock.adjust("4 seconds");
      yield* Fiber.join(stopping);
      assert.strictEqual((yield* find("s")).delivered, 1);
      assert.deepStrictEqual(receiver.taken, placed(["A"]));

      receiver.answer = Effect.as(Effect.sleep("20 seconds"), taken);
      const two = yield* instance("two");
      yield* soon;
      const cut = yield* Effect.forkChild(two.stop);
      yield* TestClock.adjust("5 seconds");
      yield* Fiber.join(cut);
      yield* TestClock.adjust("30 seconds");
      assert.deepStrictEqual(receiver.taken, placed(["A"]));
      assert.strictEqual((yield* find("s")).failures, 0);
    }),
  );

  it.effect("keeps each order's events in order, whatever dies and fails", () =>
    Effect.gen(function* () {
      const { complete, instance, place, receiver, soon, subscribe } =
        yield* makeWorld;
      const chance = (share: number) =>
        Effect.map(Random.next, (random) => random < share);
      yield* subscribe("s");
      let name = 0;
      let one = yield* instance("0");
      receiver.answer = Effect.gen(function* () {
        if (yield* chance(0.3)) return refused;
        // Taken, and the one who posted it dies before it can say so.
        if (yield* chance(0.2)) one.state.isDead = true;
        return taken;
      });
      const ids = numbered("O", 60);
      for (const id of ids) {
        yield* place(id);
        if (yield* chance(0.5)) yield* complete(id);
        if (yield* chance(0.3)) yield* soon;
        if (one.state.isDead) {
          name += 1;
          one = yield* instance(String(name));
        }
      }
      receiver.answer = Effect.succeed(taken);
      yield* instance("last");
      yield* TestClock.adjust("10 minutes");
      assert.isAbove(name, 2);
      const firsts = Array.from(new Set(receiver.taken));
      for (const id of ids) {
        const placedAt = firsts.indexOf(`order.placed ${id}`);
        const completedAt = firsts.indexOf(`order.completed ${id}`);
        assert.isAbove(placedAt, -1, id);
        if (completedAt !== -1) assert.isAbove(completedAt, placedAt, id);
      }
      // Of what came first, all orders are in the order they were placed in.
      assert.deepStrictEqual(
        firsts.filter((event) => event.startsWith("order.placed")),
        placed(ids),
      );
    }).pipe(Random.withSeed("subscriptions")),
  );

  it.effect("does nothing where there are no events", () =>
    Effect.gen(function* () {
      let looks = 0;
      const counting = Layer.effect(
        SubscriptionStore,
        Effect.map(SubscriptionStore, (store) => ({
          ...store,
          active: Effect.suspend(() => {
            looks += 1;
            return store.active;
          }),
        })),
      ).pipe(Layer.provide(SubscriptionStoreMemory.layer));
      yield* Effect.gen(function* () {
        const { run } = yield* SubscriptionDispatchers;
        yield* Effect.forkScoped(run(Partition.make(0)));
        yield* TestClock.adjust("10 seconds");
      }).pipe(
        Effect.provide(
          SubscriptionDispatchers.layer.pipe(
            Layer.provide(EventFollower.layer),
            Layer.provide(counting),
            Layer.provide(Layer.mock(SubscriptionDelivery, {})),
            Layer.provide(OrderRepositoryMemory.layer),
            Layer.provide(Layer.succeed(WritesEvents, false)),
          ),
        ),
      );
      assert.strictEqual(looks, 0);
    }),
  );
});
