/** What every `ProcessingStore` keeps to. One suite, run over each of them. */
import { assert, layer as withLayer } from "@effect/vitest";
import {
  Context,
  DateTime,
  Duration,
  Effect,
  type Layer,
  Option,
  type Scope,
} from "effect";
import { historySeconds } from "../../src/domain/MetricsHistory.ts";
import { Partition } from "../../src/domain/Partition.ts";
import {
  changesShown,
  type InstanceReport,
  reportSeconds,
  running,
} from "../../src/domain/Processing.ts";
import type { OrderTally } from "../../src/persistence/OrderRepository.ts";
import type {
  ProcessingStore,
  Times,
} from "../../src/persistence/ProcessingStore.ts";

type Store = ProcessingStore["Service"];

/** Where the suite gets its stores from, and how their time passes. */
export class StoreSubject extends Context.Service<
  StoreSubject,
  {
    /** Running, without reports and samples. The one before is not used again. */
    readonly fresh: Effect.Effect<
      { readonly store: Store; readonly other: Store },
      never,
      Scope.Scope
    >;
    /** Makes all that is stored older: whole seconds, in tens. */
    readonly pass: (time: Duration.Duration) => Effect.Effect<void>;
    readonly now: Effect.Effect<DateTime.Utc>;
  }
>()("test/ProcessingStoreSuite/StoreSubject") {}

const subject = Effect.gen(function* () {
  const { fresh, now, pass } = yield* StoreSubject;
  return { ...(yield* fresh), pass, now };
});

const noTimes: Times = {
  waited_orders: 0,
  waited_seconds: 0,
  whole_orders: 0,
  whole_seconds: 0,
};

const report = (
  name: string,
  more: Partial<InstanceReport> = {},
): InstanceReport => ({
  name,
  version: "1.2.3",
  started_at: DateTime.makeUnsafe("2026-01-31T12:00:00.123Z"),
  state: "RUNNING",
  partitions: [Partition.make(0), Partition.make(31)],
  in_work: 3,
  mailbox_depth: 4,
  receiver: null,
  upkeep: ["No sample of the counts was stored for 6 minutes."],
  ...more,
});

const tally = (
  accepted: number,
  more: Partial<OrderTally> = {},
): OrderTally => ({
  accepted,
  counts: {
    PENDING: 1,
    PROCESSING: 2,
    COMPLETED: accepted,
    FAILED: 4,
    CANCELLED: 5,
  },
  archived: 0,
  failures: 6,
  processingSeconds: 0,
  oldestPendingSeconds: 7.5,
  ...more,
});

const tenSeconds = Duration.seconds(10);

export const processingStoreSuite = (
  name: string,
  layer: Layer.Layer<StoreSubject, unknown>,
  { isOnTestClock }: { readonly isOnTestClock: boolean },
) =>
  withLayer(layer, { excludeTestServices: !isOnTestClock, timeout: 60_000 })(
    name,
    (it) => {
      it.effect("runs until somebody pauses it, on every instance", () =>
        Effect.gen(function* () {
          const { other, store } = yield* subject;
          assert.deepStrictEqual(yield* store.control, running);
          const { control, isChanged } = yield* store.change("PAUSED", "ops");
          assert.isTrue(isChanged);
          assert.strictEqual(control.state, "PAUSED");
          assert.strictEqual(control.paused_by, "ops");
          assert.deepStrictEqual(yield* other.control, control);
          assert.deepStrictEqual(
            yield* other.report(report("b"), noTimes),
            control,
          );
          const resumed = yield* other.change("RUNNING", undefined);
          assert.deepStrictEqual(resumed, {
            isChanged: true,
            control: running,
          });
          assert.deepStrictEqual(yield* store.control, running);
        }),
      );

      it.effect("stays paused by who paused it first", () =>
        Effect.gen(function* () {
          const { other, pass, store } = yield* subject;
          const first = yield* store.change("PAUSED", undefined);
          assert.isNull(first.control.paused_by);
          yield* pass(Duration.zero);
          const second = yield* other.change("PAUSED", "another");
          assert.deepStrictEqual(second, {
            isChanged: false,
            control: first.control,
          });
          assert.lengthOf(yield* store.changes, 1);
        }),
      );

      it.effect("is changed once by many who ask at once", () =>
        Effect.gen(function* () {
          const { other, store } = yield* subject;
          const answers = yield* Effect.forEach(
            Array.from({ length: 10 }, (_, n) => n),
            (n) => (n % 2 === 0 ? store : other).change("PAUSED", `key ${n}`),
            { concurrency: 10 },
          );
          const changed = answers.filter(({ isChanged }) => isChanged);
          assert.lengthOf(changed, 1);
          for (const { control } of answers) {
            assert.deepStrictEqual(control, changed[0]?.control);
          }
        }),
      );

      it.effect("tells the latest changes, and keeps no end of them", () =>
        Effect.gen(function* () {
          const { store } = yield* subject;
          for (let n = 0; n < 130; n++) {
            yield* store.change(n % 2 === 0 ? "PAUSED" : "RUNNING", `key ${n}`);
          }
          const changes = yield* store.changes;
          assert.deepStrictEqual(
            changes.map(({ actor, state }) => [state, actor]),
            Array.from({ length: changesShown }, (_, n) => [
              n % 2 === 0 ? "RUNNING" : "PAUSED",
              `key ${129 - n}`,
            ]),
          );
        }),
      );

      it.effect("tells the instances as they say they are", () =>
        Effect.gen(function* () {
          const { other, store } = yield* subject;
          const b = report("b", {
            receiver: {
              circuit: "OPEN",
              since: DateTime.makeUnsafe("2026-01-31T12:00:00.001Z"),
              last_error: "the receiver answered 503",
              last_error_at: DateTime.makeUnsafe("2026-01-31T12:00:01.002Z"),
            },
          });
          const a = report("a", { partitions: [], state: "PAUSED" });
          yield* store.report(report("b"), noTimes);
          yield* store.report(b, noTimes);
          yield* other.report(a, noTimes);
          assert.deepStrictEqual(yield* store.instances, [a, b]);
          yield* store.withdraw("a");
          assert.deepStrictEqual(yield* store.instances, [b]);
        }),
      );

      it.effect("tells no instance that has been silent for long", () =>
        Effect.gen(function* () {
          const { pass, store } = yield* subject;
          yield* store.report(report("dead"), noTimes);
          yield* pass(Duration.seconds(reportSeconds));
          yield* store.report(report("living"), noTimes);
          const names = (yield* store.instances).map(({ name }) => name);
          assert.deepStrictEqual(names, ["living"]);
        }),
      );

      it.effect("keeps one sample of ten seconds, whoever comes first", () =>
        Effect.gen(function* () {
          const { now, other, pass, store } = yield* subject;
          // Two in a row are within the same ten seconds, or the next two are.
          const first = yield* store.keepSample(tally(1));
          yield* other.keepSample(tally(1));
          assert.isTrue(Duration.isGreaterThan(first, Duration.zero));
          assert.isTrue(Duration.isLessThanOrEqualTo(first, tenSeconds));
          yield* pass(tenSeconds);
          yield* store.keepSample(tally(2));
          const since = DateTime.subtractDuration(yield* now, "1 minute");
          const kept = yield* store.history(since, 10);
          const slots = kept.map(({ step }) => step);
          assert.deepStrictEqual(slots, Array.from(new Set(slots)));
          assert.isAtLeast(kept.length, 2);
          assert.isAtMost(kept.length, 3);
          assert.strictEqual(kept.at(-1)?.placed, 2);
        }),
      );

      it.effect("keeps all of a sample, and the times of all instances", () =>
        Effect.gen(function* () {
          const { now, other, store } = yield* subject;
          const grown: Times = {
            waited_orders: 2,
            waited_seconds: 0.5,
            whole_orders: 1,
            whole_seconds: 1.25,
          };
          yield* store.report(report("a"), grown);
          yield* other.report(report("b"), grown);
          yield* store.report(report("a"), noTimes);
          yield* store.keepSample(
            tally(9, { oldestPendingSeconds: undefined }),
          );
          const minute = Option.getOrThrow(yield* store.minuteAgo);
          const { at, ...totals } = minute.totals;
          assert.deepStrictEqual(totals, {
            status_counts: tally(9).counts,
            placed: 9,
            failures: 6,
            oldest_pending_age_seconds: null,
            waited_orders: 4,
            waited_seconds: 1,
            whole_orders: 2,
            whole_seconds: 2.5,
          });
          assert.isAtMost(minute.ageSeconds, 5);
          assert.closeTo(
            at.epochMilliseconds,
            (yield* now).epochMilliseconds,
            5000,
          );
        }),
      );

      it.effect("knows what was a minute ago, and nothing older", () =>
        Effect.gen(function* () {
          const { pass, store } = yield* subject;
          assert.isTrue(Option.isNone(yield* store.minuteAgo));
          yield* store.keepSample(tally(1));
          yield* pass(Duration.seconds(40));
          yield* store.keepSample(tally(2));
          yield* pass(Duration.seconds(20));
          const of60 = Option.getOrThrow(yield* store.minuteAgo);
          assert.strictEqual(of60.totals.placed, 1);
          assert.closeTo(of60.ageSeconds, 60, 4);
          yield* pass(Duration.seconds(20));
          const of40 = Option.getOrThrow(yield* store.minuteAgo);
          assert.strictEqual(of40.totals.placed, 2);
          yield* pass(Duration.minutes(1));
          assert.isTrue(Option.isNone(yield* store.minuteAgo));
        }),
      );

      it.effect("tells the last sample of each step, from one before on", () =>
        Effect.gen(function* () {
          const { now, pass, store } = yield* subject;
          for (let n = 1; n <= 12; n++) {
            yield* store.keepSample(tally(n));
            yield* pass(tenSeconds);
          }
          const since = DateTime.subtractDuration(yield* now, "60 seconds");
          const kept = yield* store.history(since, 30);
          const placed = kept.map((total) => total.placed);
          assert.deepStrictEqual(
            placed,
            placed.toSorted((a, b) => a - b),
          );
          assert.strictEqual(placed.at(-1), 12);
          for (const [index, { step }] of kept.entries()) {
            if (index > 0)
              assert.strictEqual(step, (kept[index - 1]?.step ?? 0) + 1);
          }
          // Whole steps between the first and the last have three samples each.
          for (let index = 2; index < placed.length - 1; index++) {
            assert.strictEqual(placed[index], (placed[index - 1] ?? 0) + 3);
          }
          assert.isTrue(
            kept.some(
              ({ at }) => at.epochMilliseconds < since.epochMilliseconds,
            ),
            "the one before",
          );
        }),
      );

      it.effect("thins what is older than a day, and forgets after seven", () =>
        Effect.gen(function* () {
          const { now, pass, store } = yield* subject;
          const count = Effect.gen(function* () {
            const since = DateTime.subtractDuration(
              yield* now,
              Duration.seconds(historySeconds),
            );
            return (yield* store.history(since, 10)).length;
          });
          const fiveMinutes = Effect.forEach(
            Array.from({ length: 31 }),
            () => Effect.andThen(store.keepSample(tally(1)), pass(tenSeconds)),
            { discard: true },
          );
          yield* fiveMinutes;
          assert.isAtLeast(yield* count, 31);
          yield* pass(Duration.days(1));
          yield* store.keepSample(tally(1));
          // One or two of the old ones, and the new one.
          const thinned = yield* count;
          assert.isAtLeast(thinned, 2);
          assert.isAtMost(thinned, 3);
          yield* pass(Duration.sum(Duration.days(7), Duration.minutes(1)));
          yield* store.keepSample(tally(1));
          const everything = DateTime.makeUnsafe(0);
          assert.lengthOf(yield* store.history(everything, 10), 1);
        }),
      );
    },
  );
