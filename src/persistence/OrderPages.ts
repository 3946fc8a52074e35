/**
 * Pages of orders, newest first. Whatever is asked for, a page is read from
 * stretches of indexes, each in the order of the log, and is bounded in the rows
 * that are read for it: a filter that matches little ends a page early.
 */
import { type DateTime, Effect } from "effect";
import type { SqlClient, SqlError, Statement } from "effect/sql";
import type { Order } from "../domain/Order.ts";
import type { OrderStatus } from "../domain/OrderStatus.ts";
import {
  type OrderPage,
  type OrderQuery,
  type PageEnd,
  pageBytesMax,
} from "./OrderRepository.ts";
import { decodeOrder, orderColumns, toDate } from "./OrderRow.ts";

/** The most rows that are read for a page, of each stretch. */
const rowsMax = 5000;

/** Rows read at first for each order asked for: most filters let many pass. */
const rowsPerOrder = 4;

/** Orders of one time may be numbered before those of a little earlier. */
const disorder = "interval '1 minute'";

/** A stretch of an index in the order of the log, and what is wanted of it. */
interface Stretch {
  /**
   * The orders with a value: a stretch of the index on `(column, seq)`, to be
   * read in that order. Not `column = value`: the planner would know then that
   * any order by `seq` will do, and might read the whole log until it has found
   * enough. That is a good plan only where these orders are spread evenly.
   */
  readonly of?: {
    readonly column: "ended" | "user_id";
    readonly value: string;
  };
  readonly where?: ReadonlyArray<Statement.Fragment>;
  readonly filter: ReadonlyArray<Statement.Fragment>;
}

const isOpen = (status: OrderStatus) =>
  status === "PENDING" || status === "PROCESSING";

const isEnded = (status: OrderStatus) =>
  status === "FAILED" || status === "CANCELLED";

/** The stretches that together hold what is asked for, each order once. */
const stretchesOf = (
  sql: SqlClient.SqlClient,
  { status, user_id }: OrderQuery,
): ReadonlyArray<Stretch> => {
  const statuses = Array.from(new Set(status ?? []));
  const among = (statuses: ReadonlyArray<OrderStatus>) =>
    statuses.length === 0 ? [] : [sql`status = ANY(${statuses}::text[])`];
  const hasEnded = sql.literal("ended IS NOT NULL");
  if (user_id !== undefined) {
    const of = { column: "user_id", value: user_id } as const;
    return statuses.length > 0 && statuses.every(isEnded)
      ? [{ of, where: [hasEnded], filter: among(statuses) }]
      : [{ of, filter: among(statuses) }];
  }
  if (statuses.length === 0 || statuses.includes("COMPLETED")) {
    return [{ filter: among(statuses) }];
  }
  const ended = statuses.filter(isEnded).map((value) => ({
    of: { column: "ended", value } as const,
    where: [hasEnded],
    filter: [],
  }));
  const open = statuses.filter(isOpen);
  if (open.length === 0) return ended;
  return [
    ...ended,
    {
      // What lies before all places is final, or aside.
      where: [sql.literal("seq > (SELECT min(place) FROM partition_owners)")],
      filter: [...among(open), sql.literal("due_at IS NULL")],
    },
    { where: [sql.literal("due_at IS NOT NULL")], filter: among(open) },
  ];
};

/** Below which number the rows of a page begin, and from which on they are. */
const boundsOf = (
  sql: SqlClient.SqlClient,
  { created_after, created_before }: OrderQuery,
  end: PageEnd | undefined,
) => {
  const seqAt = (time: DateTime.Utc, sign: "+" | "-") =>
    sql`(SELECT orders_seq_at(
      ${toDate(time)}::timestamptz ${sql.literal(`${sign} ${disorder}`)}))`;
  return {
    below:
      end !== undefined
        ? sql`${String(end.seq)}::text::bigint`
        : created_before !== undefined
          ? seqAt(created_before, "+")
          : sql.literal("9223372036854775807"),
    from:
      created_after !== undefined
        ? seqAt(created_after, "-")
        : sql.literal("0::bigint"),
  };
};

/** The times between which orders are wanted. */
const timesOf = (
  sql: SqlClient.SqlClient,
  { created_after, created_before }: OrderQuery,
) => [
  ...(created_after === undefined
    ? []
    : [sql`created_at >= ${toDate(created_after)}::timestamptz`]),
  ...(created_before === undefined
    ? []
    : [sql`created_at < ${toDate(created_before)}::timestamptz`]),
];

/** What was read: of each stretch how many rows and down to which. */
interface Read {
  readonly counts: ReadonlyArray<bigint>;
  readonly downs: ReadonlyArray<bigint | null>;
  /** How many of the rows match; at most one more than asked for. */
  readonly matched: bigint;
}

type PageRow = Readonly<Record<string, unknown>> & Read;

/** How much is read for a page, or for what is left of it. */
interface Portion {
  readonly after: PageEnd | undefined;
  readonly rows: number;
  readonly limit: number;
  readonly bytes: number;
}

/**
 * Reads so many rows of each stretch, and selects of them those that match,
 * newest first, and one more than asked for. There is always a row, to say how
 * far it was read. The rows end where their items would take too much; the first
 * is always there.
 */
const select = (
  sql: SqlClient.SqlClient,
  query: OrderQuery,
  { after, bytes, limit, rows }: Portion,
) => {
  const { below, from } = boundsOf(sql, query, after);
  const times = timesOf(sql, query);
  const stretches = stretchesOf(sql, query);
  const reads = stretches.map(({ of, where = [] }, index) => {
    const column = sql.literal(of === undefined ? "" : `${of.column}, `);
    const value = of === undefined ? sql.literal("") : sql`${of.value}::text, `;
    const order = of === undefined ? "" : `${of.column} DESC, `;
    return sql`${sql.literal(`read${index}`)} AS MATERIALIZED (
      SELECT * FROM orders
      WHERE ${sql.and([
        ...where,
        sql`(${column}seq) < (${value}${below})`,
        sql`(${column}seq) >= (${value}${from})`,
      ])}
      ORDER BY ${sql.literal(order)} seq DESC LIMIT ${rows}::integer)`;
  });
  const matches = stretches.map(({ filter }, index) => {
    const all = sql`SELECT * FROM ${sql.literal(`read${index}`)}`;
    const wanted = [...filter, ...times];
    return wanted.length === 0 ? all : sql`${all} WHERE ${sql.and(wanted)}`;
  });
  const each = (what: string) =>
    sql.literal(
      `ARRAY[${stretches.map((_, index) => `(SELECT ${what} FROM read${index})`).join(", ")}]`,
    );
  return sql<PageRow>`
    WITH ${sql.join(", ", false)(reads)}, found AS MATERIALIZED (
      SELECT * FROM (${sql.join(" UNION ALL ", false)(matches)}) AS matching
      ORDER BY seq DESC LIMIT ${limit + 1}::integer
    ), sized AS (
      SELECT found.*, coalesce(sum(item_bytes)
        OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before
      FROM found
    )
    SELECT read.*, o.seq, o.item_bytes, ${sql.literal(orderColumns)}
    FROM (SELECT ${each("count(*)")} AS counts, ${each("min(seq)")} AS downs,
      (SELECT count(*) FROM found) AS matched) AS read
    LEFT JOIN sized AS o ON o.bytes_before < ${bytes}::bigint
    ORDER BY o.seq DESC`;
};

/**
 * How far down the page is complete: where a stretch was not read to its end,
 * what is below there may be missing. `undefined`: all was read.
 */
const completeTo = ({ counts, downs }: Read, rows: number) =>
  downs.reduce<bigint | undefined>((highest, down, index) => {
    if (down === null || Number(counts[index]) < rows) return highest;
    return highest === undefined || down > highest ? down : highest;
  }, undefined);

interface Found {
  readonly orders: ReadonlyArray<Order>;
  readonly bytes: number;
  /** Where the search ended, if there may be more. */
  readonly end: PageEnd | undefined;
  /** There is more that matches, and it does not fit into the page. */
  readonly isFull: boolean;
}

const foundIn = (
  selected: ReadonlyArray<PageRow>,
  { limit, rows }: Portion,
): Found => {
  const [first] = selected;
  const down = first === undefined ? undefined : completeTo(first, rows);
  const sent = selected.filter((row) => row.seq !== null);
  const matching = sent.filter(
    (row) => down === undefined || (row.seq as bigint) >= down,
  );
  const taken = matching.slice(0, limit);
  // Cut short by the items' size, and within what is complete.
  const isCut =
    sent.length < Number(first?.matched ?? 0) &&
    matching.length === sent.length;
  const isFull = matching.length > limit || isCut;
  const last = isFull ? (taken.at(-1)?.seq as bigint | undefined) : down;
  return {
    orders: taken.map(decodeOrder),
    bytes: taken.reduce((sum, row) => sum + (row.item_bytes as number), 0),
    end: last === undefined ? undefined : { seq: last },
    isFull,
  };
};

/** The page asked for: reads on, in longer stretches up to a limit, until full. */
export const read = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  query: OrderQuery,
): Effect.fn.Return<OrderPage, SqlError.SqlError> {
  const orders: Array<Order> = [];
  let portion: Portion = {
    after: query.after,
    rows: Math.min(
      rowsMax,
      (query.limit + 1) * (isFiltered(sql, query) ? rowsPerOrder : 1),
    ),
    limit: query.limit,
    bytes: pageBytesMax,
  };
  let rowsLeft = rowsMax - portion.rows;
  while (true) {
    const found = foundIn(yield* select(sql, query, portion), portion);
    orders.push(...found.orders);
    portion = {
      after: found.end,
      rows: Math.min(portion.rows * rowsPerOrder, rowsLeft),
      limit: portion.limit - found.orders.length,
      bytes: portion.bytes - found.bytes,
    };
    rowsLeft -= portion.rows;
    const isOver =
      found.isFull ||
      portion.rows === 0 ||
      portion.limit === 0 ||
      portion.bytes <= 0;
    if (found.end === undefined || isOver) return { orders, end: found.end };
  }
});

/** Whether a row that is read may not be wanted. */
const isFiltered = (sql: SqlClient.SqlClient, query: OrderQuery) =>
  query.created_after !== undefined ||
  query.created_before !== undefined ||
  stretchesOf(sql, query).some(({ filter }) => filter.length > 0);
