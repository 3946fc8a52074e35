/**
 * Exports: all orders that pass a filter, page by page, newest first. An order
 * keeps its number in the log, and each page begins below the one before: so
 * each order comes once, whatever happens to it meanwhile. No snapshot is held:
 * an order is as it was when its page was read.
 *
 * The next page is read while the one before is sent, and no further: an export
 * goes at its reader's pace.
 */
import {
  Cause,
  Clock,
  Context,
  Duration,
  Effect,
  Fiber,
  Layer,
  Metric,
  Schedule,
  Schema,
  type Scope,
  Stream,
} from "effect";
import type { Order } from "../domain/Order.ts";
import {
  type OrderPage,
  type OrderQuery,
  OrderRepository,
  type PageEnd,
  type RepositoryUnavailable,
} from "../persistence/OrderRepository.ts";

/** Exports of one process at once. */
export const exportsMax = 4;

/** Orders of a page at most; `pageBytesMax` ends it, too. */
const pageOrders = 2_000;

/** A reader has so long to take a page, or is ended. */
export const pageTakenMax = Duration.seconds(60);

/** How often it is looked whether readers have taken their pages. */
const lookInterval = Duration.seconds(5);

/** While the database is away: 7.75 s of waiting in all. */
const retries = {
  times: 5,
  schedule: Schedule.exponential(Duration.millis(250)),
};

const openGauge = Metric.gauge("order_exports", {
  description: "Exports under way on this process.",
});
const exportedTotal = Metric.counter("orders_exported_total", {
  description: "Orders that exports have given.",
  incremental: true,
});
const cutTotal = Metric.counter("order_exports_cut_off_total", {
  description: "Exports that ended before all was given.",
  incremental: true,
});

/** There are as many exports as there may be. */
export class TooManyExports extends Schema.TaggedError<TooManyExports>()(
  "TooManyExports",
  {},
) {}

export type ExportQuery = Omit<OrderQuery, "limit" | "after">;

export class OrderExports extends Context.Service<
  OrderExports,
  {
    /**
     * Reads the first page, and gives all of them, none of them empty; it fails
     * where the rest cannot be read. It counts until the scope ends, or until
     * its reader takes too long: the fiber that reads the stream is interrupted
     * then.
     */
    open(
      query: ExportQuery,
    ): Effect.Effect<
      Stream.Stream<ReadonlyArray<Order>, RepositoryUnavailable>,
      RepositoryUnavailable | TooManyExports,
      Scope.Scope
    >;
  }
>()("orders/OrderExports") {
  static readonly layer = Layer.effect(
    OrderExports,
    Effect.gen(function* () {
      const repository = yield* OrderRepository;
      const context = yield* Effect.context<never>();
      let open = 0;

      const count = (change: number) =>
        Effect.sync(() => {
          open += change;
          openGauge.updateUnsafe(open, context);
        });

      const begin = Effect.suspend(() =>
        open >= exportsMax ? new TooManyExports() : count(1),
      );

      /** Reads on until there is an order, or no more. */
      const read = Effect.fnUntraced(function* (
        query: ExportQuery,
        after: PageEnd | undefined,
      ) {
        const ask = (after: PageEnd | undefined) =>
          repository.list({ ...query, limit: pageOrders, after });
        // Nothing has been said before the first: its reader may ask again.
        let page: OrderPage = yield* after === undefined
          ? ask(after)
          : Effect.retry(ask(after), retries);
        while (page.orders.length === 0 && page.end !== undefined) {
          page = yield* Effect.retry(ask(page.end), retries);
        }
        return page;
      });

      const pagesFrom = Effect.fnUntraced(function* (
        query: ExportQuery,
        first: OrderPage,
      ) {
        const scope = yield* Effect.scope;
        const readAhead = ({ end }: OrderPage) =>
          end === undefined
            ? undefined
            : Effect.forkIn(read(query, end), scope);
        const givenAt = yield* watched;
        let ahead: OrderPage | Fiber.Fiber<OrderPage, RepositoryUnavailable> =
          first;
        let isOver = false;
        const next = Effect.gen(function* () {
          givenAt.millis = undefined;
          if (isOver) return [];
          const page: OrderPage = Fiber.isFiber(ahead)
            ? yield* Fiber.join(ahead)
            : ahead;
          const reading = readAhead(page);
          if (reading === undefined) isOver = true;
          else ahead = yield* reading;
          exportedTotal.updateUnsafe(page.orders.length, context);
          givenAt.millis = yield* Clock.currentTimeMillis;
          return page.orders;
        });
        return Stream.fromEffectRepeat(next).pipe(
          Stream.takeWhile((orders) => orders.length > 0),
        );
      });

      return OrderExports.of({
        open: Effect.fn("OrderExports.open")(function* (query) {
          yield* Effect.acquireRelease(begin, () => count(-1));
          const first = yield* read(query, undefined);
          return Stream.unwrap(pagesFrom(query, first)).pipe(
            Stream.onExit((exit) =>
              exit._tag === "Success"
                ? Effect.void
                : Effect.andThen(
                    Effect.sync(() => cutTotal.updateUnsafe(1, context)),
                    Cause.hasInterruptsOnly(exit.cause)
                      ? Effect.logInfo("an export ended early")
                      : Effect.logWarning("an export was cut off", exit.cause),
                  ),
            ),
          );
        }),
      });
    }),
  );
}

/**
 * Ends the fiber that reads the stream if a page is not taken in time: when it
 * was given, is to be noted in what this returns.
 */
const watched = Effect.gen(function* () {
  const given: { millis: number | undefined } = { millis: undefined };
  const reader = yield* Effect.withFiber((fiber) => Effect.succeed(fiber));
  yield* Effect.gen(function* () {
    yield* Effect.sleep(lookInterval);
    const now = yield* Clock.currentTimeMillis;
    const isLate =
      given.millis !== undefined &&
      now - given.millis > Duration.toMillis(pageTakenMax);
    if (isLate) reader.interruptUnsafe();
  }).pipe(Effect.forever, Effect.forkScoped);
  return given;
});
