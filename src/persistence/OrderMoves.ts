/**
 * The statement that moves orders, whatever moves them. With the orders it
 * changes the statistics, and writes what others have to know: the events, and
 * what an order's row will not say later (its history). All of it is done, or
 * nothing.
 */
import { Effect } from "effect";
import type { SqlClient, SqlError, Statement } from "effect/sql";
import type { EventType } from "../domain/OrderEvent.ts";
import * as OrderStatistics from "./OrderStatistics.ts";

/** What is told of the orders of `moved`: expressions over its columns. */
export interface Told {
  /** The type of the event, an expression where it may be one of several. */
  readonly type: EventType | Statement.Fragment;
  /** Attempts begun until then; left out, none. */
  readonly attempt?: Statement.Fragment;
  /** What else is told, as JSON. */
  readonly details?: Statement.Fragment;
}

/** Entries of `order_history`: `SELECT`s of its columns but the number. */
export interface Kept {
  readonly columns: string;
  readonly rows: Statement.Fragment;
}

export interface Move {
  /**
   * Moves orders, and returns `order_id`, `user_id`, `was` and `became` (their
   * statuses; no `was`: they are new) and `seconds` (of processing), and what
   * is told and selected.
   */
  readonly moved: Statement.Fragment;
  /** Columns of what `moved` returns; left out, all. */
  readonly selected?: Statement.Fragment;
  /** Left out: nobody else has to know. */
  readonly told?: Told | undefined;
  readonly kept?: Kept | undefined;
}

export interface MovesOptions {
  readonly writesEvents: boolean;
  /** Tells that events have been written. */
  readonly onWritten: () => void;
}

export type Moving = <A extends object>(
  sql: SqlClient.SqlClient,
  move: Move,
) => Effect.Effect<ReadonlyArray<A>, SqlError.SqlError>;

/** A record of all events of a type: `migrations/0002_events.ts`. */
const telling = (
  sql: SqlClient.SqlClient,
  { attempt, details, type }: Told,
): Statement.Fragment => {
  const typed = typeof type === "string" ? sql`${type}::text` : type;
  const attempts =
    attempt === undefined
      ? sql.literal("NULL::integer[]")
      : sql`array_agg(${attempt})`;
  const detailed =
    details === undefined
      ? sql.literal("NULL::json")
      : sql`json_agg(${details})`;
  const grouped =
    typeof type === "string"
      ? sql.literal("HAVING count(*) > 0")
      : sql`GROUP BY ${type}`;
  return sql`
    INSERT INTO order_events
      (event, size, order_ids, user_ids, attempts, details)
    SELECT ${typed}, count(*), array_agg(order_id), array_agg(user_id),
      ${attempts}, ${detailed}
    FROM moved ${grouped}`;
};

export const make = ({ onWritten, writesEvents }: MovesOptions): Moving => {
  return <A extends object>(
    sql: SqlClient.SqlClient,
    { kept, moved, selected = sql.literal("*"), told }: Move,
  ) => {
    const tells = writesEvents && told !== undefined;
    const parts = [
      sql`moved AS (${moved})`,
      sql`counted AS (${OrderStatistics.counting(sql)})`,
      ...(tells ? [sql`told AS (${telling(sql, told)})`] : []),
      ...(kept === undefined
        ? []
        : [
            sql`kept AS (
              INSERT INTO order_history (order_id, ${sql.literal(kept.columns)})
              ${kept.rows})`,
          ]),
    ];
    const statement = sql<A>`
      WITH ${sql.join(", ", false)(parts)} SELECT ${selected} FROM moved`;
    return tells
      ? Effect.map(statement, (rows) => {
          if (rows.length > 0) onWritten();
          return rows;
        })
      : statement;
  };
};
