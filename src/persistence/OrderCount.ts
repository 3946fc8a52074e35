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

type Row =
  | { readonly seq: bigint }
  | {
      readonly seq: null;
      readonly orders: number;
      readonly accepted: number;
    };

/**
 * One step. Where `limit` orders are left that are settled, the last of them is
 * found by its place: they need not be added up. Else all that are left are
 * counted, those that are not settled too, in the same snapshot as the
 * statistics, and the count is at its end.
 */
export const step = (
  sql: SqlClient.SqlClient,
  horizon: LogHorizon,
  after: CountPlace | undefined,
  limit: number,
): Effect.Effect<Counted, SqlError.SqlError> =>
  Effect.flatMap(settle(sql, horizon), (settledTo) => {
    const isAhead = sql`seq > ${String(after?.seq ?? 0n)}::text::bigint`;
    return Effect.map(
      sql<Row>`
        WITH last AS MATERIALIZED (
          SELECT seq FROM orders
          WHERE ${isAhead}
            AND seq <= ${String(settledTo)}::text::bigint
          ORDER BY seq
          OFFSET ${limit - 1}::integer LIMIT 1
        )
        SELECT seq, NULL::float8 AS orders, NULL::float8 AS accepted FROM last
        UNION ALL
        SELECT NULL,
          (SELECT count(*)::float8 FROM orders WHERE ${isAhead}),
          (SELECT sum(accepted)::float8 FROM order_statistics)
        WHERE NOT EXISTS (SELECT FROM last)`,
      (rows) => {
        const row = rows[0] as Row;
        return row.seq === null
          ? { orders: row.orders, next: undefined, accepted: row.accepted }
          : { orders: limit, next: { seq: row.seq } };
      },
    );
  });
