/**
 * A count of all orders, in steps: each reads a slice of the log, the oldest
 * first, at the cost of its length. Only this file knows which index that is,
 * and what a `CountPlace` means in it.
 */
import { Effect } from "effect";
import type { SqlClient, SqlError } from "effect/sql";
import type { LogHorizon } from "./LogHorizon.ts";
import { settle } from "./OrderLog.ts";
import type { Counted, CountPlace } from "./OrderRepository.ts";

type Row = {
  /** The latest batch of orders that had left the table. */
  readonly batch: bigint;
  /** Orders counted in earlier steps that have left since the last of them. */
  readonly gone: number;
} & (
  | { readonly seq: bigint }
  | {
      readonly seq: null;
      /** Null: there are more than are counted at once. */
      readonly orders: number | null;
      readonly accepted: number;
    }
);

/**
 * So many orders that are not settled are counted at once, or ten times a step.
 * More are waited for: the cost of a step is bounded, also where a process has
 * just begun, or a transaction is left open.
 */
const restMin = 10_000;

/** No batch comes after it: in a first step there is nothing counted yet. */
const lastBatch = 9_223_372_036_854_775_807n;

/**
 * One step. Where `limit` orders are left that are settled, the last of them is
 * found by its place: they need not be added up. Else all that are left are
 * counted, those that are not settled too, in the same snapshot as the
 * statistics, and the count is at its end; where they are too many, it comes no
 * further in this step.
 *
 * Each step takes off what was counted in earlier ones and has left the table
 * since: by its batch it left after the step before, and by its number it had
 * been counted.
 */
export const step = (
  sql: SqlClient.SqlClient,
  horizon: LogHorizon,
  after: CountPlace | undefined,
  limit: number,
): Effect.Effect<Counted, SqlError.SqlError> =>
  Effect.flatMap(settle(sql, horizon), (settledTo) => {
    const rest = Math.max(restMin, 10 * limit);
    const place = sql`${String(after?.seq ?? 0n)}::text::bigint`;
    const isAhead = sql`seq > ${place}`;
    const batch = sql`${String(after?.batch ?? lastBatch)}::text::bigint`;
    return Effect.map(
      sql<Row>`
        WITH last AS MATERIALIZED (
          SELECT seq FROM orders
          WHERE ${isAhead}
            AND seq <= ${String(settledTo)}::text::bigint
          ORDER BY seq
          OFFSET ${limit - 1}::integer LIMIT 1
        ), left_since AS MATERIALIZED (
          SELECT
            (SELECT batch FROM order_archive) AS batch,
            coalesce(sum(greatest(0,
              least(upper(r), ${place} + 1) - lower(r))), 0)::float8 AS gone
          FROM archive_batches AS b CROSS JOIN LATERAL unnest(b.numbers) AS r
          WHERE b.no > ${batch}
        )
        SELECT seq, NULL::float8 AS orders, NULL::float8 AS accepted,
          left_since.*
        FROM last CROSS JOIN left_since
        UNION ALL
        SELECT NULL,
          (SELECT CASE WHEN n <= ${rest}::integer THEN n::float8 END
            FROM (SELECT count(*) AS n FROM (
              SELECT FROM orders WHERE ${isAhead}
              ORDER BY seq LIMIT ${rest + 1}::integer
            ) AS ahead) AS counted),
          (SELECT sum(accepted - archived)::float8 FROM order_statistics),
          left_since.*
        FROM left_since
        WHERE NOT EXISTS (SELECT FROM last)`,
      (rows) => {
        const row = rows[0] as Row;
        if (row.seq !== null) {
          const next = { seq: row.seq, batch: row.batch };
          return { orders: limit - row.gone, next };
        }
        if (row.orders === null) {
          const next = { seq: after?.seq ?? 0n, batch: row.batch };
          return { orders: -row.gone, next };
        }
        return {
          orders: row.orders - row.gone,
          next: undefined,
          accepted: row.accepted,
        };
      },
    );
  });
