/**
 * What can be asked about the processing of orders: whether it goes on, who does
 * it, how it went; pausing and resuming it.
 */
import { Context, DateTime, Effect, Layer, Option, Record } from "effect";
import {
  type MetricsHistory,
  type MetricsPoint,
  pointsOf,
  ratesBetween,
  stepSecondsOf,
} from "../domain/MetricsHistory.ts";
import {
  type InstanceReport,
  type ProcessingChange,
  type ProcessingControl,
  type ProcessingState,
  type Rates,
  type Receiver,
  unknownRates,
  worstReceiver,
} from "../domain/Processing.ts";
import { Actor } from "../persistence/EventLog.ts";
import {
  OrderRepository,
  type RepositoryUnavailable,
} from "../persistence/OrderRepository.ts";
import { ProcessingStore } from "../persistence/ProcessingStore.ts";
import { Pause } from "../processor/Pause.ts";

/** How processing is doing. */
export interface ProcessingView extends ProcessingControl {
  readonly instances: ReadonlyArray<Omit<InstanceReport, "receiver">>;
  readonly receiver: Receiver | null;
  readonly rates: Rates;
  readonly changes: ReadonlyArray<ProcessingChange>;
}

/** Over a shorter time, rates say nothing. */
const ratesSecondsMin = 5;

const defaultSpan = "1 hour";

type Answer<A> = Effect.Effect<A, RepositoryUnavailable>;

export class Processing extends Context.Service<
  Processing,
  {
    readonly get: Answer<ProcessingView>;
    /** No order begins any more: here from now on, elsewhere within 2 s. */
    readonly pause: Answer<ProcessingView>;
    readonly resume: Answer<ProcessingView>;
    /**
     * @param since left out, an hour ago
     * @param stepSeconds left out, as it fits; made longer where it has to be
     */
    history(
      since: DateTime.Utc | undefined,
      stepSeconds: number | undefined,
    ): Answer<MetricsHistory>;
  }
>()("orders/Processing") {
  static readonly layer = Layer.effect(
    Processing,
    Effect.suspend(() => make),
  );
}

/** Statistics that somebody has damaged may count below 0. */
const notBelowZero = (point: MetricsPoint): MetricsPoint => ({
  ...point,
  status_counts: Record.map(point.status_counts, (count) => Math.max(0, count)),
});

const make = Effect.gen(function* () {
  const store = yield* ProcessingStore;
  const repository = yield* OrderRepository;
  const inForce = yield* Pause;

  const rates = Effect.gen(function* () {
    const before = yield* store.minuteAgo;
    if (Option.isNone(before)) return unknownRates;
    const { ageSeconds, totals } = before.value;
    if (ageSeconds < ratesSecondsMin) return unknownRates;
    const { accepted, counts, failures } = yield* repository.tally;
    return ratesBetween(
      totals,
      { placed: accepted, failures, status_counts: counts },
      ageSeconds,
    );
  });

  const viewOf = Effect.fnUntraced(function* (control: ProcessingControl) {
    const reports = yield* store.instances;
    return {
      ...control,
      instances: reports.map(({ receiver: _, ...report }) => report),
      receiver: worstReceiver(reports.map(({ receiver }) => receiver)),
      rates: yield* rates,
      changes: yield* store.changes,
    };
  });

  const change = Effect.fnUntraced(function* (state: ProcessingState) {
    const actor = yield* Actor;
    const { control, isChanged } = yield* store.change(state, actor);
    // At once here; what others find out within two seconds.
    inForce.set(control.state === "PAUSED");
    if (isChanged) {
      yield* Effect.logInfo(
        state === "PAUSED" ? "processing paused" : "processing resumed",
        { actor: actor ?? null },
      );
    }
    return yield* viewOf(control);
  });

  const history = Effect.fnUntraced(function* (
    asked: DateTime.Utc | undefined,
    stepSeconds: number | undefined,
  ) {
    const now = yield* DateTime.now;
    const since = asked ?? DateTime.subtractDuration(now, defaultSpan);
    const span = (now.epochMilliseconds - since.epochMilliseconds) / 1000;
    const step_seconds = stepSecondsOf(Math.max(0, span), stepSeconds);
    const totals = yield* store.history(since, step_seconds);
    return {
      since,
      step_seconds,
      samples: pointsOf(totals, since).map(notBelowZero),
    };
  });

  return Processing.of({
    get: Effect.flatMap(store.control, viewOf).pipe(
      Effect.withSpan("Processing.get"),
    ),
    pause: change("PAUSED").pipe(Effect.withSpan("Processing.pause")),
    resume: change("RUNNING").pipe(Effect.withSpan("Processing.resume")),
    history: Effect.fn("Processing.history")(history),
  });
});
