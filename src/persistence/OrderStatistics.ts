/**
 * How many orders there are of each status, kept as they move: every statement
 * that moves orders changes the statistics, too, so both are done or neither.
 */
import { Effect } from "effect";
import type { SqlClient, Statement } from "effect/sql";
import type { LogHorizon } from "./LogHorizon.ts";
import { lastNumber } from "./OrderLog.ts";
import type { OrderTally } from "./OrderRepository.ts";

/** Slots of the statistics; see `migrations/0001_orders.ts`. */
const statisticsSlots = 64;

/** Concurrent transactions add to different rows: none waits for another. */
export const anySlot = () => Math.floor(Math.random() * statisticsSlots);

/** Counts the orders of `moved` (`OrderMoves`), beside whatever moved them. */
export const counting = (sql: SqlClient.SqlClient): Statement.Fragment => {
  const slot = anySlot();
  return sql`
    UPDATE order_statistics AS s SET
      accepted = s.accepted + d.accepted,
      pending = s.pending + d.pending,
      processing = s.processing + d.processing,
      completed = s.completed + d.completed,
      failed = s.failed + d.failed,
      cancelled = s.cancelled + d.cancelled,
      failures = s.failures + d.failures,
      processing_seconds = s.processing_seconds + d.seconds
    FROM (
      SELECT
        count(*) FILTER (WHERE was IS NULL) AS accepted,
        count(*) FILTER (WHERE became = 'PENDING')
          - count(*) FILTER (WHERE was = 'PENDING') AS pending,
        count(*) FILTER (WHERE became = 'PROCESSING')
          - count(*) FILTER (WHERE was = 'PROCESSING') AS processing,
        count(*) FILTER (WHERE became = 'COMPLETED') AS completed,
        count(*) FILTER (WHERE became = 'FAILED')
          - count(*) FILTER (WHERE was = 'FAILED') AS failed,
        count(*) FILTER (WHERE became = 'CANCELLED') AS cancelled,
        count(*) FILTER (WHERE became = 'FAILED') AS failures,
        coalesce(sum(seconds), 0) AS seconds
      FROM moved HAVING count(*) > 0
    ) AS d
    WHERE s.slot = ${slot}::smallint`;
};

interface TallyRow {
  readonly accepted: number;
  readonly archived: number;
  readonly pending: number;
  readonly processing: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly failures: number;
  readonly seconds: number;
  readonly age: number | null;
  /** The oldest PENDING order on the straight way, if there is one. */
  readonly oldest: bigint | null;
  readonly last: bigint;
  readonly lowest: bigint;
}

const tallyOf = (row: TallyRow | undefined): OrderTally => ({
  accepted: row?.accepted ?? 0,
  archived: row?.archived ?? 0,
  counts: {
    PENDING: row?.pending ?? 0,
    PROCESSING: row?.processing ?? 0,
    COMPLETED: row?.completed ?? 0,
    FAILED: row?.failed ?? 0,
    CANCELLED: row?.cancelled ?? 0,
  },
  failures: row?.failures ?? 0,
  processingSeconds: row?.seconds ?? 0,
  oldestPendingSeconds: row?.age ?? undefined,
});

/**
 * Counts, and looks for the oldest PENDING order: among those that are aside, and
 * in the log. Of the log each row is looked at once, for no order that has left
 * PENDING there comes back to it: the next look goes on where this one ended, but
 * never past what may still appear.
 */
export const tally = (sql: SqlClient.SqlClient, horizon: LogHorizon) => {
  let lookedTo = 0n;
  /** The lowest log position when it was last read: it is seldom set back. */
  let lowest = 0n;
  return Effect.suspend(() => {
    const settledTo = horizon.settledTo();
    return Effect.map(
      sql<TallyRow>`
        SELECT counts.*, log.seq AS oldest, ${sql.literal(lastNumber)} AS last,
          (SELECT min(place) FROM partition_owners) AS lowest,
          CASE WHEN coalesce(log.seq, aside.seq) IS NOT NULL
            THEN greatest(0, extract(epoch FROM
              now() - least(log.created_at, aside.created_at)))::float8
          END AS age
        FROM (
          SELECT
            sum(accepted)::float8 AS accepted,
            sum(archived)::float8 AS archived,
            sum(pending)::float8 AS pending,
            sum(processing)::float8 AS processing,
            sum(completed)::float8 AS completed,
            sum(failed)::float8 AS failed,
            sum(cancelled)::float8 AS cancelled,
            sum(failures)::float8 AS failures,
            sum(processing_seconds) AS seconds
          FROM order_statistics
        ) AS counts
        CROSS JOIN orders_seq
        LEFT JOIN LATERAL (
          SELECT seq, created_at FROM orders
          WHERE seq > greatest(${String(lookedTo)}::text::bigint,
              (SELECT min(place) FROM partition_owners))
            AND status = 'PENDING' AND due_at IS NULL
          ORDER BY seq LIMIT 1
        ) AS log ON true
        LEFT JOIN LATERAL (
          SELECT seq, created_at FROM orders
          WHERE due_at IS NOT NULL AND status = 'PENDING'
          ORDER BY seq LIMIT 1
        ) AS aside ON true`,
      ([row]) => {
        if (row !== undefined) {
          const isSetBack = row.lowest < lowest || row.last < lookedTo;
          lowest = row.lowest;
          if (isSetBack) {
            lookedTo = 0n;
            return tallyOf(row);
          }
          const seen = row.oldest === null ? row.last : row.oldest - 1n;
          const to = seen < settledTo ? seen : settledTo;
          if (to > lookedTo) lookedTo = to;
        }
        return tallyOf(row);
      },
    );
  });
};
