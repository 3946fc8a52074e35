/**
 * Takes orders in, one by one or many at once. What is new is stored once,
 * whatever comes again.
 */
import { type DateTime, Effect, Option, Result } from "effect";
import type { SqlClient, SqlError } from "effect/sql";
import { type NewOrder, type Order, sameContent } from "../domain/Order.ts";
import type { Partition } from "../domain/Partition.ts";
import {
  type AnswerEach,
  type Placement,
  type PlacementOfMany,
  type Placing,
  RepositoryUnavailable,
} from "./OrderRepository.ts";
import {
  at,
  decodeSmallOrder,
  isLarge,
  type LargeOrder,
  smallOrderColumns,
} from "./OrderRow.ts";
import { itemBytesMax, type Statements } from "./Statements.ts";

/** An order on its way in, with its items as JSON. */
interface Written extends Placing {
  readonly items: string;
}

/** What is known of an order after its insert: of a large one, not its items. */
interface Stored {
  readonly order: Order | LargeOrder;
  readonly isNew: boolean;
}

/** How often orders that others place at the same moment are looked at anew. */
const looksMax = 5;

/** Large orders that are read at once, for the orders of one caller. */
const readAtOnce = 32;

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

const written = ({ order, partition }: Placing): Written => ({
  order,
  partition,
  items: JSON.stringify(order.item_ids),
});

const utf8 = new TextEncoder();

/**
 * Whether a stored order may have the items of this one: the same JSON value
 * takes the same bytes, in whatever order its keys come.
 */
const maySame = ({ items }: Written, { item_bytes }: LargeOrder) =>
  utf8.encode(items).length === item_bytes;

const isUnread = (order: NewOrder | LargeOrder): order is LargeOrder =>
  "item_bytes" in order;

/** In pieces that a statement may take, by the size of their items. */
const pieces = (
  placings: ReadonlyArray<Written>,
): ReadonlyArray<ReadonlyArray<Written>> => {
  const pieces: Array<Array<Written>> = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const placing of placings) {
    bytes += placing.items.length;
    if (bytes > itemBytesMax) {
      pieces.push([]);
      bytes = placing.items.length;
    }
    pieces.at(-1)?.push(placing);
  }
  return pieces;
};

/** The first of each id, in the order of ids: statements meet rows in it. */
const firstOfEach = (placings: ReadonlyArray<Written>) => {
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

/**
 * @param sql where the orders of many callers share a statement
 * @param apart where a statement has its connection alone
 * @param findLarge reads an order that is known to be there
 */
export const make = (
  sql: SqlClient.SqlClient,
  apart: SqlClient.SqlClient,
  { answer, batched, moving }: Statements,
  findLarge: (
    order: LargeOrder,
  ) => Effect.Effect<Option.Option<Order>, RepositoryUnavailable>,
) => {
  /**
   * A number of the log is taken once the transaction has its id, which the
   * condition sees to: `LogHorizon` counts on it.
   *
   * @param taken what becomes of those whose id is taken: they are passed over,
   * or all of them fail
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
        ${client.literal(
          taken === "passed over" ? "ON CONFLICT (order_id) DO NOTHING" : "",
        )}
        RETURNING order_id, user_id, created_at, NULL AS was,
          status AS became, 0::float8 AS seconds`,
      selected: client.literal("order_id, created_at"),
      told: { type: "order.placed" },
    });

  const findStored = Effect.fnUntraced(function* (
    client: SqlClient.SqlClient,
    order_ids: ReadonlyArray<string>,
  ) {
    const rows = yield* client`
      SELECT ${client.literal(smallOrderColumns)} FROM orders AS o
      WHERE o.order_id = ANY(${order_ids}::text[])`;
    return rows.map(decodeSmallOrder);
  });

  const insertAll = Effect.fnUntraced(function* (
    placings: ReadonlyArray<Written>,
  ) {
    // The same id twice in one batch: the first is placed, the others find it.
    const given = firstOfEach(placings);
    const first = new Map(given.map((_) => [_.order.order_id as string, _]));
    const stored = new Map<string, Stored>();
    for (const row of yield* insertNew(sql, given, "passed over")) {
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
    return placings.map((placing): Stored => {
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

  const batch = batched("insert", insertAll, {
    weigh: ({ items }: Written) => items.length,
    max: itemBytesMax,
  });

  const read = (order: LargeOrder) =>
    Effect.map(findLarge(order), Option.getOrThrow);

  const insert = (order: NewOrder, partition: Partition) => {
    const placing = written({ order, partition });
    const item_bytes = placing.items.length;
    return Effect.flatMap(
      batch.one(placing),
      ({ isNew, order }): Effect.Effect<Placement, RepositoryUnavailable> =>
        isLarge(order)
          ? Effect.map(read(order), (order) => ({ order, isNew, item_bytes }))
          : Effect.succeed({ order, isNew, item_bytes }),
    );
  };

  /** What is stored, read where it may be what was given. */
  const readIfSame = (
    placing: Written,
    { isNew, order }: Stored,
  ): Effect.Effect<PlacementOfMany, RepositoryUnavailable> => {
    const item_bytes = placing.items.length;
    if (!isLarge(order)) return Effect.succeed({ order, isNew, item_bytes });
    return maySame(placing, order)
      ? Effect.map(read(order), (order) => ({ order, isNew, item_bytes }))
      : Effect.succeed({ order: undefined, isNew, item_bytes });
  };

  type Answers = AnswerEach<PlacementOfMany>;

  const insertPiece = (
    piece: ReadonlyArray<Written>,
  ): Effect.Effect<Answers, RepositoryUnavailable> =>
    Effect.flatMap(batch.all(piece), (stored) =>
      Effect.forEach(
        stored,
        (one, index): Effect.Effect<Answers[number]> => {
          const placing = piece[index] as Written;
          return Result.isFailure(one)
            ? Effect.succeed(Result.fail(one.failure))
            : Effect.result(readIfSame(placing, one.success));
        },
        { concurrency: readAtOnce },
      ),
    );

  const insertMany = Effect.fnUntraced(function* (
    placings: ReadonlyArray<Placing>,
  ) {
    const answers: Array<Answers[number]> = [];
    let unavailable: RepositoryUnavailable | undefined;
    for (const piece of pieces(placings.map(written))) {
      if (unavailable === undefined) {
        const answered = yield* Effect.result(insertPiece(piece));
        if (Result.isSuccess(answered)) {
          answers.push(...answered.success);
          continue;
        }
        unavailable = answered.failure;
      }
      // Where one was not answered, the next would only wait as long.
      const failure = Result.fail(unavailable);
      answers.push(...piece.map(() => failure));
    }
    return answers;
  });

  /** Indexes of those that are not what is stored, or comes first, under their id. */
  const takenAmong = (
    placings: ReadonlyArray<Written>,
    stored: ReadonlyMap<string, Order | LargeOrder>,
  ): ReadonlyArray<number> => {
    const first = new Map<string, NewOrder>();
    return placings.flatMap(({ order }, index) => {
      const { order_id } = order;
      const other = stored.get(order_id) ?? first.get(order_id);
      if (other === undefined) {
        first.set(order_id, order);
        return [];
      }
      return !isUnread(other) && sameContent(order, other) ? [] : [index];
    });
  };

  /** What is stored under these ids; large ones are read if they may be the same. */
  const findAll = Effect.fnUntraced(function* (
    placings: ReadonlyArray<Written>,
  ) {
    const order_ids = new Set(placings.map((_) => _.order.order_id));
    const found = yield* answer(findStored(apart, Array.from(order_ids)));
    const orders = yield* Effect.forEach(
      found,
      (order): Effect.Effect<Order | LargeOrder, RepositoryUnavailable> =>
        isLarge(order) &&
        placings.some(
          (_) => _.order.order_id === order.order_id && maySame(_, order),
        )
          ? read(order)
          : Effect.succeed(order),
      { concurrency: readAtOnce },
    );
    return new Map<string, Order | LargeOrder>(
      orders.map((order) => [order.order_id, order]),
    );
  });

  /** Takes in all that are new, or says that others have taken one of the ids. */
  const insertTogether = (given: ReadonlyArray<Written>) =>
    given.length === 0
      ? Effect.succeed([])
      : Effect.catchIf(
          insertNew(apart, given, "fail all"),
          ({ reason }: SqlError.SqlError) => reason._tag === "UniqueViolation",
          () => Effect.succeed("taken" as const),
        );

  /**
   * Looks, and takes in all that are new by one statement, which fails as a
   * whole if one of the ids was taken meanwhile: then it looks again. So there
   * is no transaction over several statements.
   */
  const insertAllOrNone = Effect.fnUntraced(function* (
    placings: ReadonlyArray<Placing>,
  ) {
    const all = placings.map(written);
    for (let looks = 0; looks < looksMax; looks += 1) {
      const stored = yield* findAll(all);
      const taken = takenAmong(all, stored);
      if (taken.length > 0) return Result.fail(taken);
      const given = firstOfEach(
        all.filter(({ order }) => !stored.has(order.order_id)),
      );
      const inserted = yield* answer(insertTogether(given));
      if (inserted === "taken") continue;
      const times = new Map(
        inserted.map((row) => [row.order_id, at(row.created_at)]),
      );
      return Result.succeed(
        all.map(({ items, order }): Placement => {
          const { order_id } = order;
          const item_bytes = items.length;
          const found = stored.get(order_id);
          if (found !== undefined) {
            return { order: found as Order, isNew: false, item_bytes };
          }
          const created_at = times.get(order_id);
          if (created_at === undefined) {
            throw new Error(`order ${order_id} was not stored`);
          }
          const fresh = placed(order, created_at);
          // The next of the same id finds it.
          stored.set(order_id, fresh);
          return { order: fresh, isNew: true, item_bytes };
        }),
      );
    }
    return yield* new RepositoryUnavailable({
      reason: "others place orders with the same ids",
    });
  });

  return { insert, insertMany, insertAllOrNone };
};
