/** Processing in memory, by the clock at hand: for tests that want no database. */
import { Clock, DateTime, Duration, Effect, Layer, Option } from "effect";
import {
  coarseSampleSeconds,
  fineSeconds,
  historySeconds,
  type StepTotals,
  sampleSeconds,
  type Totals,
} from "../domain/MetricsHistory.ts";
import {
  changesKept,
  changesShown,
  type InstanceReport,
  type ProcessingChange,
  type ProcessingControl,
  reportSeconds,
  running,
} from "../domain/Processing.ts";
import {
  minuteSeconds,
  ProcessingStore,
  type Times,
} from "./ProcessingStore.ts";

interface Sample extends Totals {
  readonly slot: number;
}

const timesSum = (one: Times, other: Times): Times => ({
  waited_orders: one.waited_orders + other.waited_orders,
  waited_seconds: one.waited_seconds + other.waited_seconds,
  whole_orders: one.whole_orders + other.whole_orders,
  whole_seconds: one.whole_seconds + other.whole_seconds,
});

const isKept = (slot: number, now: number): boolean =>
  slot >= now - historySeconds &&
  (slot >= now - fineSeconds || slot % coarseSampleSeconds === 0);

/** Gone with the layer. */
export const layer = Layer.sync(ProcessingStore, () => {
  let control: ProcessingControl = running;
  let changes: ReadonlyArray<ProcessingChange> = [];
  let times: Times = {
    waited_orders: 0,
    waited_seconds: 0,
    whole_orders: 0,
    whole_seconds: 0,
  };
  let samples: ReadonlyArray<Sample> = [];
  const instances = new Map<string, { report: InstanceReport; at: number }>();

  return ProcessingStore.of({
    control: Effect.sync(() => control),
    change: (state, actor) =>
      Effect.map(DateTime.now, (now) => {
        const isChanged = control.state !== state;
        if (isChanged) {
          control =
            state === "RUNNING"
              ? running
              : { state, paused_at: now, paused_by: actor ?? null };
          changes = [
            { state, at: now, actor: actor ?? null },
            ...changes,
          ].slice(0, changesKept);
        }
        return { isChanged, control };
      }),
    changes: Effect.sync(() => changes.slice(0, changesShown)),
    report: (report, grown) =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        instances.set(report.name, { report, at });
        times = timesSum(times, grown);
        return control;
      }),
    withdraw: (name) => Effect.sync(() => void instances.delete(name)),
    instances: Effect.map(Clock.currentTimeMillis, (now) =>
      Array.from(instances.values())
        .filter(({ at }) => at > now - reportSeconds * 1000)
        .map(({ report }) => report)
        .sort((one, other) => (one.name < other.name ? -1 : 1)),
    ),
    keepSample: ({ accepted, counts, failures, oldestPendingSeconds }) =>
      Effect.map(DateTime.now, (at) => {
        const now = at.epochMilliseconds / 1000;
        const slot = Math.floor(now / sampleSeconds) * sampleSeconds;
        if (samples.at(-1)?.slot !== slot) {
          const sample: Sample = {
            slot,
            at,
            placed: accepted,
            status_counts: counts,
            failures,
            oldest_pending_age_seconds: oldestPendingSeconds ?? null,
            ...times,
          };
          samples = [...samples, sample].filter((kept) =>
            isKept(kept.slot, now),
          );
        }
        return Duration.seconds(slot + sampleSeconds - now);
      }),
    minuteAgo: Effect.map(DateTime.now, (now) =>
      Option.map(
        Option.fromUndefinedOr(
          samples.find(
            ({ at }) =>
              at.epochMilliseconds >=
              now.epochMilliseconds - minuteSeconds * 1000,
          ),
        ),
        ({ slot: _, ...totals }) => ({
          totals,
          ageSeconds:
            (now.epochMilliseconds - totals.at.epochMilliseconds) / 1000,
        }),
      ),
    ),
    history: (since, stepSeconds) =>
      Effect.sync(() => {
        const from = since.epochMilliseconds / 1000 - 2 * stepSeconds;
        const lasts = new Map<number, StepTotals>();
        for (const { slot, ...totals } of samples) {
          const step = Math.ceil(slot / stepSeconds);
          if (slot >= from) lasts.set(step, { ...totals, step });
        }
        return Array.from(lasts.values());
      }),
  });
});
