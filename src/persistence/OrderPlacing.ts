/** Takes orders in. What is new is stored once, whatever comes again. */
import { type DateTime, Effect } from "effect";
import type { SqlClient } from "effect/sql";
import type { NewOrder, Order } from "../domain/Order.ts";
import type { Partition } from "../domain/Partition.ts";
import {
  at,
  decodeSmallOrder,
  type LargeOrder,
  smallOrderColumns,
} from "./OrderRow.ts";
import { isMeanwhile, itemBytesMax, type Statements } from "./Statements.ts";

export interface Placing {
  readonly order: NewOrder;
  /** Its items, as JSON. */
  readonly items: string;
  readonly partition: Partition;
}

/** What is known of an order after its insert: of a large one, not its items. */
export interface Stored {
  readonly order: Order | LargeOrder;
  readonly isNew: boolean;
}

/** It was placed before, was done, and has left the table. */
export interface Archived {
  /** Whether what was placed then said the same. */
  readonly isSame: boolean;
}

/** How often a statement is sent anew for that; each time others may do it. */
const anewMax = 5;

/** An order that has just been placed. */
const placed = (order: NewOrder, created_at: DateTime.Utc): Order => ({
  order_id: order.order_id,
  user_id: order.user_id,
  item_ids: order.item_ids,
  total_amount: order.total_amount,
  status: "PENDING",
  created_at,
  updated_at: created_at,
  processing_started_at: null,
  processing_completed_at: null,
  attempts: 0,
  next_attempt_at: null,
  last_error: null,
});

export const make = (
  sql: SqlClient.SqlClient,
  { batched, moving }: Statements,
) => {
  /**
   * A number of the log is taken once the transaction has its id, which the
   * condition sees to: `LogHorizon` counts on it.
   *
   * What is archived is passed over as the snapshot shows it, and looked for
   * again once all rows are in, which `m` sees to: `migrations/0004_archive.ts`.
   */
  const insertNew = (given: ReadonlyArray<Placing>) =>
    moving<{ order_id: string; created_at: Date }>(sql, {
      moved: sql`
        INSERT INTO orders
          (order_id, user_id, item_ids, total_amount, partition, seq)
        SELECT order_id, user_id, item_ids::json, total_amount, partition,
          nextval('orders_seq')
        FROM unnest(
          ${given.map((_) => _.order.order_id)}::text[],
          ${given.map((_) => _.order.user_id)}::text[],
          ${given.map((_) => _.items)}::text[],
          ${given.map((_) => String(_.order.total_amount))}::numeric[],
          ${given.map((_) => _.partition)}::smallint[]
        ) AS given (order_id, user_id, item_ids, total_amount, partition)
        WHERE pg_current_xact_id() IS NOT NULL
          AND ((SELECT NOT is_called FROM order_archive_claims)
            OR NOT EXISTS (
              SELECT FROM archived_orders AS a
              WHERE a.order_id = given.order_id))
        ON CONFLICT (order_id) DO NOTHING
        RETURNING order_id, user_id, created_at, NULL AS was,
          status AS became, 0::float8 AS seconds`,
      selected: sql.literal(`order_id, created_at,
        (SELECT CASE
          WHEN (SELECT is_called FROM order_archive_claims WHERE m.placed > 0)
          THEN none_archived(m.ids) END
        FROM (
          SELECT count(*) AS placed, array_agg(order_id) AS ids FROM moved
        ) AS m)`),
      told: { type: "order.placed" },
    }).pipe(Effect.retry({ while: isMeanwhile, times: anewMax }));

  const findStored = (order_ids: ReadonlyArray<string>) =>
    sql`SELECT ${sql.literal(smallOrderColumns)} FROM orders AS o
      WHERE o.order_id = ANY(${order_ids}::text[])`;

  /** Those that have left the table, in the order given; `undefined`: it has not. */
  const findArchived = (given: ReadonlyArray<Placing>) =>
    Effect.map(
      sql<{ nth: bigint; is_same: boolean }>`
        SELECT given.nth,
          a.digest = order_digest(given.user_id, total_amount, item_ids::json)
            AS is_same
        FROM unnest(
          ${given.map((_) => _.order.order_id)}::text[],
          ${given.map((_) => _.order.user_id)}::text[],
          ${given.map((_) => _.items)}::text[],
          ${given.map((_) => String(_.order.total_amount))}::numeric[]
        ) WITH ORDINALITY
          AS given (order_id, user_id, item_ids, total_amount, nth)
        JOIN archived_orders AS a ON a.order_id = given.order_id`,
      (rows) =>
        new Map(
          rows.map(({ is_same, nth }) => [
            given[Number(nth) - 1],
            { isSame: is_same },
          ]),
        ),
    );

  const insertAll = Effect.fnUntraced(function* (
    placings: ReadonlyArray<Placing>,
  ) {
    // The same id twice in one batch: the first is placed, the others find it.
    const byId = new Map<string, Placing>();
    for (const placing of placings) {
      if (!byId.has(placing.order.order_id)) {
        byId.set(placing.order.order_id, placing);
      }
    }
    const given = Array.from(byId.values()).sort((a, b) =>
      a.order.order_id < b.order.order_id ? -1 : 1,
    );
    const stored = new Map<string, Stored>();
    for (const { created_at, order_id } of yield* insertNew(given)) {
      const placing = byId.get(order_id);
      if (placing === undefined) continue;
      stored.set(order_id, {
        order: placed(placing.order, at(created_at)),
        isNew: true,
      });
    }
    const others = given
      .map((_) => _.order.order_id)
      .filter((order_id) => !stored.has(order_id));
    if (others.length > 0) {
      for (const row of yield* findStored(others)) {
        const order = decodeSmallOrder(row);
        stored.set(order.order_id, { order, isNew: false });
      }
    }
    const gone = placings.filter(({ order }) => !stored.has(order.order_id));
    const archived = gone.length === 0 ? undefined : yield* findArchived(gone);
    return placings.map((placing): Stored | Archived => {
      const left = archived?.get(placing);
      if (left !== undefined) return left;
      const placement = stored.get(placing.order.order_id);
      if (placement === undefined) {
        throw new Error(`order ${placing.order.order_id} was not stored`);
      }
      return byId.get(placing.order.order_id) === placing
        ? placement
        : { order: placement.order, isNew: false };
    });
  });

  return batched("insert", insertAll, {
    weigh: ({ items }: Placing) => items.length,
    max: itemBytesMax,
  }).one;
};
