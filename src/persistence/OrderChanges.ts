/** What operators do to orders: cancel and retry, one or many. */
import { Effect, Option } from "effect";
import type { SqlClient, SqlError, Statement } from "effect/sql";
import type { OrderId } from "../domain/Order.ts";
import { moves } from "../domain/OrderLifecycle.ts";
import { byHalves } from "./DataFaults.ts";
import { Actor } from "./EventLog.ts";
import * as OrderChoices from "./OrderChoices.ts";
import { isOrderId } from "./OrderFinding.ts";
import type { Kept, Told } from "./OrderMoves.ts";
import type { ManyQuery, Retried } from "./OrderRepository.ts";
import { decodeOrder, orderColumns } from "./OrderRow.ts";
import { durable, type Statements } from "./Statements.ts";

const retriedIn = ({ item_bytes, order_id, partition }: Retried): Retried => ({
  order_id,
  partition,
  item_bytes,
});

export const make = (sql: SqlClient.SqlClient, statements: Statements) => {
  const { answer, moving } = statements;
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

  /** Makes PENDING orders CANCELLED; `chosen` names them by `order_id`. */
  const cancelAll = <A extends object>(
    chosen: Statement.Fragment,
    returned: string,
    selected = "*",
  ) =>
    Effect.flatMap(Actor, (actor) =>
      moving<A>(sql, {
        moved: sql`
            UPDATE orders AS o SET status = ${moves.cancel.to},
              ended = ${moves.cancel.to}, due_at = NULL, updated_at = now()
            WHERE order_id = ANY(ARRAY(
                SELECT order_id FROM (${chosen}) AS chosen))
              AND status = ${moves.cancel.from}
            RETURNING ${sql.literal(returned)}, o.begun,
              ${moves.cancel.from}::text AS was, status AS became,
              0::float8 AS seconds`,
        selected: sql.literal(selected),
        ...telling("cancelled", actor),
      }),
    );

  /** Whoever changed nothing is answered by what is stored, or was done. */
  const orDurable = (rows: ReadonlyArray<unknown>) =>
    rows.length === 0 ? answer(durable(sql)) : Effect.void;

  const cancel = Effect.fn("OrderRepository.cancel")((order_id: string) =>
    !isOrderId(order_id)
      ? Effect.succeedNone
      : answer(
          cancelAll<Record<string, unknown>>(
            sql`SELECT ${order_id}::text AS order_id`,
            orderColumns,
          ),
        ).pipe(
          Effect.tap(orDurable),
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
    );

  const retry = Effect.fn("OrderRepository.retry")((order_id: string) =>
    !isOrderId(order_id)
      ? Effect.succeedNone
      : answer(
          retryAll(sql`SELECT ${order_id}::text AS order_id`, orderColumns),
        ).pipe(
          Effect.tap(orDurable),
          Effect.map(([row]) =>
            Option.map(Option.fromUndefinedOr(row), (row) => ({
              ...retriedIn(row),
              order: decodeOrder(row),
            })),
          ),
        ),
  );

  /** Those among `ids` that are still in a status, and that nobody holds. */
  const stillIn = (status: string, ids: ReadonlyArray<string>) => sql`
    SELECT order_id FROM orders
    WHERE order_id = ANY(${ids}::text[]) AND status = ${status}
    FOR UPDATE SKIP LOCKED`;

  /** Leaves orders whose data the database refuses as they are. */
  const pastRefused =
    <A>(
      change: (
        ids: ReadonlyArray<OrderId>,
      ) => Effect.Effect<ReadonlyArray<A>, SqlError.SqlError>,
    ) =>
    (ids: ReadonlyArray<OrderId>) =>
      answer(
        Effect.map(
          byHalves<OrderId, A | undefined>(
            change,
            (order_id) => order_id,
            () => undefined,
          )(ids),
          (changed) => changed.filter((one) => one !== undefined),
        ),
      );

  const choices = OrderChoices.make(sql, statements);

  const retryMany = Effect.fn("OrderRepository.retryMany")(
    ({ limit, ...choice }: ManyQuery) =>
      choices.change(
        { ...choice, status: moves.retry.from },
        limit,
        pastRefused((ids) =>
          Effect.map(
            retryAll(
              stillIn(moves.retry.from, ids),
              "o.order_id, o.user_id",
              "order_id, partition, item_bytes",
            ),
            (rows) => rows.map(retriedIn),
          ),
        ),
      ),
  );

  const cancelMany = Effect.fn("OrderRepository.cancelMany")(
    ({ limit, ...choice }: ManyQuery) =>
      choices.change(
        { ...choice, status: moves.cancel.from },
        limit,
        pastRefused((ids) =>
          Effect.map(
            cancelAll<{ readonly order_id: OrderId }>(
              stillIn(moves.cancel.from, ids),
              "o.order_id, o.user_id",
              "order_id",
            ),
            (rows) => rows.map(({ order_id }) => order_id),
          ),
        ),
      ),
  );

  return {
    cancel,
    retry,
    retryMany,
    cancelMany,
    countMatching: choices.count,
  };
};
