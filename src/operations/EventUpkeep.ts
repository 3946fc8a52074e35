/**
 * Keeps the log of events: its days are made ahead and dropped when they are
 * old, and it is shown for how long its readers are held up.
 */
import { Duration, Effect, Layer, Metric, Schedule } from "effect";
import { Database } from "../persistence/Database.ts";
import { EventLog } from "../persistence/EventLog.ts";
import { Upkeep } from "../processor/Upkeep.ts";

/** The days to come are there a week before they begin. */
const daysInterval = Duration.minutes(10);

const lookInterval = Duration.seconds(10);

const heldUp = Metric.gauge("events_held_up_seconds", {
  description:
    "For how long readers of events have waited for a transaction that is still open.",
});

/** Keeps them while the layer lives, each for `retention`. */
export const layer = (retention: Duration.Duration) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const database = yield* Database;
      const log = yield* EventLog;
      if (!log.isOn) return;
      const upkeep = yield* Upkeep;
      // There are days enough to try another time.
      const keepDays = Effect.matchCauseEffect(log.keepDays(retention), {
        onSuccess: () => upkeep.succeeded("event_days"),
        onFailure: (cause) => upkeep.failed("event_days", cause),
      });
      const look = Effect.ignoreCause(
        Effect.flatMap(log.heldUpSeconds, (seconds) =>
          Metric.update(heldUp, seconds),
        ),
      );
      yield* database.migrated.pipe(
        Effect.andThen(
          Effect.all(
            [
              upkeep.during(
                "event_days",
                Effect.repeat(keepDays, Schedule.spaced(daysInterval)),
              ),
              Effect.repeat(look, Schedule.spaced(lookInterval)),
            ],
            { concurrency: "unbounded", discard: true },
          ),
        ),
        Effect.forkScoped,
      );
    }),
  );
