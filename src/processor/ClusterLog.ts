/**
 * What `effect/cluster` logs, made quieter. It logs every try for the database
 * that failed, with its stack: 2,600 lines in an outage of an hour. Those go to
 * where outages are told of (`persistence/Outage`). That the leases are lost is
 * said once; all else is logged as it is.
 */
import { Cause, Effect, Layer, Logger } from "effect";
import { ClusterError } from "effect/cluster";
import { SqlError } from "effect/sql";
import { Database } from "../persistence/Database.ts";

/** What failed, where it was the database that the cluster asked in vain. */
export const storageFault = (cause: Cause.Cause<unknown>): unknown =>
  cause.reasons
    .map((reason) => {
      const failed = Cause.isFailReason(reason)
        ? reason.error
        : Cause.isDieReason(reason)
          ? reason.defect
          : undefined;
      return failed instanceof ClusterError.PersistenceError
        ? failed.cause
        : failed;
    })
    .find((error) => SqlError.isSqlError(error) || Cause.isTimeoutError(error));

/** What the cluster says when it gives up all partitions here. */
const leasesLost = "Shard lock storage is unhealthy";

/** What it says while it asks the database in vain. */
const askedInVain: ReadonlySet<unknown> = new Set([
  leasesLost,
  "Shard lock storage is still unhealthy",
  "Could not acquire/release shards",
  "Could not release shards, retrying",
]);

/** What it says twice a minute while it cannot give them up in the database. */
const stillReleasing =
  "Forced shard release is still pending; reacquisition is blocked until release completes";

/** The loggers there are, without what is told elsewhere. */
export const layer = Layer.effect(
  Logger.CurrentLoggers,
  Effect.gen(function* () {
    const { check, failed } = yield* Database;
    const loggers = yield* Logger.CurrentLoggers;
    const run = Effect.runForkWith(yield* Effect.context<never>());
    return new Set([
      Logger.make<unknown, void>((options) => {
        const { cause, message } = options;
        const [words] = Array.isArray(message) ? message : [message];
        const pass = () => {
          for (const logger of loggers) logger.log(options);
        };
        if (words === stillReleasing) {
          run(Effect.ignore(Effect.map(check, pass)));
          return;
        }
        const fault = askedInVain.has(words) ? storageFault(cause) : undefined;
        if (fault === undefined) return pass();
        run(failed(fault));
        if (words !== leasesLost) return;
        run(
          Effect.logWarning(
            "the leases could not be renewed: the partitions here are given up until they can be",
          ),
        );
      }),
    ]);
  }),
);
