/** Finds orders by their ids: small ones together, large ones by their size. */
import { Effect, Option, Schema } from "effect";
import type { SqlClient } from "effect/sql";
import { type Order, OrderId } from "../domain/Order.ts";
import {
  decodeOrder,
  decodeSmallOrder,
  isLarge,
  type LargeOrder,
  orderColumns,
  smallOrderColumns,
} from "./OrderRow.ts";
import { byItemBytes, type Statements } from "./Statements.ts";

/** What cannot be the id of an order is not looked for: it may not be text. */
export const isOrderId = Schema.is(OrderId);

export const make = (sql: SqlClient.SqlClient, { batched }: Statements) => {
  const findAll = <A>(
    ids: ReadonlyArray<string>,
    columns: string,
    decode: (row: Readonly<Record<string, unknown>>) => A,
  ) =>
    Effect.map(
      sql`SELECT ${sql.literal(columns)} FROM orders AS o
        WHERE o.order_id = ANY(${ids}::text[])`,
      (rows) => {
        const found = new Map(
          rows.map((row) => [row.order_id as string, decode(row)]),
        );
        return ids.map((id) => Option.fromUndefinedOr(found.get(id)));
      },
    );
  const findSmall = batched("find", (ids: ReadonlyArray<string>) =>
    findAll(ids, smallOrderColumns, decodeSmallOrder),
  ).one;
  const findLarge = batched(
    "findLarge",
    (orders: ReadonlyArray<LargeOrder>) =>
      findAll(
        orders.map(({ order_id }) => order_id),
        orderColumns,
        decodeOrder,
      ),
    byItemBytes,
    sql,
  ).one;
  const findLeft = batched("hasLeft", (ids: ReadonlyArray<string>) =>
    Effect.map(
      sql<{ order_id: string }>`SELECT order_id FROM archived_orders
        WHERE order_id = ANY(${ids}::text[])`,
      (rows) => {
        const left = new Set(rows.map(({ order_id }) => order_id));
        return ids.map((id) => left.has(id));
      },
    ),
  ).one;
  return {
    hasLeft: (order_id: string) =>
      isOrderId(order_id) ? findLeft(order_id) : Effect.succeed(false),
    findLarge,
    find: (order_id: string) =>
      isOrderId(order_id)
        ? Effect.flatMap(findSmall(order_id), (found) =>
            Option.isSome(found) && isLarge(found.value)
              ? findLarge(found.value)
              : Effect.succeed(found as Option.Option<Order>),
          )
        : Effect.succeedNone,
  };
};
