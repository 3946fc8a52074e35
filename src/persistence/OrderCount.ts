/**
 * A count of all orders, in steps: each reads a slice of the index
 * `orders_newest`, oldest first, at the cost of its length. Only this file
 * knows which index that is, and what a `CountPlace` means in it.
 */
import { Duration, Effect } from "effect";
import type { SqlClient, SqlError } from "effect/sql";
import type { Counted, CountPlace } from "./OrderRepository.ts";
import { at, toDate } from "./OrderRow.ts";

/**
 * How old an order is before a count may leave it behind. An order comes into
 * the index at the time its statement began, but is seen when that commits:
 * younger ones may still appear in between. A statement of the service ends
 * after 15 s; the rest is for its commit.
 */
const settledAge = Duration.seconds(20);

type Row =
  | { readonly created_at: Date; readonly seq: bigint }
  | {
      readonly created_at: null;
      readonly orders: number;
      readonly accepted: number;
    };

/**
 * One step. Where `limit` orders are left that have settled, the last of them
 * is found by its place: they need not be added up. Else all that are left are
 * counted, the young ones too, in the same snapshot as the statistics, and the
 * count is at its end.
 */
export const step = (
  sql: SqlClient.SqlClient,
  after: CountPlace | undefined,
  limit: number,
): Effect.Effect<Counted, SqlError.SqlError> => {
  const isAhead =
    after === undefined
      ? sql.literal("(created_at, seq) > ('-infinity', 0)")
      : sql`(created_at, seq)
          > (${toDate(after.created_at)}::timestamptz, ${after.seq}::bigint)`;
  return Effect.map(
    sql<Row>`
      WITH last AS MATERIALIZED (
        SELECT created_at, seq FROM orders
        WHERE ${isAhead}
          AND created_at < now() - ${Duration.toSeconds(settledAge)}::integer
            * interval '1 second'
        ORDER BY created_at, seq
        OFFSET ${limit - 1}::integer LIMIT 1
      )
      SELECT created_at, seq, NULL::float8 AS orders, NULL::float8 AS accepted
      FROM last
      UNION ALL
      SELECT NULL, NULL,
        (SELECT count(*)::float8 FROM orders WHERE ${isAhead}),
        (SELECT sum(accepted)::float8 FROM order_statistics)
      WHERE NOT EXISTS (SELECT FROM last)`,
    (rows) => {
      const row = rows[0] as Row;
      return row.created_at === null
        ? { orders: row.orders, next: undefined, accepted: row.accepted }
        : {
            orders: limit,
            next: { created_at: at(row.created_at), seq: row.seq },
          };
    },
  );
};
