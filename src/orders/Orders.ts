/**
 * What can be done with orders: one operation for each thing a caller may ask.
 * HTTP calls only this.
 */
import {
  Context,
  Effect,
  Layer,
  Metric,
  Option,
  Record,
  References,
  Result,
} from "effect";
import { type NewOrder, type Order, sameContent } from "../domain/Order.ts";
import type { HistoryEntry } from "../domain/OrderHistory.ts";
import { moves } from "../domain/OrderLifecycle.ts";
import {
  OrderArchived,
  OrderConflict,
  OrderNotFound,
  OrderNotInStatus,
  OrderNotStorable,
  OrdersConflict,
} from "../domain/OrderRefusals.ts";
import type { OrderStatus } from "../domain/OrderStatus.ts";
import {
  type Changed,
  type Choice,
  type ManyQuery,
  type Matching,
  type OrderPage,
  type OrderQuery,
  type OrderRefused,
  OrderRepository,
  type OrderTally,
  type Placement,
  type PlacementOfMany,
  type Placing,
  type RepositoryUnavailable,
} from "../persistence/OrderRepository.ts";
import { OrderProcessor } from "../processor/OrderProcessor.ts";

const placements = Metric.counter("orders_placed_total", {
  description: "Orders placed with this process, by what came of it.",
  incremental: true,
});
const placed = {
  created: Metric.withAttributes(placements, { outcome: "created" }),
  replayed: Metric.withAttributes(placements, { outcome: "replayed" }),
  conflict: Metric.withAttributes(placements, { outcome: "conflict" }),
  archived: Metric.withAttributes(placements, { outcome: "archived" }),
};

/**
 * Statistics that somebody has damaged may count below 0. Callers are answered
 * all the same; `Conservation` says it in the log.
 */
/** How the orders are doing. */
export interface OrderMetrics {
  /** Orders that are COMPLETED. */
  readonly total_orders_processed: number;
  readonly status_counts: Readonly<Record<OrderStatus, number>>;
  /** Of the completing attempts; null before the first. */
  readonly average_processing_time_seconds: number | null;
  /** Null if none is PENDING. */
  readonly oldest_pending_age_seconds: number | null;
}

const metricsOf = (tally: OrderTally): OrderMetrics => {
  const counts = Record.map(tally.counts, atLeastZero);
  return {
    total_orders_processed: counts.COMPLETED,
    status_counts: counts,
    average_processing_time_seconds:
      counts.COMPLETED === 0
        ? null
        : round(atLeastZero(tally.processingSeconds) / counts.COMPLETED, 6),
    oldest_pending_age_seconds:
      tally.oldestPendingSeconds === undefined
        ? null
        : round(tally.oldestPendingSeconds, 3),
  };
};

const atLeastZero = (value: number): number => Math.max(0, value);

const round = (value: number, decimals: number): number =>
  Math.round(value * 10 ** decimals) / 10 ** decimals;

const conflictOf = ({ order_id }: NewOrder) =>
  new OrderConflict({
    order_id,
    detail: `An order "${order_id}" with other content exists: choose another order_id, or send the same content to have it answered again.`,
  });

const notStorable = (what: string, { code }: OrderRefused) =>
  new OrderNotStorable({
    detail: `The database refuses ${what} (SQLSTATE ${code}). Placing it again will not help: change what it says, or ask the operator which constraint of the database is not this service's (see the log).`,
  });

/** How many orders were changed, and whether more match, or may. */
export type ChangedMany = Omit<Changed<never>, "orders"> & {
  readonly orders: number;
};

/** So many orders are counted before a change of many, and no more. */
export const matchingMax = 10_000;

type Answer<A, E = never> = Effect.Effect<A, E | RepositoryUnavailable>;

export class Orders extends Context.Service<
  Orders,
  {
    /** Takes an order in; it is durable when this succeeds. */
    place(
      order: NewOrder,
    ): Answer<Placement, OrderConflict | OrderArchived | OrderNotStorable>;
    /** Takes many in, each on its own: what came of each, in their order. */
    placeMany(
      orders: ReadonlyArray<NewOrder>,
    ): Effect.Effect<
      ReadonlyArray<
        Result.Result<
          Placement,
          | OrderConflict
          | OrderArchived
          | OrderNotStorable
          | RepositoryUnavailable
        >
      >
    >;
    /** Takes all of them in, or none. */
    placeAllOrNone(
      orders: ReadonlyArray<NewOrder>,
    ): Answer<ReadonlyArray<Placement>, OrdersConflict | OrderNotStorable>;
    find(order_id: string): Answer<Order, OrderNotFound>;
    history(
      order_id: string,
    ): Answer<ReadonlyArray<HistoryEntry>, OrderNotFound>;
    list(query: OrderQuery): Answer<OrderPage>;
    readonly metrics: Answer<OrderMetrics>;
    cancel(order_id: string): Answer<Order, OrderNotFound | OrderNotInStatus>;
    retry(order_id: string): Answer<Order, OrderNotFound | OrderNotInStatus>;
    /** The same for many, oldest first; says how many. */
    retryMany(query: ManyQuery): Answer<ChangedMany>;
    /** As `cancel`, for many, oldest first; says how many. */
    cancelMany(query: ManyQuery): Answer<ChangedMany>;
    /** How many orders a change of many would be about: up to `matchingMax`. */
    countMatching(choice: Choice): Answer<Matching>;
  }
>()("orders/Orders") {
  static readonly layer = Layer.effect(
    Orders,
    Effect.gen(function* () {
      const repository = yield* OrderRepository;
      const processor = yield* OrderProcessor;
      const isTraced = yield* References.TracerEnabled;
      const context = yield* Effect.context<never>();
      /** Names the span; its making costs more than the rest of a use case. */
      const useCase = (name: string) =>
        (isTraced
          ? Effect.fn(name)
          : Effect.fnUntraced) as typeof Effect.fnUntraced;

      /** What is answered to whoever places an archived order; it is counted. */
      const archivedOf = ({ order_id }: NewOrder, same_content: boolean) => {
        placed.archived.updateUnsafe(1, context);
        return new OrderArchived({
          order_id,
          same_content,
          detail: same_content
            ? `This very order "${order_id}" was placed before, is done, and was archived: there is nothing to do.`
            : `An order "${order_id}" with other content was done and archived: choose another order_id.`,
        });
      };

      /** Makes no effect that it can do without: every order comes this way. */
      const place = (order: NewOrder) => {
        const partition = processor.choosePartition();
        return Effect.flatMap(
          Effect.catchTags(repository.insert(order, partition), {
            OrderHasLeft: ({ isSame }) =>
              Effect.fail(archivedOf(order, isSame)),
            OrderRefused: (refused) =>
              Effect.fail(notStorable(`order "${order.order_id}"`, refused)),
          }),
          (placement): Effect.Effect<Placement, OrderConflict> => {
            if (placement.isNew) {
              processor.handOver(
                partition,
                order.order_id,
                placement.item_bytes,
              );
              placed.created.updateUnsafe(1, context);
              return Effect.succeed(placement);
            }
            if (sameContent(order, placement.order)) {
              placed.replayed.updateUnsafe(1, context);
              return Effect.succeed(placement);
            }
            placed.conflict.updateUnsafe(1, context);
            return Effect.fail(conflictOf(order));
          },
        );
      };

      const placingsOf = (orders: ReadonlyArray<NewOrder>) =>
        orders.map(
          (order): Placing => ({
            order,
            partition: processor.choosePartition(),
          }),
        );

      /** Counts a placement, and tells the actor of what is new. */
      const note = (
        { order: { order_id }, partition }: Placing,
        { isNew, item_bytes }: PlacementOfMany,
      ) => {
        if (isNew) processor.handOver(partition, order_id, item_bytes);
        (isNew ? placed.created : placed.replayed).updateUnsafe(1, context);
      };

      const placeMany = useCase("Orders.placeMany")(function* (
        orders: ReadonlyArray<NewOrder>,
      ) {
        const placings = placingsOf(orders);
        const answers = yield* repository.insertMany(placings);
        return answers.map((answer, index) => {
          const placing = placings[index] as Placing;
          if (Result.isFailure(answer)) {
            const { failure } = answer;
            return Result.fail(
              failure._tag === "OrderHasLeft"
                ? archivedOf(placing.order, failure.isSame)
                : failure._tag === "OrderRefused"
                  ? notStorable(`order "${placing.order.order_id}"`, failure)
                  : failure,
            );
          }
          const { order, ...placement } = answer.success;
          const isSame =
            order !== undefined &&
            (placement.isNew || sameContent(placing.order, order));
          if (!isSame) {
            placed.conflict.updateUnsafe(1, context);
            return Result.fail(conflictOf(placing.order));
          }
          note(placing, answer.success);
          return Result.succeed({ ...placement, order });
        });
      });

      const placeAllOrNone = useCase("Orders.placeAllOrNone")(function* (
        orders: ReadonlyArray<NewOrder>,
      ) {
        const placings = placingsOf(orders);
        const answer = yield* Effect.catchTag(
          repository.insertAllOrNone(placings),
          "OrderRefused",
          (refused) =>
            Effect.fail(
              notStorable(
                "an order of this batch, so none of it was placed. Place the batch without `atomic` to see which order it is",
                refused,
              ),
            ),
        );
        if (Result.isFailure(answer)) {
          const taken = answer.failure;
          placed.conflict.updateUnsafe(taken.length, context);
          return yield* new OrdersConflict({
            detail: `${taken.length} of these orders have the order_id of one that was archived, or has other content and is stored or before it in the batch (see errors). None of the batch was placed.`,
            errors: taken.map(({ by, index }) => ({
              path: ["payload", index, "order_id"],
              message: `is taken by an order ${by === "archived" ? "that was archived" : "with other content"}: "${placings[index]?.order.order_id}"`,
            })),
          });
        }
        answer.success.forEach((placement, index) => {
          note(placings[index] as Placing, placement);
        });
        return answer.success;
      });

      const orNotFound = <A>(
        order_id: string,
        found: Option.Option<A>,
      ): Answer<A, OrderNotFound> =>
        Option.isSome(found)
          ? Effect.succeed(found.value)
          : Effect.flatMap(repository.hasLeft(order_id), (hasLeft) =>
              Effect.fail(
                new OrderNotFound({
                  order_id,
                  detail: hasLeft
                    ? `Order "${order_id}" was done longer ago than orders are kept here (RETENTION): it was archived.`
                    : `There is no order "${order_id}".`,
                }),
              ),
            );

      const find = useCase("Orders.find")(function* (order_id: string) {
        return yield* orNotFound(order_id, yield* repository.find(order_id));
      });

      const history = useCase("Orders.history")(function* (order_id: string) {
        return yield* orNotFound(order_id, yield* repository.history(order_id));
      });

      /** Why an order could not be moved: there is none, or its status. */
      const refuse = Effect.fnUntraced(function* (
        order_id: string,
        needed: OrderStatus,
      ) {
        const order = yield* find(order_id);
        return yield* new OrderNotInStatus({
          order_id: order.order_id,
          order_status: order.status,
          detail: `Order "${order_id}" is ${order.status}; this can only be done while it is ${needed}.`,
        });
      });

      const cancel = useCase("Orders.cancel")(function* (order_id: string) {
        const cancelled = yield* repository.cancel(order_id);
        if (Option.isNone(cancelled)) {
          return yield* refuse(order_id, moves.cancel.from);
        }
        yield* Effect.logInfo("order cancelled", { order_id });
        return cancelled.value;
      });

      const retry = useCase("Orders.retry")(function* (order_id: string) {
        const retried = yield* repository.retry(order_id);
        if (Option.isNone(retried)) {
          return yield* refuse(order_id, moves.retry.from);
        }
        const { item_bytes, order, partition } = retried.value;
        processor.handOver(partition, order.order_id, item_bytes);
        yield* Effect.logInfo("order to be retried", { order_id });
        return order;
      });

      const retryMany = useCase("Orders.retryMany")(function* (
        query: ManyQuery,
      ) {
        const { orders, ...rest } = yield* repository.retryMany(query);
        for (const { item_bytes, order_id, partition } of orders) {
          processor.handOver(partition, order_id, item_bytes);
        }
        yield* Effect.logInfo("orders to be retried", {
          orders: orders.length,
        });
        return { orders: orders.length, ...rest };
      });

      /** Their actors find them CANCELLED when they come to begin them. */
      const cancelMany = useCase("Orders.cancelMany")(function* (
        query: ManyQuery,
      ) {
        const { orders, ...rest } = yield* repository.cancelMany(query);
        yield* Effect.logInfo("orders cancelled", { orders: orders.length });
        return { orders: orders.length, ...rest };
      });

      return Orders.of({
        place: isTraced ? Effect.fn("Orders.place")(place) : place,
        placeMany,
        placeAllOrNone,
        find,
        history,
        list: repository.list,
        metrics: Effect.map(repository.tally, metricsOf),
        cancel,
        retry,
        retryMany,
        cancelMany,
        countMatching: (choice) =>
          repository.countMatching(choice, matchingMax),
      });
    }),
  );
}
