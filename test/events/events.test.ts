/**
 * The feed, the streams, and the one reader of the log that they share: on a
 * log in memory, whose reads are counted, and a clock of the test's own.
 */
import { assert, describe, it } from "@effect/vitest";
import {
  Context,
  Duration,
  Effect,
  Fiber,
  Latch,
  Layer,
  Queue,
  Ref,
  Stream,
} from "effect";
import { TestClock } from "effect/testing";
import { Partition } from "../../src/domain/Partition.ts";
import { EventFeed } from "../../src/events/EventFeed.ts";
import { EventFollower, heldMax } from "../../src/events/EventFollower.ts";
import {
  EventStreams,
  type Heard,
  type ListenOptions,
  listenersMax,
  TooManyListeners,
} from "../../src/events/EventStreams.ts";
import { EventsAreOff, Places } from "../../src/events/Places.ts";
import {
  EventLog,
  EventsGone,
  WritesEvents,
} from "../../src/persistence/EventLog.ts";
import {
  OrderRepository,
  RepositoryUnavailable,
} from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import { newOrder } from "../persistence/orderRepositorySuite.ts";

const partition = Partition.make(7);

/** So long nothing happens until the log is read once a second. */
const untilIdle = Duration.seconds(10);

const room = Effect.fnUntraced(function* (writesEvents = true) {
  let reads = 0;
  const afterRead = yield* Ref.make<Effect.Effect<void>>(Effect.void);
  const isAway = { now: false };
  const counted = Layer.effect(
    EventLog,
    Effect.map(EventLog, (log) => ({
      ...log,
      read: (...asked: Parameters<typeof log.read>) =>
        Effect.suspend(() => {
          reads += 1;
          return isAway.now
            ? Effect.fail(new RepositoryUnavailable({ reason: "away" }))
            : Effect.tap(log.read(...asked), () =>
                Effect.flatten(Ref.getAndSet(afterRead, Effect.void)),
              );
        }),
    })),
  );
  const context = yield* Layer.mergeAll(
    EventFeed.layer,
    EventStreams.layer,
  ).pipe(
    Layer.provideMerge([EventFollower.layer, Places.layer]),
    Layer.provide(counted),
    Layer.provideMerge(OrderRepositoryMemory.layer),
    Layer.provide(Layer.succeed(WritesEvents, writesEvents)),
    Layer.fresh,
    Layer.build,
  );
  const repository = Context.get(context, OrderRepository);
  const streams = Context.get(context, EventStreams);
  return {
    feed: Context.get(context, EventFeed),
    streams,
    log: Context.get(context, EventLog),
    place: (order_id: string, user_id = "U") =>
      Effect.asVoid(
        Effect.orDie(
          repository.insert(newOrder(order_id, { user_id }), partition),
        ),
      ),
    /** How often the table was read, while this went on. */
    readsDuring: <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.suspend(() => {
        const before = reads;
        return Effect.map(effect, () => reads - before);
      }),
    /** Done once, after the next read has seen what there is. */
    afterNextRead: (effect: Effect.Effect<void>) => Ref.set(afterRead, effect),
    isAway,
    /** Listens, and has what comes in a queue. */
    listen: Effect.fnUntraced(function* (options: ListenOptions = {}) {
      const heard = yield* Queue.unbounded<Heard>();
      const stream = yield* streams.listen(options);
      const fiber = yield* stream.pipe(
        Stream.runForEach((some) => Queue.offerAll(heard, some)),
        Effect.forkScoped,
      );
      return { heard, fiber };
    }),
  };
});

const shown = (heard: Heard) =>
  heard._tag === "Event" ? String(heard.event.order_id) : heard._tag;

const allIn = (queue: Queue.Queue<Heard>) =>
  Effect.map(Queue.clear(queue), (heard) => heard.map(shown));

const isDone = (fiber: Fiber.Fiber<unknown, unknown>) =>
  fiber.pollUnsafe() !== undefined;

describe("the feed", () => {
  const query = { after: "latest", limit: 10 };

  it.effect("answers who waits as soon as something happens", () =>
    Effect.gen(function* () {
      const { feed, place } = yield* room();
      const page = yield* Effect.forkScoped(
        feed.page({ ...query, wait: Duration.seconds(30) }),
      );
      yield* TestClock.adjust(untilIdle);
      assert.isFalse(isDone(page));
      yield* place("A");
      yield* TestClock.adjust("25 millis");
      assert.isTrue(isDone(page));
      const { endId, events } = yield* Fiber.join(page);
      assert.deepStrictEqual(
        events.map(({ id }) => id),
        [endId],
      );
    }),
  );

  it.effect("waits on over what does not pass, and reads on behind it", () =>
    Effect.gen(function* () {
      const { feed, place } = yield* room();
      const page = yield* Effect.forkScoped(
        feed.page({
          ...{ ...query, user_id: "mine" },
          wait: Duration.seconds(30),
        }),
      );
      yield* TestClock.adjust(untilIdle);
      yield* place("A", "other");
      yield* TestClock.adjust("1 second");
      assert.isFalse(isDone(page));
      yield* place("B", "mine");
      yield* TestClock.adjust("1 second");
      const { events } = yield* Fiber.join(page);
      assert.deepStrictEqual(
        events.map(({ order_id }) => String(order_id)),
        ["B"],
      );
    }),
  );

  it.effect(
    "answers an empty page, and where to go on, when the time is over",
    () =>
      Effect.gen(function* () {
        const { feed, place } = yield* room();
        yield* place("A");
        const page = yield* Effect.forkScoped(
          feed.page({ ...query, wait: Duration.seconds(30) }),
        );
        yield* TestClock.adjust("29900 millis");
        assert.isFalse(isDone(page));
        yield* TestClock.adjust("100 millis");
        const { endId, events } = yield* Fiber.join(page);
        assert.isEmpty(events);
        yield* place("B");
        const next = yield* feed.page({
          ...{ after: endId, limit: 10 },
          wait: Duration.zero,
        });
        assert.deepStrictEqual(
          next.events.map(({ order_id }) => String(order_id)),
          ["B"],
        );
      }),
  );

  it.effect("lets those who wait go when the instance stops", () =>
    Effect.gen(function* () {
      const { feed } = yield* room();
      const asked = feed.page({ ...query, wait: Duration.seconds(30) });
      const page = yield* Effect.forkScoped(asked);
      yield* TestClock.adjust("1 second");
      yield* feed.stopWaiting;
      assert.isEmpty((yield* Fiber.join(page)).events);
      // Nor does anybody begin to wait.
      assert.isEmpty((yield* asked).events);
    }),
  );

  it.effect("is off where no events are written", () =>
    Effect.gen(function* () {
      const { feed, streams } = yield* room(false);
      const asked = feed.page({ ...query, wait: Duration.zero });
      assert.instanceOf(yield* Effect.flip(asked), EventsAreOff);
      assert.instanceOf(yield* Effect.flip(streams.listen({})), EventsAreOff);
    }),
  );

  it.effect("refuses an id of another database", () =>
    Effect.gen(function* () {
      const { feed } = yield* room();
      const asked = feed.page({
        ...{ after: "another-1-0", limit: 1 },
        wait: Duration.seconds(30),
      });
      assert.instanceOf(yield* Effect.flip(asked), EventsGone);
    }),
  );
});

describe("a stream", () => {
  it.effect("gives what there is, and what happens, from where it began", () =>
    Effect.gen(function* () {
      const { listen, place } = yield* room();
      yield* place("A");
      const { heard } = yield* listen();
      yield* TestClock.adjust(untilIdle);
      assert.deepStrictEqual(yield* allIn(heard), ["Start", "A"]);
      yield* place("B");
      yield* TestClock.adjust("25 millis");
      assert.deepStrictEqual(yield* allIn(heard), ["B"]);
    }),
  );

  it.effect(
    "comes back to its start without a loss, were it cut off then",
    () =>
      Effect.gen(function* () {
        const { listen, place } = yield* room();
        yield* place("A");
        const first = yield* listen({ after: "latest" });
        yield* TestClock.adjust("1 second");
        const [start] = yield* Queue.clear(first.heard);
        yield* Fiber.interrupt(first.fiber);
        yield* place("B");
        assert.strictEqual(start?._tag, "Start");
        const after = start?._tag === "Start" ? start.id : undefined;
        const { heard } = yield* listen({ after });
        yield* TestClock.adjust("1 second");
        assert.deepStrictEqual(yield* allIn(heard), ["Start", "B"]);
      }),
  );

  it.effect("gives a sign of life every 15 seconds, and says where it is", () =>
    Effect.gen(function* () {
      const { listen, log, place } = yield* room();
      const { heard } = yield* listen({ user_id: "nobody" });
      yield* TestClock.adjust("14 seconds");
      yield* place("A");
      assert.deepStrictEqual(yield* allIn(heard), ["Start"]);
      yield* TestClock.adjust("1 second");
      const [ping, ...more] = yield* Queue.clear(heard);
      assert.isEmpty(more);
      assert.deepStrictEqual(ping, {
        _tag: "Ping",
        id: yield* log.idOf(yield* log.latest),
      });
      yield* TestClock.adjust("15 seconds");
      assert.deepStrictEqual(yield* allIn(heard), ["Ping"]);
    }),
  );

  it.effect("tells of a gap, and goes on with the oldest", () =>
    Effect.gen(function* () {
      const { listen, place } = yield* room();
      yield* place("A");
      const { heard } = yield* listen({ after: "another-1-0" });
      yield* TestClock.adjust("1 second");
      assert.deepStrictEqual(yield* allIn(heard), ["Start", "Gap", "A"]);
    }),
  );

  it.effect("waits while the database is away", () =>
    Effect.gen(function* () {
      const { isAway, listen, place } = yield* room();
      const { fiber, heard } = yield* listen();
      yield* TestClock.adjust("1 second");
      isAway.now = true;
      yield* TestClock.adjust("1 minute");
      yield* place("A");
      isAway.now = false;
      yield* TestClock.adjust("3 seconds");
      assert.isFalse(isDone(fiber));
      assert.strictEqual((yield* allIn(heard)).at(-1), "A");
    }),
  );

  it.effect(
    "is cut off when its reader falls behind, who then misses nothing",
    () =>
      Effect.gen(function* () {
        const { listen, place, streams } = yield* room();
        const goesOn = Latch.makeUnsafe(true);
        const got: Array<Heard> = [];
        const reader = yield* Effect.forkScoped(
          Stream.runForEach(yield* streams.listen({}), (some) =>
            Effect.andThen(
              goesOn.await,
              Effect.sync(() => got.push(...some)),
            ),
          ),
        );
        // One who keeps up, so that the log is read on.
        const { fiber, heard } = yield* listen();
        yield* place("first");
        yield* TestClock.adjust("1 second");
        yield* goesOn.close;
        const count = heldMax * 1.5;
        for (let n = 0; n < count; n += 1) {
          yield* place(`${n}`);
          if (n % 500 === 0) yield* TestClock.adjust("100 millis");
        }
        yield* TestClock.adjust("1 second");
        assert.isFalse(isDone(fiber));
        assert.lengthOf(
          (yield* allIn(heard)).filter((_) => _ !== "Start" && _ !== "Ping"),
          count + 1,
        );

        yield* goesOn.open;
        yield* Fiber.join(reader);
        const events = got.flatMap((_) =>
          _._tag === "Event" ? [_.event] : [],
        );
        assert.isBelow(events.length, count);
        const again = yield* listen({ after: events.at(-1)?.id });
        const rest = yield* Queue.takeN(
          again.heard,
          1 + count + 1 - events.length,
        );
        const told = [
          ...events.map(({ order_id }) => String(order_id)),
          ...rest.slice(1).map(shown),
        ];
        const all = Array.from({ length: count }, (_, n) => `${n}`);
        assert.strictEqual(told.join(), ["first", ...all].join());
      }),
  );

  it.effect(
    "ends when the instance stops, and so do those that begin then",
    () =>
      Effect.gen(function* () {
        const { listen, streams } = yield* room();
        const { fiber } = yield* listen();
        yield* TestClock.adjust("1 second");
        assert.isFalse(isDone(fiber));
        yield* streams.end;
        yield* Fiber.join(fiber);
        yield* Fiber.join((yield* listen()).fiber);
      }),
  );

  it.effect("is refused where there are too many", () =>
    Effect.gen(function* () {
      const { listen, streams } = yield* room();
      const first = yield* listen();
      for (let n = 1; n < listenersMax; n += 1) yield* listen();
      yield* TestClock.adjust("1 millis");
      const refused = yield* Effect.flip(streams.listen({}));
      assert.instanceOf(refused, TooManyListeners);
      yield* Fiber.interrupt(first.fiber);
      yield* listen();
    }),
  );
});

describe("the reader of the log", () => {
  it.effect("reads once for all who follow it", () =>
    Effect.gen(function* () {
      const { listen, place, readsDuring } = yield* room();
      yield* place("A");
      const all = [];
      for (let n = 0; n < 100; n += 1) all.push(yield* listen());
      yield* TestClock.adjust(untilIdle);
      const idle = yield* readsDuring(TestClock.adjust("20 seconds"));
      assert.isAtLeast(idle, 18);
      assert.isAtMost(idle, 20);
      const busy = yield* readsDuring(
        Effect.andThen(place("B"), TestClock.adjust("100 millis")),
      );
      assert.isAtMost(busy, 2);
      for (const { heard } of all) {
        const told = (yield* allIn(heard)).filter((_) => _ !== "Ping");
        assert.deepStrictEqual(told, ["Start", "A", "B"]);
      }
    }),
  );

  it.effect("reads nothing while nobody follows it", () =>
    Effect.gen(function* () {
      const { listen, place, readsDuring } = yield* room();
      const none = yield* readsDuring(TestClock.adjust("1 minute"));
      assert.strictEqual(none, 0);
      const { fiber } = yield* listen();
      yield* TestClock.adjust("1 second");
      yield* Fiber.interrupt(fiber);
      yield* TestClock.adjust("1 second");
      const left = yield* readsDuring(
        Effect.andThen(place("A"), TestClock.adjust("1 minute")),
      );
      assert.strictEqual(left, 0);
      // And comes to what happened meanwhile.
      const { heard } = yield* listen();
      yield* TestClock.adjust("1 second");
      assert.deepStrictEqual(yield* allIn(heard), ["Start", "A"]);
    }),
  );

  it.effect("misses nothing that is written while it reads", () =>
    Effect.gen(function* () {
      const { afterNextRead, listen, place } = yield* room();
      const { heard } = yield* listen();
      yield* TestClock.adjust(untilIdle);
      yield* allIn(heard);
      yield* afterNextRead(place("A"));
      yield* TestClock.adjust("1 second");
      // It has read by then; at most so long ago.
      yield* TestClock.adjust("50 millis");
      assert.deepStrictEqual(yield* allIn(heard), ["A"]);
    }),
  );
});
