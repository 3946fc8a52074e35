/**
 * Tells of what is wrong with the database, in the log: of an outage once when
 * it begins, then once a minute, and once when it is over, however many ask in
 * vain meanwhile. Other faults are told once a minute for each kind.
 */
import { Clock, Duration, Effect, FiberSet, type Scope } from "effect";
import { type DatabaseFault, describe } from "./DatabaseFault.ts";

/** How often an outage, or a fault that stays, is told of. */
const tellInterval = Duration.minutes(1);

/** How often it is looked whether the database is back. */
const lookInterval = Duration.seconds(1);

export interface Outage {
  /** Somebody asked the database in vain, and this is what the client said. */
  readonly failed: (error: unknown) => Effect.Effect<void>;
}

/**
 * @param check succeeds if the database answers and takes changes; ends soon
 */
export const make = Effect.fnUntraced(function* (
  check: Effect.Effect<void, unknown>,
): Effect.fn.Return<Outage, never, Scope.Scope> {
  // In its own name, not in that of the order which happened to ask first.
  const run = yield* FiberSet.makeRuntime<never, void, never>();
  let isWatching = false;
  const toldAt = new Map<DatabaseFault["kind"], number>();

  const isOutage = ({ kind }: DatabaseFault) =>
    kind === "away" || kind === "read-only";

  /** Until the database is back. */
  const watch = Effect.fnUntraced(function* (first: DatabaseFault) {
    const since = yield* Clock.currentTimeMillis;
    const lasted = Effect.map(Clock.currentTimeMillis, (now) =>
      Duration.format(Duration.seconds(Math.round((now - since) / 1000))),
    );
    yield* Effect.logWarning(`${first.reason}; waiting for it`, {
      database: first.words,
    });
    let tellAt = since + Duration.toMillis(tellInterval);
    while (true) {
      yield* Effect.sleep(lookInterval);
      const fault = yield* Effect.match(check, {
        onSuccess: () => undefined,
        onFailure: describe,
      });
      if (fault === undefined) break;
      if ((yield* Clock.currentTimeMillis) < tellAt) continue;
      tellAt += Duration.toMillis(tellInterval);
      yield* Effect.logWarning(`still: ${fault.reason}`, {
        database: fault.words,
        for: yield* lasted,
      });
    }
    // Those who began to wait during the outage may give up after it.
    toldAt.set("slow", yield* Clock.currentTimeMillis);
    yield* Effect.logInfo("the database is back", { after: yield* lasted });
  });

  const watchOnce = (fault: DatabaseFault) =>
    Effect.suspend(() => {
      if (isWatching) return Effect.void;
      isWatching = true;
      return Effect.ensuring(
        watch(fault),
        Effect.sync(() => {
          isWatching = false;
        }),
      );
    });

  const tellSeldom = Effect.fnUntraced(function* (fault: DatabaseFault) {
    const now = yield* Clock.currentTimeMillis;
    const last = toldAt.get(fault.kind) ?? Number.NEGATIVE_INFINITY;
    if (isWatching || now - last < Duration.toMillis(tellInterval)) return;
    toldAt.set(fault.kind, now);
    yield* Effect.logWarning(fault.reason, { database: fault.words });
  });

  /** Whether it is one statement that takes long, or the database is away. */
  const lookFirst = (fault: DatabaseFault) =>
    Effect.matchEffect(check, {
      onSuccess: () => tellSeldom(fault),
      onFailure: (error) => watchOnce({ ...describe(error), kind: "away" }),
    });

  const tell = (fault: DatabaseFault) => {
    if (fault.kind === "slow") return lookFirst(fault);
    return isOutage(fault) ? watchOnce(fault) : tellSeldom(fault);
  };

  return {
    failed: (error) =>
      Effect.sync(() => {
        if (!isWatching) run(tell(describe(error)));
      }),
  };
});
