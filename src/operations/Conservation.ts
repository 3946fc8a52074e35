/**
 * Orders are conserved: as many as were accepted are there, each in one of the
 * statuses. Looks every ten seconds, at a cost that does not grow with their
 * number, shows the counts to Prometheus, and logs an error when they do not
 * add up. The orders themselves are counted by the `Census`.
 */
import { Duration, Effect, Layer, Metric } from "effect";
import { OrderStatus } from "../domain/OrderStatus.ts";
import { Database } from "../persistence/Database.ts";
import {
  OrderRepository,
  type OrderTally,
} from "../persistence/OrderRepository.ts";
import { UnreadOrders } from "../processor/UnreadOrders.ts";
import { Census } from "./Census.ts";

const interval = Duration.seconds(10);

const orders = Metric.gauge("orders", {
  description: "Orders ever taken in, by status: archived ones, too.",
});
const accepted = Metric.gauge("orders_accepted", {
  description: "Orders ever taken in, by all instances.",
});
const archived = Metric.gauge("orders_archived", {
  description: "Of them, those that have left the table, by RETENTION.",
});
const unaccounted = Metric.gauge("orders_unaccounted", {
  description:
    "Accepted orders that are not there, in no status, or open and unread: must be 0.",
});
const unread = Metric.gauge("orders_unread", {
  description:
    "Open orders behind the log position of their partition: must be 0.",
});
const oldestPending = Metric.gauge("order_oldest_pending_seconds", {
  description: "Since the oldest PENDING order was placed; 0 if there is none.",
});

/** Accepted orders that are in no status, going by the statistics alone. */
export const difference = (tally: OrderTally): number =>
  tally.accepted -
  OrderStatus.literals.reduce((sum, status) => sum + tally.counts[status], 0);

export const check = Effect.gen(function* () {
  const repository = yield* OrderRepository;
  const census = yield* Census;
  const tally = yield* repository.tally;
  for (const status of OrderStatus.literals) {
    yield* Metric.update(
      Metric.withAttributes(orders, { status }),
      tally.counts[status],
    );
  }
  const missing = difference(tally);
  const missingRows = yield* census.missing;
  yield* Metric.update(accepted, tally.accepted);
  yield* Metric.update(archived, tally.archived);
  const unreadOrders = (yield* UnreadOrders).found();
  yield* Metric.update(unread, unreadOrders);
  yield* Metric.update(
    unaccounted,
    (missing === 0 ? missingRows : missing) + unreadOrders,
  );
  yield* Metric.update(oldestPending, tally.oldestPendingSeconds ?? 0);
  const isBelowZero = OrderStatus.literals.some(
    (status) => tally.counts[status] < 0,
  );
  if (missing !== 0 || missingRows !== 0 || isBelowZero) {
    yield* Effect.logError(
      "orders are not conserved: compare order_statistics with the orders table, and report this",
      { accepted: tally.accepted, ...tally.counts, missing, missingRows },
    );
  }
});

/** Checks on, while the layer lives. */
export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    const database = yield* Database;
    // Of a database that is away, others tell the log (`persistence/Outage`).
    const checkOnce = Effect.ignore(check);
    yield* database.migrated.pipe(
      Effect.andThen(Effect.andThen(checkOnce, Effect.sleep(interval))),
      Effect.forever,
      Effect.forkScoped,
    );
  }),
);
