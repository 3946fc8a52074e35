/** What operators do to orders: cancel, retry, retry many. */
import { Effect, Option } from "effect";
import type { SqlClient, Statement } from "effect/sql";
import { moves } from "../domain/OrderLifecycle.ts";
import { Actor } from "./EventLog.ts";
import { isOrderId } from "./OrderFinding.ts";
import type { Kept, Told } from "./OrderMoves.ts";
import type { Retried, RetryQuery } from "./OrderRepository.ts";
import { decodeOrder, orderColumns, toDate } from "./OrderRow.ts";
import type { Statements } from "./Statements.ts";

const retriedIn = ({ item_bytes, order_id, partition }: Retried): Retried => ({
  order_id,
  partition,
  item_bytes,
});

export const make = (
  sql: SqlClient.SqlClient,
  { answer, moving }: Statements,
) => {
  /** Who asked for it is told, and kept in the order's history. */
  const telling = (
    type: "cancelled" | "retried",
    actor: string | undefined,
  ): { readonly told: Told; readonly kept: Kept } => {
    const who = sql`${actor ?? null}::text`;
    return {
      told: {
        type: `order.${type}`,
        attempt: sql.literal("begun"),
        details: sql`json_build_object('actor', ${who})`,
      },
      kept: {
        columns: "entry, actor",
        rows: sql`SELECT order_id, ${type}::text, ${who} FROM moved`,
      },
    };
  };

  const cancel = Effect.fn("OrderRepository.cancel")((order_id: string) =>
    !isOrderId(order_id)
      ? Effect.succeedNone
      : answer(
          Effect.flatMap(Actor, (actor) =>
            moving<Record<string, unknown>>(sql, {
              moved: sql`
                UPDATE orders AS o SET status = ${moves.cancel.to},
                  ended = ${moves.cancel.to}, due_at = NULL, updated_at = now()
                WHERE order_id = ${order_id}::text
                  AND status = ${moves.cancel.from}
                RETURNING ${sql.literal(orderColumns)}, o.begun,
                  ${moves.cancel.from}::text AS was, status AS became,
                  0::float8 AS seconds`,
              ...telling("cancelled", actor),
            }),
          ),
        ).pipe(
          Effect.map(([row]) =>
            Option.map(Option.fromUndefinedOr(row), decodeOrder),
          ),
        ),
  );

  /**
   * Makes FAILED orders PENDING, due at once; `chosen` names them by `order_id`.
   * Many come back as what their actors need of them: their items would take
   * memory.
   */
  const retryAll = (
    chosen: Statement.Fragment,
    returned: string,
    selected = "*",
  ) =>
    answer(
      Effect.flatMap(Actor, (actor) =>
        moving<Retried>(sql, {
          moved: sql`
            UPDATE orders AS o SET status = ${moves.retry.to}, ended = NULL,
              attempts = 0, due_at = now(), updated_at = now()
            WHERE order_id = ANY(ARRAY(
                SELECT order_id FROM (${chosen}) AS chosen))
              AND status = ${moves.retry.from}
            RETURNING ${sql.literal(returned)}, o.partition, o.item_bytes,
              o.begun, ${moves.retry.from}::text AS was, status AS became,
              0::float8 AS seconds`,
          selected: sql.literal(selected),
          ...telling("retried", actor),
        }),
      ),
    );

  const retry = Effect.fn("OrderRepository.retry")((order_id: string) =>
    !isOrderId(order_id)
      ? Effect.succeedNone
      : retryAll(sql`SELECT ${order_id}::text AS order_id`, orderColumns).pipe(
          Effect.map(([row]) =>
            Option.map(Option.fromUndefinedOr(row), (row) => ({
              ...retriedIn(row),
              order: decodeOrder(row),
            })),
          ),
        ),
  );

  const retryMany = Effect.fn("OrderRepository.retryMany")(
    ({ created_before, limit, user_id }: RetryQuery) => {
      const column = user_id === undefined ? "ended" : "user_id";
      const chosen = sql`
        SELECT order_id FROM orders
        WHERE ${sql.and([
          sql`(${sql.literal(column)}, seq)
            >= (${user_id ?? moves.retry.from}::text, 0)`,
          sql`(${sql.literal(column)}, seq)
            < (${user_id ?? moves.retry.from}::text, 9223372036854775807)`,
          sql`ended IS NOT NULL AND status = ${moves.retry.from}`,
          ...(created_before === undefined
            ? []
            : [sql`created_at < ${toDate(created_before)}::timestamptz`]),
        ])}
        ORDER BY ${sql.literal(column)}, seq
        LIMIT ${limit}::integer
        FOR UPDATE SKIP LOCKED`;
      return Effect.map(
        retryAll(
          chosen,
          "o.order_id, o.user_id",
          "order_id, partition, item_bytes",
        ),
        (rows) => rows.map(retriedIn),
      );
    },
  );

  return { cancel, retry, retryMany };
};
