/** Takes orders in. What is new is stored once, whatever comes again. */
import { type DateTime, Effect, Option } from "effect";
import type { SqlClient, SqlError } from "effect/sql";
import type { NewOrder, Order } from "../domain/Order.ts";
import type { Partition } from "../domain/Partition.ts";
import { Refused } from "./Batching.ts";
import { byHalves, codeOf } from "./DataFaults.ts";
import {
  OrderHasLeft,
  OrderRefused,
  type Placement,
  type Placing,
  type RepositoryUnavailable,
} from "./OrderRepository.ts";
import {
  at,
  decodeSmallOrder,
  isLarge,
  type LargeOrder,
  smallOrderColumns,
} from "./OrderRow.ts";
import {
  durably,
  isMeanwhile,
  itemBytesMax,
  type Statements,
} from "./Statements.ts";

/** An order on its way in, with its items as JSON. */
export interface Written extends Placing {
  readonly items: string;
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

/** As far as the statement's snapshot shows what is stored or archived. */
const passedOver = `
  AND ((SELECT NOT is_called FROM order_archive_claims)
    OR NOT EXISTS (
      SELECT FROM archived_orders AS a WHERE a.order_id = given.order_id))
  ON CONFLICT (order_id) DO NOTHING`;

/** An order that has just been placed. */
export const placed = (order: NewOrder, created_at: DateTime.Utc): Order => ({
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

export const written = ({ order, partition }: Placing): Written => ({
  order,
  partition,
  items: JSON.stringify(order.item_ids),
});

/** The first of each id, in the order of ids: statements meet rows in it. */
export const firstOfEach = (placings: ReadonlyArray<Written>) => {
  const byId = new Map<string, Written>();
  for (const placing of placings) {
    if (!byId.has(placing.order.order_id)) {
      byId.set(placing.order.order_id, placing);
    }
  }
  return Array.from(byId.values()).sort((a, b) =>
    a.order.order_id < b.order.order_id ? -1 : 1,
  );
};

/** What whoever places an order is told where the database refuses it. */
export const refusedOrder = (error: SqlError.SqlError) =>
  new OrderRefused({ code: codeOf(error) });

export type OrderPlacing = ReturnType<typeof make>;

/**
 * @param sql where the orders of many callers share a statement
 * @param findLarge reads an order that is known to be there
 */
export const make = (
  sql: SqlClient.SqlClient,
  { batched, moving }: Statements,
  findLarge: (
    order: LargeOrder,
  ) => Effect.Effect<Option.Option<Order>, RepositoryUnavailable>,
) => {
  /**
   * A number of the log is taken once the transaction has its id, which the
   * condition sees to: `LogHorizon` counts on it.
   *
   * Once all rows are in, which `m` sees to, archived ids are looked for: it
   * fails if there is one (`isMeanwhile`, `migrations/0004_archive.ts`).
   *
   * @param taken what becomes of those whose id is taken: they are passed over,
   * archived ones as the snapshot shows them; or all of them fail
   */
  const insertNew = (
    client: SqlClient.SqlClient,
    given: ReadonlyArray<Written>,
    taken: "passed over" | "fail all",
  ) =>
    moving<{ order_id: string; created_at: Date }>(client, {
      moved: client`
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
        ${client.literal(taken === "passed over" ? passedOver : "")}
        RETURNING order_id, user_id, created_at, NULL AS was,
          status AS became, 0::float8 AS seconds`,
      selected: client.literal(`order_id, created_at,
        (SELECT CASE
          WHEN (SELECT is_called FROM order_archive_claims WHERE m.placed > 0)
          THEN none_archived(m.ids) END
        FROM (
          SELECT count(*) AS placed, array_agg(order_id) AS ids FROM moved
        ) AS m)`),
      told: { type: "order.placed" },
    });

  /** What is answered to whoever places it again is as durable as it was then. */
  const findStored = Effect.fnUntraced(function* (
    client: SqlClient.SqlClient,
    order_ids: ReadonlyArray<string>,
  ) {
    const rows = yield* client`
      SELECT ${client.literal(`${smallOrderColumns}, ${durably}`)}
      FROM orders AS o
      WHERE o.order_id = ANY(${order_ids}::text[])`;
    return rows.map(decodeSmallOrder);
  });

  /** Those of them that have left the table. */
  const findArchived = (
    client: SqlClient.SqlClient,
    given: ReadonlyArray<Written>,
  ): Effect.Effect<ReadonlyMap<Written, Archived>, SqlError.SqlError> => {
    if (given.length === 0) return Effect.succeed(new Map());
    return Effect.map(
      client<{ nth: bigint; is_same: boolean }>`
        SELECT given.nth,
          a.digest = order_digest(given.user_id, total_amount, item_ids::json)
            AS is_same, ${client.literal(durably)}
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
            given[Number(nth) - 1] as Written,
            { isSame: is_same },
          ]),
        ),
    );
  };

  const insertAll = Effect.fnUntraced(function* (
    placings: ReadonlyArray<Written>,
  ) {
    // The same id twice in one batch: the first is placed, the others find it.
    const given = firstOfEach(placings);
    const first = new Map(given.map((_) => [_.order.order_id as string, _]));
    const stored = new Map<string, Stored>();
    const inserted = yield* insertNew(sql, given, "passed over").pipe(
      Effect.retry({ while: isMeanwhile, times: anewMax }),
    );
    for (const row of inserted) {
      const placing = first.get(row.order_id);
      if (placing === undefined) continue;
      stored.set(row.order_id, {
        order: placed(placing.order, at(row.created_at)),
        isNew: true,
      });
    }
    const others = given
      .map((_) => _.order.order_id)
      .filter((order_id) => !stored.has(order_id));
    if (others.length > 0) {
      for (const order of yield* findStored(sql, others)) {
        stored.set(order.order_id, { order, isNew: false });
      }
    }
    const gone = placings.filter(({ order }) => !stored.has(order.order_id));
    const archived = yield* findArchived(sql, gone);
    return placings.map((placing): Stored | Archived => {
      const left = archived.get(placing);
      if (left !== undefined) return left;
      const { order_id } = placing.order;
      const placement = stored.get(order_id);
      if (placement === undefined) {
        throw new Error(`order ${order_id} was not stored`);
      }
      return first.get(order_id) === placing
        ? placement
        : { order: placement.order, isNew: false };
    });
  });

  const batch = batched(
    "insert",
    byHalves<Written, Stored | Archived | Refused<OrderRefused>>(
      insertAll,
      ({ order }) => order.order_id,
      (_, error) => new Refused(refusedOrder(error)),
    ),
    {
      weigh: ({ items }: Written) => items.length,
      max: itemBytesMax,
    },
  );

  const read = (order: LargeOrder) =>
    Effect.map(findLarge(order), Option.getOrThrow);

  const insert = (order: NewOrder, partition: Partition) => {
    const placing = written({ order, partition });
    const item_bytes = placing.items.length;
    return Effect.flatMap(
      batch.one(placing),
      (
        stored,
      ): Effect.Effect<Placement, RepositoryUnavailable | OrderHasLeft> => {
        if ("isSame" in stored) return Effect.fail(new OrderHasLeft(stored));
        const { isNew, order } = stored;
        return isLarge(order)
          ? Effect.map(read(order), (order) => ({ order, isNew, item_bytes }))
          : Effect.succeed({ order, isNew, item_bytes });
      },
    );
  };

  return { insert, insertNew, findStored, findArchived, batch, read };
};
