/**
 * Which instances of the cluster are alive. The same statement removes the leases
 * of those that are dead, so that whoever reads this can take them at once.
 *
 * An instance is dead when it has not renewed its leases for `leaseTime`. It is
 * dead sooner, after `namelessTime`, when its name's lock is gone too: PostgreSQL
 * releases that lock as soon as the process ends (`InstanceName`). Neither sign is
 * enough alone, because a living instance shows either when a connection is cut.
 *
 * A database that was away makes all instances look dead. So only an instance that
 * was not cut off itself believes the sooner signs: its own lease is fresh, and its
 * reads were answered without a gap for `leaseTime`. If the signs are wrong all the
 * same, the epoch fences the former owner (`Ownership`). Then the orders that it
 * has in work are begun a second time, and no harm is done.
 */
import { Clock, Duration, Effect } from "effect";
import { SqlClient, type SqlError } from "effect/sql";
import { isLocked, leaseTime } from "./InstanceName.ts";

/** Longer than the interval of renewals, by as much as one may be late. */
export const namelessTime = Duration.seconds(2);

/** Reads come four times a second; if the next one is later, that is a gap. */
const gapMillis = 1000;

export interface LiveInstance {
  /** As `effect/cluster` stores it. */
  readonly runner: string;
  readonly healthy: boolean;
}

/** Whether a row of `cluster_runners` was renewed within the time. */
const isFresh = (time: Duration.Duration) =>
  `last_heartbeat > now() - interval '${Duration.toMillis(time)} milliseconds'`;

/**
 * The tables are those of `SqlRunnerStorage`, and leases are locked in its order.
 * An instance that is just being renewed or removed is skipped.
 */
const readLive = (
  sql: SqlClient.SqlClient,
  own: string,
  isUncut: boolean,
) => sql<LiveInstance>`
  WITH stale AS MATERIALIZED (
    SELECT address FROM cluster_runners AS r
    WHERE address <> ${own}
      AND NOT ${sql.literal(isFresh(namelessTime))}
      AND (NOT ${sql.literal(isFresh(leaseTime))}
        OR ${isUncut}::boolean AND NOT ${sql.literal(isLocked("r.address"))}
          AND EXISTS (SELECT FROM cluster_runners WHERE address = ${own}
            AND ${sql.literal(isFresh(namelessTime))}))
    FOR UPDATE SKIP LOCKED
  ), dead AS (
    DELETE FROM cluster_runners
    WHERE address IN (SELECT address FROM stale) RETURNING address
  ), leases AS MATERIALIZED (
    SELECT shard_id FROM cluster_locks
    WHERE address IN (SELECT address FROM dead)
    ORDER BY shard_id COLLATE "C" FOR UPDATE
  ), removed AS (
    DELETE FROM cluster_locks WHERE address IN (SELECT address FROM dead)
      AND shard_id IN (SELECT shard_id FROM leases)
  )
  SELECT runner, healthy FROM cluster_runners
  WHERE ${sql.literal(isFresh(leaseTime))}
    AND address NOT IN (SELECT address FROM dead)`;

/** Reads them. `own` is the name of who reads: it does not judge itself. */
export const make = Effect.fnUntraced(function* (
  own: string,
): Effect.fn.Return<
  Effect.Effect<ReadonlyArray<LiveInstance>, SqlError.SqlError>,
  never,
  SqlClient.SqlClient
> {
  const sql = yield* SqlClient.SqlClient;
  const clock = yield* Clock.Clock;
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6;
  /** When the latest read was sent that was answered. */
  let askedAt = Number.NEGATIVE_INFINITY;
  /** Since when there was no gap. */
  let uncutFrom = 0;
  return Effect.gen(function* () {
    const from = now();
    if (from - askedAt > gapMillis) uncutFrom = from;
    const isUncut = from - uncutFrom >= Duration.toMillis(leaseTime);
    const live = yield* readLive(sql, own, isUncut);
    askedAt = from;
    return live;
  });
});
