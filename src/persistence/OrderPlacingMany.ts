/** Takes many orders in for one caller: each on its own, or all or none. */
import { Effect, Result } from "effect";
import type { SqlClient, SqlError } from "effect/sql";
import { type NewOrder, type Order, sameContent } from "../domain/Order.ts";
import { codeOf, isDataFault } from "./DataFaults.ts";
import {
  type Archived,
  firstOfEach,
  type OrderPlacing,
  placed,
  refusedOrder,
  type Stored,
  type Written,
  written,
} from "./OrderPlacing.ts";
import {
  type AnswerEach,
  OrderHasLeft,
  type OrderRefused,
  type Placement,
  type PlacementOfMany,
  type Placing,
  RepositoryUnavailable,
  type Taken,
} from "./OrderRepository.ts";
import { at, isLarge, type LargeOrder } from "./OrderRow.ts";
import { isMeanwhile, itemBytesMax, type Statements } from "./Statements.ts";

/** How often orders that others place at the same moment are looked at anew. */
const looksMax = 5;

/** Large orders that are read at once, for the orders of one caller. */
const readAtOnce = 32;

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

/** @param apart where a statement has its connection alone */
export const make = (
  apart: SqlClient.SqlClient,
  { answer }: Statements,
  { batch, findArchived, findStored, insertNew, read }: OrderPlacing,
) => {
  /** What is stored, read where it may be what was given. */
  const readIfSame = (
    placing: Written,
    stored: Stored | Archived,
  ): Effect.Effect<PlacementOfMany, RepositoryUnavailable | OrderHasLeft> => {
    if ("isSame" in stored) return Effect.fail(new OrderHasLeft(stored));
    const { isNew, order } = stored;
    const item_bytes = placing.items.length;
    if (!isLarge(order)) return Effect.succeed({ order, isNew, item_bytes });
    return maySame(placing, order)
      ? Effect.map(read(order), (order) => ({ order, isNew, item_bytes }))
      : Effect.succeed({ order: undefined, isNew, item_bytes });
  };

  type Answers = AnswerEach<PlacementOfMany, OrderHasLeft | OrderRefused>;

  const insertPiece = (
    piece: ReadonlyArray<Written>,
  ): Effect.Effect<Answers, RepositoryUnavailable> =>
    Effect.flatMap(
      Effect.catchTag(batch.all(piece), "OrderRefused", Effect.die),
      (stored) =>
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

  /** Those that are not what is stored, or comes first, under their id. */
  const takenAmong = (
    placings: ReadonlyArray<Written>,
    stored: ReadonlyMap<string, Order | LargeOrder>,
    archived: ReadonlyMap<Written, Archived>,
  ): ReadonlyArray<Taken> => {
    const first = new Map<string, NewOrder>();
    return placings.flatMap((placing, index): ReadonlyArray<Taken> => {
      if (archived.has(placing)) return [{ index, by: "archived" }];
      const { order } = placing;
      const { order_id } = order;
      const other = stored.get(order_id) ?? first.get(order_id);
      if (other === undefined) {
        first.set(order_id, order);
        return [];
      }
      return !isUnread(other) && sameContent(order, other)
        ? []
        : [{ index, by: "other content" }];
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

  /** Takes in all that are new, or says that one of the ids is not free. */
  const insertTogether = (given: ReadonlyArray<Written>) =>
    given.length === 0
      ? Effect.succeed([])
      : Effect.catchIf(
          insertNew(apart, given, "fail all"),
          (error: SqlError.SqlError) =>
            error.reason._tag === "UniqueViolation" || isMeanwhile(error),
          () => Effect.succeed("taken" as const),
        ).pipe(
          Effect.catchIf(isDataFault, (error) =>
            Effect.as(
              Effect.logError(
                "the database refuses an order of a batch that is placed as a whole: none of it was placed",
                { code: codeOf(error) },
              ),
              refusedOrder(error),
            ),
          ),
        );

  /**
   * Looks, and takes in all that are new by one statement, which fails as a
   * whole if one of the ids was taken or archived meanwhile: then it looks again. So there
   * is no transaction over several statements.
   */
  const insertAllOrNone = Effect.fnUntraced(function* (
    placings: ReadonlyArray<Placing>,
  ) {
    const all = placings.map(written);
    for (let looks = 0; looks < looksMax; looks += 1) {
      const stored = yield* findAll(all);
      // Only what is not stored may have been archived.
      const archived = yield* answer(
        findArchived(
          apart,
          all.filter(({ order }) => !stored.has(order.order_id)),
        ),
      );
      const taken = takenAmong(all, stored, archived);
      if (taken.length > 0) return Result.fail(taken);
      const given = firstOfEach(
        all.filter(({ order }) => !stored.has(order.order_id)),
      );
      const inserted = yield* answer(insertTogether(given));
      if (inserted === "taken") continue;
      if ("code" in inserted) return yield* inserted;
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

  return { insertMany, insertAllOrNone };
};
