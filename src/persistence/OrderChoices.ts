/**
 * Which orders a change of many is about, oldest first. They are read from
 * stretches of indexes, in the order of the log, so many rows at a time, and so
 * many in all: a filter that matches little among much ends early, and says so.
 */
import { Clock, Effect } from "effect";
import type { SqlClient, Statement } from "effect/sql";
import type { OrderId } from "../domain/Order.ts";
import type {
  Changed,
  Choice,
  Matching,
  RepositoryUnavailable,
} from "./OrderRepository.ts";
import { toDate } from "./OrderRow.ts";
import { durable, type Statements } from "./Statements.ts";

/** The most rows that are read by a statement, of each stretch. */
const rowsMax = 5_000;

/** Statements at most: a hundred thousand rows of each stretch. */
const stepsMax = 20;

/** After so long there is no further one. */
const stepsMillis = 4_000;

/** Rows read at first for each order that is wanted. */
const rowsPerOrder = 4;

/** Orders of one time may be numbered before those of a little earlier. */
const disorder = "interval '1 minute'";

const seqMax = "9223372036854775807";

/** A stretch of an index in the order of the log, and what is wanted of it. */
interface Stretch {
  /** As in `OrderPages`: of the index on `(column, seq)`. */
  readonly of?: {
    readonly column: "ended" | "user_id";
    readonly value: string;
  };
  readonly after: Statement.Fragment;
  readonly where: ReadonlyArray<Statement.Fragment>;
  readonly filter: ReadonlyArray<Statement.Fragment>;
}

const stretchesOf = (
  sql: SqlClient.SqlClient,
  { status, user_id }: Choice,
  after: bigint,
): ReadonlyArray<Stretch> => {
  const place = sql`${String(after)}::text::bigint`;
  const ofUser =
    user_id === undefined
      ? {}
      : { of: { column: "user_id", value: user_id } as const };
  const isStatus = sql`status = ${status}::text`;
  if (status === "FAILED") {
    return [
      {
        of: { column: "ended", value: status },
        ...ofUser,
        after: place,
        where: [sql.literal("ended IS NOT NULL")],
        filter: [isStatus],
      },
    ];
  }
  return [
    {
      ...ofUser,
      // What lies before all places is final, or aside.
      after: sql`(SELECT greatest(min(place), ${place}) FROM partition_owners)`,
      where: [],
      filter: [isStatus, sql.literal("due_at IS NULL")],
    },
    {
      after: place,
      where: [sql.literal("due_at IS NOT NULL")],
      filter: [
        isStatus,
        ...(user_id === undefined ? [] : [sql`user_id = ${user_id}::text`]),
      ],
    },
  ];
};

/** What was read: of each stretch how many rows and up to which. */
interface Read {
  readonly counts: ReadonlyArray<bigint>;
  readonly ups: ReadonlyArray<bigint | null>;
  /** Of those that match, oldest first. */
  readonly ids: ReadonlyArray<OrderId>;
  readonly seqs: ReadonlyArray<bigint>;
}

/** How much is read at once. */
interface Portion {
  readonly after: bigint;
  readonly rows: number;
  /** Matching orders at most. */
  readonly limit: number;
}

const select = (
  sql: SqlClient.SqlClient,
  choice: Choice,
  { after, limit, rows }: Portion,
) => {
  const { created_before, error } = choice;
  const before =
    created_before === undefined
      ? undefined
      : sql`${toDate(created_before)}::timestamptz`;
  const below =
    before === undefined
      ? sql.literal(seqMax)
      : sql`(SELECT orders_seq_at(${before} + ${sql.literal(disorder)}))`;
  const stretches = stretchesOf(sql, choice, after);
  const reads = stretches.map(({ after, of, where }, index) => {
    const column = sql.literal(of === undefined ? "" : `${of.column}, `);
    const value = of === undefined ? sql.literal("") : sql`${of.value}::text, `;
    return sql`${sql.literal(`read${index}`)} AS MATERIALIZED (
      SELECT order_id, seq, user_id, status, due_at, created_at, last_error
      FROM orders
      WHERE ${sql.and([
        ...where,
        sql`(${column}seq) > (${value}${after})`,
        sql`(${column}seq) < (${value}${below})`,
      ])}
      ORDER BY ${column} seq LIMIT ${rows}::integer)`;
  });
  const matches = stretches.map(
    ({ filter }, index) => sql`
      SELECT order_id, seq FROM ${sql.literal(`read${index}`)}
      WHERE ${sql.and([
        ...filter,
        ...(before === undefined ? [] : [sql`created_at < ${before}`]),
        ...(error === undefined ? [] : [sql`last_error = ${error}::text`]),
      ])}`,
  );
  const each = (what: string) =>
    sql.literal(
      `ARRAY[${stretches.map((_, index) => `(SELECT ${what} FROM read${index})`).join(", ")}]`,
    );
  return sql<Read>`
    WITH ${sql.join(", ", false)(reads)}, found AS MATERIALIZED (
      SELECT * FROM (${sql.join(" UNION ALL ", false)(matches)}) AS matching
      ORDER BY seq LIMIT ${limit}::integer
    )
    SELECT ${each("count(*)")} AS counts, ${each("max(seq)")} AS ups,
      ARRAY(SELECT order_id FROM found ORDER BY seq) AS ids,
      ARRAY(SELECT seq FROM found ORDER BY seq) AS seqs`;
};

/**
 * How far up what was read is complete: where a stretch was not read to its end,
 * what is above may be missing. `undefined`: all was read.
 */
const completeTo = ({ counts, ups }: Read, rows: number) =>
  ups.reduce<bigint | undefined>((lowest, up, index) => {
    if (up === null || Number(counts[index]) < rows) return lowest;
    return lowest === undefined || up < lowest ? up : lowest;
  }, undefined);

interface Found {
  readonly ids: ReadonlyArray<OrderId>;
  /** Where to read on; none: there is no more. */
  readonly next: bigint | undefined;
}

const foundIn = (read: Read, { limit, rows }: Portion): Found => {
  const up = completeTo(read, rows);
  const complete =
    up === undefined
      ? read.ids.length
      : read.seqs.filter((_) => _ <= up).length;
  // One more was read than is wanted.
  return complete < limit
    ? { ids: read.ids.slice(0, complete), next: up }
    : { ids: read.ids.slice(0, limit - 1), next: read.seqs[limit - 2] };
};

export const make = (sql: SqlClient.SqlClient, { answer }: Statements) => {
  /**
   * Gives the orders of a choice to `take`, some at a time, until it has taken
   * `max`. Says where to read on, if there are more, or may be.
   */
  const each = Effect.fnUntraced(function* (
    choice: Choice,
    max: number,
    take: (
      ids: ReadonlyArray<OrderId>,
    ) => Effect.Effect<number, RepositoryUnavailable>,
  ) {
    const over = (yield* Clock.currentTimeMillis) + stepsMillis;
    let portion: Portion = {
      after: choice.after?.seq ?? 0n,
      rows: Math.min(rowsMax, (max + 1) * rowsPerOrder),
      limit: max + 1,
    };
    for (let step = 0; step < stepsMax; step += 1) {
      const [read] = yield* answer(select(sql, choice, portion));
      if (read === undefined) break;
      const { ids, next } = foundIn(read, portion);
      const taken = ids.length === 0 ? 0 : yield* take(ids);
      const limit = portion.limit - taken;
      if (next === undefined) return undefined;
      portion = { after: next, rows: rowsMax, limit };
      if (limit <= 1 || (yield* Clock.currentTimeMillis) > over) break;
    }
    return portion.after;
  });

  return {
    each,
    /** Counts the orders of a choice, and stops at `max`. */
    count: Effect.fn("OrderRepository.countMatching")(function* (
      choice: Choice,
      max: number,
    ) {
      let matching = 0;
      const next = yield* each(choice, max, (ids) =>
        Effect.sync(() => {
          matching += ids.length;
          return ids.length;
        }),
      );
      const isCapped = next !== undefined;
      return { matching, isCapped } satisfies Matching;
    }),
    /** Changes the orders of a choice, at most `max`; those held are left. */
    change: Effect.fnUntraced(function* <A>(
      choice: Choice,
      max: number,
      change: (
        ids: ReadonlyArray<OrderId>,
      ) => Effect.Effect<ReadonlyArray<A>, RepositoryUnavailable>,
    ) {
      const orders: Array<A> = [];
      let isLeft = false;
      const next = yield* each(choice, max, (ids) =>
        Effect.map(change(ids), (changed) => {
          orders.push(...changed);
          if (changed.length < ids.length) isLeft = true;
          return changed.length;
        }),
      );
      if (orders.length === 0) yield* answer(durable(sql));
      return {
        orders,
        more: next !== undefined || isLeft,
        end: next === undefined ? undefined : { seq: next },
      } satisfies Changed<A>;
    }),
  };
};
