/**
 * The days of the log of events: made ahead, and dropped when they are old. One
 * statement does it all, for one instance at a time; whoever comes second finds
 * nothing to do.
 */
import { Duration, Effect } from "effect";
import type { SqlClient, SqlError } from "effect/sql";
import { advisoryLockKey } from "./AdvisoryLockKey.ts";

/** So many days are there before they begin: as long as nobody may look. */
const daysAhead = 7;

/** Records of days that had no table, deleted in one go. */
const othersMax = 10_000;

/** The lock of who does it: a name of ours, as a number. */
const lockKey = advisoryLockKey(0x6576656e74);

/**
 * To drop a day nothing may read or write events for a moment; where somebody
 * does for long, it is left for the next time.
 */
const patience = "500ms";

/** @param seconds how long events are kept, after their day is over */
const upkeep = (seconds: number) => `
DO $$
DECLARE
  today date := (now() AT TIME ZONE 'UTC')::date;
  oldest date := ((now() - ${seconds} * interval '1 second')
    AT TIME ZONE 'UTC')::date;
  day date;
  name text;
  last bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(${lockKey}) THEN RETURN; END IF;
  PERFORM set_config('lock_timeout', '${patience}', true);

  FOR i IN 0..${daysAhead} LOOP
    day := today + i;
    name := 'order_events_' || to_char(day, 'YYYYMMDD');
    CONTINUE WHEN to_regclass(name) IS NOT NULL
      OR EXISTS (
        SELECT FROM order_events_other
        WHERE at >= day::timestamp AT TIME ZONE 'UTC'
          AND at < (day + 1)::timestamp AT TIME ZONE 'UTC');
    -- A row that is on its way to "other" while its day gets a table would be
    -- refused: nobody may write where that can be, once in a lifetime.
    IF i <= 1 THEN
      LOCK TABLE order_events IN SHARE ROW EXCLUSIVE MODE;
    END IF;
    -- Not "PARTITION OF", which would keep others from writing meanwhile.
    EXECUTE format(
      'CREATE TABLE %I (LIKE order_events INCLUDING DEFAULTS)', name);
    EXECUTE format(
      'ALTER TABLE order_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
      name, day::timestamp AT TIME ZONE 'UTC',
      (day + 1)::timestamp AT TIME ZONE 'UTC');
  END LOOP;

  FOR name IN
    SELECT c.relname FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'order_events'::regclass
      AND c.relname ~ '^order_events_\\d{8}$'
      AND to_date(right(c.relname, 8), 'YYYYMMDD') < oldest
    ORDER BY c.relname
  LOOP
    EXECUTE format('SELECT max(no) FROM %I', name) INTO last;
    UPDATE event_log SET dropped_to = greatest(dropped_to, last);
    EXECUTE format('DROP TABLE %I', name);
  END LOOP;

  WITH gone AS (
    DELETE FROM order_events_other WHERE ctid = ANY(ARRAY(
      SELECT ctid FROM order_events_other
      WHERE at < oldest::timestamp AT TIME ZONE 'UTC'
      ORDER BY no LIMIT ${othersMax}))
    RETURNING no
  )
  UPDATE event_log SET dropped_to = greatest(dropped_to,
    (SELECT max(no) FROM gone));
END $$`;

/** Makes the days to come, and drops those that are older than `retention`. */
export const keep = (
  sql: SqlClient.SqlClient,
  retention: Duration.Duration,
): Effect.Effect<void, SqlError.SqlError> =>
  Effect.asVoid(sql.unsafe(upkeep(Math.ceil(Duration.toSeconds(retention)))));
