/**
 * Pages of orders, newest first: which index each kind of list is read from.
 * Whatever is asked for, a page is one or more stretches of an index.
 */
import { DateTime } from "effect";
import type { SqlClient, Statement } from "effect/sql";
import type { OrderStatus } from "../domain/OrderStatus.ts";
import {
  type OrderPage,
  type OrderQuery,
  pageBytesMax,
} from "./OrderRepository.ts";
import { decodeOrder, orderColumns, toDate } from "./OrderRow.ts";

/** The first column of an index that goes on with `created_at, seq`. */
type StretchColumn = "final_status" | "user_id";

const finalStatuses: ReadonlySet<OrderStatus> = new Set([
  "COMPLETED",
  "FAILED",
  "CANCELLED",
]);

/**
 * The orders with a value, as the stretch that they are of the index on
 * `(column, created_at, seq)`; to be read in that order, column first.
 *
 * Not `column = value`: the planner would know then that any order by time
 * will do, and might read all orders by time until it has found enough. That
 * is a good plan only where the orders with the value are spread evenly.
 */
export const stretch = (
  sql: SqlClient.SqlClient,
  column: StretchColumn,
  value: string,
  from: Statement.Fragment,
  to: Statement.Fragment,
) => [
  atOrAfter(sql, column, value, from),
  sql`(${sql.literal(column)}, created_at)
    < (${value}::text, ${to}::timestamptz)`,
];

/** The first half of a stretch. */
const atOrAfter = (
  sql: SqlClient.SqlClient,
  column: StretchColumn,
  value: string,
  from: Statement.Fragment,
) => sql`(${sql.literal(column)}, created_at)
    >= (${value}::text, ${from}::timestamptz)`;

/**
 * Selects the rows of a page, each with how many there are (`found`): one more
 * than asked for if there is more behind it. The rows end where their items
 * would take too much; the first row is always there. The windows name no order:
 * they take the rows as they come, which is newest first.
 */
export const select = (sql: SqlClient.SqlClient, query: OrderQuery) =>
  sql`SELECT * FROM (
    SELECT rows.*, count(*) OVER () AS found,
      sum(item_bytes)
        OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
    FROM (${rowsOf(sql, query)}) AS rows
  ) AS sized
  WHERE coalesce(bytes_before, 0) < ${pageBytesMax}::bigint`;

/** The rows of a page, and one more, of whatever size. */
const rowsOf = (sql: SqlClient.SqlClient, query: OrderQuery) => {
  const { after, created_after, created_before, user_id } = query;
  const from =
    created_after === undefined
      ? sql.literal("'-infinity'")
      : sql`${toDate(created_after)}`;
  const to =
    created_before === undefined
      ? sql.literal("'infinity'")
      : sql`${toDate(created_before)}`;
  const isBehind =
    after !== undefined &&
    (created_before === undefined ||
      DateTime.isLessThan(after.created_at, created_before));
  /**
   * Where the page begins, in one condition: the tighter of the two there may
   * be. Given both, PostgreSQL starts at the wider one, and reads all between.
   */
  const below = (columns: string, values: Statement.Fragment) =>
    isBehind
      ? sql`(${sql.literal(columns)}created_at, seq) < (${values}
          ${toDate(after.created_at)}::timestamptz, ${after.seq}::bigint)`
      : sql`(${sql.literal(columns)}created_at) < (${values}
          ${to}::timestamptz)`;
  const times = [
    sql`created_at >= ${from}::timestamptz`,
    below("", sql.literal("")),
  ];
  const among = (column: StretchColumn, value: string) => [
    atOrAfter(sql, column, value, from),
    below(`${column}, `, sql`${value}::text,`),
  ];
  // One more than asked for tells whether there is more behind the page.
  const page = (
    column: StretchColumn | undefined,
    where: ReadonlyArray<Statement.Fragment>,
  ) => sql`(
    SELECT ${sql.literal(orderColumns)}, o.seq, o.item_bytes FROM orders AS o
    WHERE ${sql.and(where)}
    ORDER BY ${sql.literal(column === undefined ? "" : `${column} DESC, `)}
      created_at DESC, seq DESC
    LIMIT ${query.limit + 1}::integer)`;

  const statuses = Array.from(new Set(query.status ?? []));
  const pages =
    user_id !== undefined
      ? [
          page("user_id", [
            ...among("user_id", user_id),
            ...(statuses.length === 0
              ? []
              : [sql`status = ANY(${statuses}::text[])`]),
          ]),
        ]
      : statuses.length === 0
        ? [page(undefined, times)]
        : statuses.map((status) =>
            page(
              "final_status",
              finalStatuses.has(status)
                ? among("final_status", status)
                : [
                    sql.literal("final_status IS NULL"),
                    sql`status = ${status}::text`,
                    ...times,
                  ],
            ),
          );
  return pages.length === 1
    ? sql`${pages[0] as Statement.Fragment}`
    : sql`SELECT * FROM (${sql.join(" UNION ALL ", false)(pages)}) AS pages
        ORDER BY created_at DESC, seq DESC
        LIMIT ${query.limit + 1}::integer`;
};

/** The page in the rows that `select` selects. */
export const pageOf = (
  rows: ReadonlyArray<Readonly<Record<string, unknown>>>,
  query: OrderQuery,
): OrderPage => {
  const orders = rows.slice(0, query.limit).map(decodeOrder);
  const last = orders.at(-1);
  const lastRow = rows[orders.length - 1];
  return {
    orders,
    end:
      last !== undefined && Number(lastRow?.found) > orders.length
        ? { created_at: last.created_at, seq: lastRow?.seq as bigint }
        : undefined,
  };
};
