/**
 * Orders in PostgreSQL. Every change is one statement, and so one transaction:
 * the orders it moves and the statistics it changes are both there or neither.
 *
 *     OrderPlacing      takes orders in
 *     OrderPlacingMany  many for one caller, each on its own or all or none
 *     OrderLog          what an actor has to do, in its order
 *     OrderAttempts     begin, complete, fail, give back
 *     OrderChanges      cancel, retry
 *     OrderFinding      one order
 *     OrderPages        lists
 *     OrderHistory      what became of one order
 *     OrderMoves        what goes with every change: statistics, events, history
 *     OrderStatistics   counts, changed with the orders
 *     OrderCount        counts the orders themselves
 *     UnreadOrders      finds open orders behind the log positions
 *     OrderArchiveSql   lets orders leave the table
 *     EventLogSql       what happened, to be read in its order
 *     Statements        how all of these are run
 *
 * Rows are met in the order of their ids, or passed over while another holds
 * them, and the statistics last, so that two statements never wait for each
 * other in a circle.
 */
import { Context, Effect, Latch, Layer, Semaphore } from "effect";
import { Connections } from "./Connections.ts";
import * as EventDays from "./EventDays.ts";
import { EventLog, ThisInstance, WritesEvents } from "./EventLog.ts";
import * as EventLogSql from "./EventLogSql.ts";
import { OrderArchive } from "./OrderArchive.ts";
import * as OrderArchiveSql from "./OrderArchiveSql.ts";
import * as OrderAttempts from "./OrderAttempts.ts";
import * as OrderChanges from "./OrderChanges.ts";
import * as OrderCount from "./OrderCount.ts";
import * as OrderFinding from "./OrderFinding.ts";
import * as OrderHistory from "./OrderHistory.ts";
import * as OrderLog from "./OrderLog.ts";
import * as OrderMoves from "./OrderMoves.ts";
import * as OrderPages from "./OrderPages.ts";
import * as OrderPlacing from "./OrderPlacing.ts";
import * as OrderPlacingMany from "./OrderPlacingMany.ts";
import {
  type CountPlace,
  type OrderQuery,
  OrderRepository,
} from "./OrderRepository.ts";
import * as OrderStatistics from "./OrderStatistics.ts";
import * as Statements from "./Statements.ts";
import * as UnreadOrders from "./UnreadOrders.ts";

const make = Effect.gen(function* () {
  const { apart, listsMax, reading, working } = yield* Connections;
  const writesEvents = yield* WritesEvents;
  const written = Latch.makeUnsafe(false);
  const statements = yield* Statements.make(
    OrderMoves.make({
      writesEvents,
      onWritten: () => {
        written.openUnsafe();
        written.closeUnsafe();
      },
    }),
  );
  const { answer } = statements;
  const eventLog = EventLogSql.make(reading, statements, {
    isOn: writesEvents,
    keepDays: (retention) => answer(EventDays.keep(apart, retention)),
    untilWritten: written.await,
  });
  const lists = yield* Semaphore.make(listsMax);
  const { find, findLarge, hasLeft } = OrderFinding.make(reading, statements);
  const { horizon, ...log } = OrderLog.make(
    working,
    statements,
    yield* ThisInstance,
  );

  const placing = OrderPlacing.make(working, statements, findLarge);

  const repository = OrderRepository.of({
    ...log,
    insert: placing.insert,
    ...OrderPlacingMany.make(apart, statements, placing),
    ...OrderAttempts.make(working, statements),
    ...OrderChanges.make(apart, statements),
    find,
    hasLeft,
    history: OrderHistory.make(reading, statements),
    list: Effect.fn("OrderRepository.list")((query: OrderQuery) =>
      answer(lists.withPermit(OrderPages.read(reading, query))),
    ),
    tally: answer(OrderStatistics.tally(reading, horizon)).pipe(
      Effect.withSpan("OrderRepository.tally"),
    ),
    count: Effect.fn("OrderRepository.count")(
      (after: CountPlace | undefined, limit: number) =>
        answer(OrderCount.step(reading, horizon, after, limit)),
    ),
    ...UnreadOrders.make(reading, apart, statements),
    isEmpty: answer(
      Effect.map(
        reading`(SELECT 1 FROM orders ORDER BY seq LIMIT 1)
          UNION ALL (SELECT 1 FROM archived_orders ORDER BY order_id LIMIT 1)`,
        (rows) => rows.length === 0,
      ),
    ),
  });
  return Context.make(OrderRepository, repository).pipe(
    Context.add(EventLog, eventLog),
    Context.add(OrderArchive, OrderArchiveSql.make(apart, statements)),
  );
});

/** Orders in PostgreSQL, and what happened to them. */
export const layer = Layer.effectContext(make);
