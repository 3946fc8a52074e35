/**
 * Upkeep: work in the background that no order waits for. Each kind reports
 * here whether it succeeded. One that has not succeeded for long is overdue:
 * readiness, the console, the metrics and the log say so. It stops no traffic.
 *
 * Only the instance that does a kind of upkeep knows how it is. It counts from
 * when it has begun to do it, and reports it with the rest (`InstanceReports`).
 */
import { Cause, Clock, Context, Duration, Effect, Layer, Metric } from "effect";
import { SqlError } from "effect/sql";
import { diskFault } from "../domain/DiskFault.ts";
import { describe } from "../persistence/DatabaseFault.ts";
import { RepositoryUnavailable } from "../persistence/OrderRepository.ts";

interface Kind {
  /** Without success for longer than this, it is overdue. */
  readonly limit: Duration.Duration;
  /** It may take longer than that without having failed. */
  readonly isLong?: boolean;
  readonly what: string;
  /** What it means, and what to do. */
  readonly meaning: string;
}

const kinds = {
  event_days: {
    limit: Duration.hours(1),
    what: "The tables for the days of events have not been looked after",
    meaning:
      "Events are still written, and old ones are not dropped. The role of DATABASE_URL must own the tables, and nobody may hold them for long.",
  },
  archive: {
    limit: Duration.minutes(5),
    what: "No order could leave the table",
    meaning:
      "Orders that are done stay in the table, which grows. Look at ARCHIVE_DIR and its disk, and at the database.",
  },
  samples: {
    limit: Duration.minutes(5),
    what: "No sample of the counts was stored",
    meaning:
      "The charts have a gap, and orders are worked on as ever. Look at the database.",
  },
  row_count: {
    limit: Duration.hours(1),
    isLong: true,
    what: "The orders have not been counted",
    meaning: "Nobody would notice a row that vanished. Look at the database.",
  },
} satisfies Record<string, Kind>;

export type UpkeepKind = keyof typeof kinds;

const upkeepKinds = Object.keys(kinds) as ReadonlyArray<UpkeepKind>;

/** How often the metric and the log are brought up to date. */
const checkInterval = Duration.seconds(10);

/** Read by the test, too. */
export const overdueSeconds = Metric.gauge("upkeep_overdue_seconds", {
  description:
    "Since a kind of upkeep last succeeded, where that is too long ago; 0: it is on time, or done elsewhere.",
});

export interface Overdue {
  readonly kind: UpkeepKind;
  /** Since it last succeeded. */
  readonly seconds: number;
  /** What happened, what it means, what to do. */
  readonly text: string;
}

export interface Upkeep {
  /** Does a kind of upkeep: outside of this it cannot be overdue. */
  readonly during: <A, E, R>(
    kind: UpkeepKind,
    upkeep: Effect.Effect<A, E, R>,
  ) => Effect.Effect<A, E, R>;
  readonly succeeded: (kind: UpkeepKind) => Effect.Effect<void>;
  readonly failed: (
    kind: UpkeepKind,
    cause: Cause.Cause<unknown>,
  ) => Effect.Effect<void>;
  readonly overdue: Effect.Effect<ReadonlyArray<Overdue>>;
}

interface State {
  /** On a clock that nobody sets. */
  succeededAt: number;
  reason: string | undefined;
}

const seconds = Effect.map(
  Clock.monotonicTimeNanos,
  (nanos) => Number(nanos) / 1e9,
);

/** In fixed words, as they are shown to everybody. */
const reasonOf = (error: unknown): string => {
  if (error instanceof RepositoryUnavailable) return error.reason;
  return (
    diskFault(error) ??
    (SqlError.isSqlError(error)
      ? describe(error).reason
      : "an error that stands in the log")
  );
};

export const make = (): Upkeep => {
  const states = new Map<UpkeepKind, State>();
  const begin = (kind: UpkeepKind) =>
    Effect.map(seconds, (succeededAt) => {
      states.set(kind, { succeededAt, reason: undefined });
    });
  return {
    during: (kind, upkeep) =>
      Effect.acquireUseRelease(
        begin(kind),
        () => upkeep,
        () => Effect.sync(() => states.delete(kind)),
      ),
    succeeded: begin,
    failed: Effect.fnUntraced(function* (kind, cause) {
      const state = states.get(kind);
      if (state === undefined || Cause.hasInterruptsOnly(cause)) return;
      const error = Cause.squash(cause);
      // That the database is away others log (`persistence/Outage`).
      if (
        state.reason === undefined &&
        !(error instanceof RepositoryUnavailable)
      ) {
        yield* Effect.logWarning("upkeep failed", { upkeep: kind }, cause);
      }
      state.reason = reasonOf(error);
    }),
    overdue: Effect.map(seconds, (now) =>
      Array.from(states).flatMap(([kind, { reason, succeededAt }]) => {
        const { isLong = false, limit, meaning, what }: Kind = kinds[kind];
        const age = now - succeededAt;
        if (age <= Duration.toSeconds(limit)) return [];
        if (isLong && reason === undefined) return [];
        const minutes = Math.floor(age / 60);
        const why = reason === undefined ? "" : `: ${reason}`;
        const text = `${what} for ${minutes} minutes${why}. ${meaning}`;
        return [{ kind, seconds: age, text }];
      }),
    ),
  };
};

export const Upkeep = Context.Reference<Upkeep>("processor/Upkeep", {
  defaultValue: make,
});

/** Shows what is overdue to Prometheus, and logs when that changes. */
const show = Effect.fnUntraced(function* (
  { overdue }: Upkeep,
  logged: Set<UpkeepKind>,
) {
  const now = yield* overdue;
  for (const kind of upkeepKinds) {
    const found = now.find((one) => one.kind === kind);
    yield* Metric.update(
      Metric.withAttributes(overdueSeconds, { kind }),
      found?.seconds ?? 0,
    );
    if (found !== undefined && !logged.has(kind)) {
      logged.add(kind);
      yield* Effect.logWarning(found.text, { upkeep: kind });
    } else if (found === undefined && logged.delete(kind)) {
      yield* Effect.logInfo("upkeep is no longer overdue here", {
        upkeep: kind,
      });
    }
  }
});

export const layer = Layer.effect(
  Upkeep,
  Effect.gen(function* () {
    const upkeep = make();
    yield* show(upkeep, new Set()).pipe(
      Effect.andThen(Effect.sleep(checkInterval)),
      Effect.forever,
      Effect.forkScoped,
    );
    return upkeep;
  }),
);
