/**
 * What every `EventLog` keeps to, and with it the repository that writes it.
 * One suite, run over each of them: it knows nothing of how events are kept.
 */
import { assert, layer as withLayer } from "@effect/vitest";
import {
  Arbitrary,
  Cause,
  Context,
  type DateTime,
  Duration,
  Effect,
  type Layer,
  Option,
  Schema,
  type Scope,
} from "effect";
import type { OrderId } from "../../src/domain/Order.ts";
import {
  type EventPlace,
  isBefore,
  type OrderEvent,
} from "../../src/domain/OrderEvent.ts";
import { Partition } from "../../src/domain/Partition.ts";
import {
  Actor,
  type EventLog,
  EventsGone,
} from "../../src/persistence/EventLog.ts";
import type { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import { beginOne, completeOne } from "../support/oneOrder.ts";
import { id, newOrder } from "./orderRepositorySuite.ts";

type Repository = OrderRepository["Service"];
type Log = EventLog["Service"];

type Fresh = Effect.Effect<
  { readonly repository: Repository; readonly log: Log },
  never,
  Scope.Scope
>;

/** Where the suite gets its logs from, and how their time passes. */
export class LogSubject extends Context.Service<
  LogSubject,
  {
    /** A log in which nothing has happened. The one before is not used again. */
    readonly fresh: Fresh;
    /** The same without events: `EVENTS=off`. */
    readonly withoutEvents: Fresh;
    /** The clock moves on, by at least so much. */
    readonly pass: (time: Duration.Input) => Effect.Effect<void>;
  }
>()("test/EventLogSuite/LogSubject") {}

/** What the instance of the suite's repositories is called. */
export const instance = "one:8000";

const partition = Partition.make(7);

/** One read, as large as one may be. */
const everything = 1000;

/** Reads on until so many events have come: what is new may not be settled. */
export const readOn = Effect.fnUntraced(function* (
  log: Log,
  from: EventPlace,
  count: number,
  limit = everything,
) {
  const events: Array<OrderEvent> = [];
  let place = from;
  while (events.length < count) {
    const read = yield* log.read(place, limit);
    assert.isAtMost(read.events.length, limit);
    events.push(...read.events);
    place = read.end;
  }
  return { events, end: place };
});

const allOf = (log: Log, count: number) =>
  Effect.flatMap(log.oldest, (oldest) =>
    Effect.map(readOn(log, oldest, count), ({ events }) => events),
  );

/** Has an attempt begun by the owner of the partition. */
const beginning = Effect.fnUntraced(function* (
  repository: Repository,
  order_id: OrderId,
  epoch: number,
) {
  const { attempt } = Option.getOrThrow(
    yield* beginOne(repository, order_id, epoch),
  );
  return { order_id, attempt };
});

const updatedAt = (repository: Repository, order_id: string) =>
  Effect.map(
    repository.find(order_id),
    (order) => Option.getOrThrow(order).updated_at,
  );

const millis = (time: DateTime.Utc | null | undefined) =>
  time?.epochMilliseconds;

/** An order with every move that there is, and when each was made. */
const everyMove = Effect.fnUntraced(function* ({
  pass,
  repository,
}: { repository: Repository } & Pick<LogSubject["Service"], "pass">) {
  const { epoch } = yield* repository.claim(partition);
  const order_id = id("A");
  const times: Array<DateTime.Utc> = [];
  const note = Effect.gen(function* () {
    times.push(yield* updatedAt(repository, order_id));
    yield* pass("5 millis");
  });
  const begin = beginning(repository, order_id, epoch);
  yield* repository.insert(newOrder("A", { user_id: "U1" }), partition);
  yield* note;
  const failed = yield* begin;
  yield* pass("5 millis");
  yield* repository.fail({
    ...failed,
    error: "no stock",
    wait: Duration.zero,
  });
  yield* note;
  const lost = yield* begin;
  yield* repository.fail({
    ...lost,
    ...{ error: "the attempt was lost", isLost: true, epoch },
    wait: Duration.zero,
  });
  yield* note;
  const givenBack = yield* begin;
  yield* repository.release({
    ...givenBack,
    wait: Duration.zero,
    error: "nobody answered",
  });
  yield* pass("5 millis");
  const buried = yield* begin;
  yield* repository.fail({ ...buried, error: "refused", wait: undefined });
  yield* note;
  yield* Effect.provideService(repository.retry("A"), Actor, "ops");
  yield* note;
  const done = yield* begin;
  yield* pass("5 millis");
  yield* completeOne(repository, done);
  yield* note;
  return times;
});

const isGone = (reason: EventsGone["reason"], error: unknown) => {
  assert.instanceOf(error, EventsGone);
  assert.strictEqual((error as EventsGone).reason, reason);
};

/** A law: it holds for any value of the schema, so many of them tried. */
export const holds = <S extends Schema.Constraint, A, E, R>(
  schema: S,
  runs: number,
  law: (value: S["Type"]) => Effect.Effect<A, E, R>,
) =>
  Arbitrary.checkEffect(
    Arbitrary.schema(schema),
    (value) =>
      Effect.suspend(() => law(value)).pipe(
        Effect.as(true),
        Effect.catchCause((cause) => Effect.fail(Cause.squash(cause))),
        Effect.scoped,
      ),
    { runs, concurrency: 1 },
  ).pipe(
    Effect.map((result) =>
      assert.isUndefined(Arbitrary.formatCheckFailure(result)),
    ),
  );

/** A way through the log: where it begins, and how much is read each time. */
const Reading = Schema.Struct({
  from: Schema.Int.check(Schema.isBetween({ minimum: -1, maximum: 59 })),
  sizes: Schema.NonEmptyArray(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20 })),
  ),
});

export const eventLogSuite = <E>(
  name: string,
  layer: Layer.Layer<LogSubject, E>,
  options: {
    /** Ways tried for each law: fewer where each step is slow. */
    readonly runs: number;
    /** Leave the time to Effect's own test clock. */
    readonly isOnTestClock: boolean;
  },
): void =>
  withLayer(layer, {
    excludeTestServices: !options.isOnTestClock,
    timeout: "60 seconds",
  })(name, (it) => {
    const subject = Effect.gen(function* () {
      const { fresh, pass } = yield* LogSubject;
      return { ...(yield* fresh), pass };
    });

    it.effect("has nothing to tell until something happens", () =>
      Effect.gen(function* () {
        const { log } = yield* subject;
        assert.isTrue(log.isOn);
        const oldest = yield* log.oldest;
        const read = yield* log.read(oldest, 10);
        assert.deepStrictEqual([read.events, read.isEnd], [[], true]);
        assert.isUndefined(yield* log.oldestAfter(oldest));
      }),
    );

    it.effect("tells of each move what others have to know", () =>
      Effect.gen(function* () {
        const { log, pass, repository } = yield* subject;
        const times = yield* everyMove({ repository, pass });
        yield* repository.insert(newOrder("B", { user_id: "U2" }), partition);
        yield* Effect.provideService(repository.cancel("B"), Actor, "ops");
        times.push(yield* updatedAt(repository, "B"));
        const events = yield* allOf(log, 8);
        const A = { order_id: "A", user_id: "U1" };
        const B = { order_id: "B", user_id: "U2" };
        const due = { next_attempt_at: true };
        assert.deepStrictEqual(
          events.map(({ id: _, place: __, time: ___, ...event }) => ({
            ...event,
            ...(event.next_attempt_at && due),
          })) as unknown,
          [
            { type: "order.placed", ...A, status: "PENDING", attempt: 0 },
            {
              ...{ type: "order.attempt_failed", ...A, status: "PENDING" },
              ...{ attempt: 1, error: "no stock", ...due },
            },
            {
              ...{ type: "order.attempt_failed", ...A, status: "PENDING" },
              ...{ attempt: 2, error: "the attempt was lost", lost: true },
              ...due,
            },
            {
              ...{ type: "order.failed", ...A, status: "FAILED" },
              ...{ attempt: 4, error: "refused" },
            },
            {
              ...{ type: "order.retried", ...A, status: "PENDING" },
              ...{ attempt: 4, actor: "ops" },
            },
            { type: "order.completed", ...A, status: "COMPLETED", attempt: 5 },
            { type: "order.placed", ...B, status: "PENDING", attempt: 0 },
            {
              ...{ type: "order.cancelled", ...B, status: "CANCELLED" },
              ...{ attempt: 0, actor: "ops" },
            },
          ],
        );
        const [, ...later] = events.slice(-2);
        assert.deepStrictEqual(
          [...events.slice(0, 6), ...later].map(({ time }) => millis(time)),
          times.map(millis),
        );
        for (const { next_attempt_at, time } of events) {
          if (next_attempt_at === undefined) continue;
          assert.closeTo(millis(next_attempt_at) ?? 0, millis(time) ?? 0, 1);
        }
      }),
    );

    it.effect("tells when the next attempt is", () =>
      Effect.gen(function* () {
        const { log, repository } = yield* subject;
        const { epoch } = yield* repository.claim(partition);
        yield* repository.insert(newOrder("A"), partition);
        const attempt = yield* beginning(repository, id("A"), epoch);
        yield* repository.fail({
          ...attempt,
          error: "",
          wait: Duration.hours(1),
        });
        const [, failed] = yield* allOf(log, 2);
        const order = Option.getOrThrow(yield* repository.find("A"));
        assert.strictEqual(
          millis(failed?.next_attempt_at),
          millis(order.next_attempt_at),
        );
        assert.closeTo(
          (millis(failed?.next_attempt_at) ?? 0) - (millis(failed?.time) ?? 0),
          3_600_000,
          1,
        );
      }),
    );

    it.effect("tells nothing of what did not happen", () =>
      Effect.gen(function* () {
        const { log, repository } = yield* subject;
        const { epoch } = yield* repository.claim(partition);
        yield* repository.insert(newOrder("A"), partition);
        yield* repository.insert(newOrder("A"), partition);
        yield* repository.retry("A");
        yield* repository.cancel("nobody");
        const attempt = yield* beginning(repository, id("A"), epoch);
        const stale = { ...attempt, attempt: attempt.attempt + 1 };
        yield* completeOne(repository, stale);
        yield* repository.fail({ ...stale, error: "no", wait: undefined });
        yield* repository.cancel("A");
        yield* completeOne(repository, attempt);
        yield* completeOne(repository, attempt);
        const events = yield* allOf(log, 2);
        assert.deepStrictEqual(
          events.map(({ type }) => type),
          ["order.placed", "order.completed"],
        );
      }),
    );

    it.effect(
      "has the events of each order in their order, and each id once",
      () =>
        Effect.gen(function* () {
          const { log, repository } = yield* subject;
          const { epoch } = yield* repository.claim(partition);
          const live = Array.from({ length: 40 }, (_, index) =>
            Effect.gen(function* () {
              const order_id = id(`A${index}`);
              yield* repository.insert(newOrder(order_id), partition);
              const first = yield* beginning(repository, order_id, epoch);
              yield* repository.fail({
                ...first,
                error: "no",
                wait: undefined,
              });
              yield* repository.retry(order_id);
              const last = yield* beginning(repository, order_id, epoch);
              yield* completeOne(repository, last);
            }),
          );
          yield* Effect.all(live, { concurrency: "unbounded" });
          const events = yield* allOf(log, 160);
          assert.strictEqual(new Set(events.map(({ id }) => id)).size, 160);
          events.reduce((one, other) => {
            assert.isTrue(isBefore(one.place, other.place));
            return other;
          });
          for (const [, of] of Map.groupBy(events, (_) => _.order_id)) {
            assert.deepStrictEqual(
              of.map(({ type }) => type),
              [
                "order.placed",
                "order.failed",
                "order.retried",
                "order.completed",
              ],
            );
          }
        }),
    );

    it.effect("is the same in pages of any size, from any id on", () =>
      Effect.gen(function* () {
        const { log, repository } = yield* subject;
        const { epoch } = yield* repository.claim(partition);
        const ids = Array.from({ length: 30 }, (_, index) => id(`A${index}`));
        // Ten at a time: records of many events, and of one.
        for (const some of [ids.slice(0, 25), ...ids.slice(25).map((_) => [_])])
          yield* Effect.forEach(
            some,
            (order_id) =>
              Effect.gen(function* () {
                yield* repository.insert(newOrder(order_id), partition);
                const attempt = yield* beginning(repository, order_id, epoch);
                yield* completeOne(repository, attempt);
              }),
            { concurrency: "unbounded" },
          );
        const events = yield* allOf(log, 60);
        yield* holds(Reading, options.runs, ({ from, sizes }) =>
          Effect.gen(function* () {
            const first = events[from];
            let place = yield* first === undefined
              ? log.oldest
              : log.place(first.id);
            const read: Array<OrderEvent> = [];
            for (let turn = 0; ; turn += 1) {
              const size = sizes[turn % sizes.length] as number;
              const page = yield* log.read(place, size);
              read.push(...page.events);
              assert.strictEqual(page.isEnd, page.events.length < size);
              // Where it ended, as an id, is the same place.
              place = yield* log.place(page.endId);
              if (page.isEnd) break;
            }
            assert.deepStrictEqual(
              read.map(({ id }) => id),
              events.slice(from + 1).map(({ id }) => id),
            );
          }),
        );
      }),
    );

    it.effect("leads with an id to what comes after its event", () =>
      Effect.gen(function* () {
        const { log, repository } = yield* subject;
        for (const order_id of ["A", "B"]) {
          yield* repository.insert(newOrder(order_id), partition);
        }
        const [A, B] = yield* allOf(log, 2);
        assert.isDefined(A);
        assert.isDefined(B);
        const place = yield* log.place(A?.id ?? "");
        assert.strictEqual(yield* log.idOf(place), A?.id);
        const { events } = yield* readOn(log, place, 1);
        assert.deepStrictEqual(events, [B] as typeof events);
        assert.strictEqual(yield* log.oldestAfter(place), millis(B?.time));
        const last = yield* log.place(B?.id ?? "");
        assert.isUndefined(yield* log.oldestAfter(last));
      }),
    );

    it.effect(
      "has no event before `latest` after it, and each that follows",
      () =>
        Effect.gen(function* () {
          const { log, repository } = yield* subject;
          yield* repository.insert(newOrder("A"), partition);
          // Settled, so that it is before.
          yield* allOf(log, 1);
          const latest = yield* log.latest;
          const again = yield* log.place(yield* log.idOf(latest));
          yield* repository.insert(newOrder("B"), partition);
          for (const place of [latest, again]) {
            const { events } = yield* readOn(log, place, 1);
            assert.deepStrictEqual(
              events.map(({ order_id }) => String(order_id)),
              ["B"],
            );
          }
        }),
    );

    it.effect("wakes who waits for it, when something happens", () =>
      Effect.gen(function* () {
        const { log, repository } = yield* subject;
        const woken = yield* Effect.forkScoped(log.untilWritten, {
          startImmediately: true,
        });
        yield* repository.insert(newOrder("A"), partition);
        yield* log.untilWritten.pipe(
          Effect.raceFirst(Effect.yieldNow),
          Effect.andThen(Effect.void),
        );
        assert.isDefined(woken.pollUnsafe());
      }),
    );

    it.effect("knows the ids that are not its own", () =>
      Effect.gen(function* () {
        const { log, repository } = yield* subject;
        yield* repository.insert(newOrder("A"), partition);
        const [event] = yield* allOf(log, 1);
        const { id: given = "", place = { record: 0n, index: 0 } } =
          event ?? {};
        for (const other of [
          given.replace(/^[^-]*/, "another"),
          "another-1-0",
          "latest",
          "",
          "x",
        ]) {
          isGone("another database", yield* Effect.flip(log.place(other)));
        }
        // Not given yet; and as it was in the database that this was before.
        for (const place_ of [
          { ...place, record: place.record + 1_000_000n },
          { ...place, at: (place.at ?? 0) + 1 },
        ]) {
          isGone("another database", yield* Effect.flip(log.read(place_, 1)));
        }
      }),
    );

    it.effect("tells nothing where events are off, and keeps histories", () =>
      Effect.gen(function* () {
        const { pass, withoutEvents } = yield* LogSubject;
        const { log, repository } = yield* withoutEvents;
        assert.isFalse(log.isOn);
        yield* everyMove({ repository, pass });
        yield* repository.insert(newOrder("B"), partition);
        yield* repository.cancel("B");
        assert.isUndefined(yield* log.oldestAfter(yield* log.oldest));
        const history = yield* repository.history("A");
        assert.lengthOf(Option.getOrThrow(history), 7);
      }),
    );

    // histories

    it.effect("has in an order's history all that became of it", () =>
      Effect.gen(function* () {
        const { pass, repository } = yield* subject;
        const times = yield* everyMove({ repository, pass });
        const history = Option.getOrThrow(yield* repository.history("A"));
        const shown = history.map((entry) =>
          entry.type === "attempt"
            ? [entry.attempt, entry.outcome, entry.error]
            : "actor" in entry
              ? [entry.type, entry.actor]
              : [entry.type],
        );
        assert.deepStrictEqual(shown, [
          ["placed"],
          [1, "failed", "no stock"],
          [2, "lost", "the attempt was lost"],
          [3, "given_back", "nobody answered"],
          [4, "failed", "refused"],
          ["retried", "ops"],
          [5, "completed", null],
        ]);
        const ended = history.flatMap((entry) => {
          if (entry.type !== "attempt") return [];
          assert.strictEqual(entry.instance, instance);
          assert.strictEqual(millis(entry.time), millis(entry.began_at));
          return [entry];
        });
        assert.deepStrictEqual(
          [0, 1, 3, 4].map((at) => millis(ended[at]?.ended_at)),
          [1, 2, 3, 5].map((at) => millis(times[at])),
        );
        for (const { began_at, ended_at } of [ended[0], ended[4]].flatMap(
          (_) => _ ?? [],
        )) {
          assert.isAtLeast(
            (millis(ended_at) ?? 0) - (millis(began_at) ?? 0),
            5,
          );
        }
        assert.strictEqual(millis(history[0]?.time), millis(times[0]));
        assert.strictEqual(millis(history[5]?.time), millis(times[4]));
      }),
    );

    it.effect("has an attempt that is under way in it, without an end", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        const { epoch } = yield* repository.claim(partition);
        yield* repository.insert(newOrder("A"), partition);
        assert.lengthOf(Option.getOrThrow(yield* repository.history("A")), 1);
        yield* beginning(repository, id("A"), epoch);
        const [, underway] = Option.getOrThrow(yield* repository.history("A"));
        assert.deepInclude(underway, {
          ...{ type: "attempt", attempt: 1, instance },
          ...{ outcome: null, ended_at: null, error: null },
        });
      }),
    );

    it.effect("says who cancelled an order, where that is known", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        yield* repository.insert(newOrder("A"), partition);
        yield* repository.insert(newOrder("B"), partition);
        yield* Effect.provideService(repository.cancel("A"), Actor, "ops");
        yield* repository.cancel("B");
        for (const [order_id, actor] of [
          ["A", "ops"],
          ["B", null],
        ] as const) {
          const history = yield* repository.history(order_id);
          const [, cancelled] = Option.getOrThrow(history);
          assert.deepStrictEqual(cancelled as unknown, {
            type: "cancelled",
            time: yield* updatedAt(repository, order_id),
            actor,
          });
        }
      }),
    );

    it.effect("has no history of an order that is not there", () =>
      Effect.gen(function* () {
        const { repository } = yield* subject;
        yield* repository.insert(newOrder("A"), partition);
        for (const order_id of ["B", "a", "", "A\0", "\ud800"]) {
          assert.isTrue(Option.isNone(yield* repository.history(order_id)));
        }
      }),
    );
  });
