/**
 * Remembers orders. What it answers has happened: a change is durable before
 * its effect succeeds.
 *
 * Its implementations are siblings: `OrderRepositorySql` on PostgreSQL,
 * `OrderRepositoryMemory` for tests. One conformance suite runs over all.
 */

import type { Option, Result } from "effect";
import {
  Context,
  type DateTime,
  type Duration,
  type Effect,
  Schema,
} from "effect";
import type { NewOrder, Order, OrderId, UserId } from "../domain/Order.ts";
import type { HistoryEntry } from "../domain/OrderHistory.ts";
import type { OrderStatus } from "../domain/OrderStatus.ts";
import type { Partition } from "../domain/Partition.ts";

/**
 * The repository cannot be reached, or did not answer in time. A change that
 * was asked for may or may not have happened: ask again. Each change says who
 * may make it (by `order_id` or by `attempts`), so asking again is safe.
 */
export class RepositoryUnavailable extends Schema.TaggedError<RepositoryUnavailable>()(
  "RepositoryUnavailable",
  {
    reason: Schema.String,
    /**
     * Only this order is out of reach: another session holds its row, or the
     * database refuses its data. Nothing was done with it.
     */
    isHeld: Schema.optionalKey(Schema.Boolean),
  },
) {
  override get message() {
    return this.reason;
  }
}

/** An order of this id was placed, done, and has left the table. */
export class OrderHasLeft extends Schema.TaggedError<OrderHasLeft>()(
  "OrderHasLeft",
  {
    /** Whether it said the same as the one that is placed now. */
    isSame: Schema.Boolean,
  },
) {}

/** The database refuses what the order says: asking again will not help. */
export class OrderRefused extends Schema.TaggedError<OrderRefused>()(
  "OrderRefused",
  {
    /** The SQLSTATE of the refusal. */
    code: Schema.String,
  },
) {}

/** One of many orders that are placed together, the id of which is taken. */
export interface Taken {
  readonly index: number;
  readonly by: "archived" | "other content";
}

/** What came of placing an order: it is new, or its id was there before. */
export interface Placement {
  readonly order: Order;
  readonly isNew: boolean;
  /** About how many bytes its items take. */
  readonly item_bytes: number;
}

/** An order that is to be placed, and where. */
export interface Placing {
  readonly order: NewOrder;
  readonly partition: Partition;
}

/** What came of placing one of many. */
export interface PlacementOfMany extends Omit<Placement, "order"> {
  /**
   * Left out where the id was there before with items of another size: it is
   * another order, and as many as are placed may be too large to be read.
   */
  readonly order: Order | undefined;
}

/** An order that may be begun. */
export interface DueOrder {
  readonly order_id: OrderId;
  /** About how many bytes its items take: what it costs to have it in memory. */
  readonly item_bytes: number;
}

/** An attempt at an order: it may be completed or failed once, by its number. */
export interface Attempt {
  readonly order_id: OrderId;
  /** Counts every attempt ever begun: never given twice, whatever is retried. */
  readonly attempt: number;
  /** How long its work took by the monotonic clock. */
  readonly workSeconds?: number | undefined;
}

/**
 * An order that is to begin, if its partition is still owned by who took it
 * over at `epoch`. How large its items are bounds how many begin together.
 */
export interface Beginning extends DueOrder {
  readonly epoch: Epoch;
}

/** An order with the attempt that has just begun. */
export interface Begun {
  readonly order: Order;
  readonly attempt: number;
}

/** An attempt that has begun and not ended. */
export interface Underway extends Attempt {
  /** What counts against the attempts an order gets, this one included. */
  readonly attempts: number;
}

/**
 * How often a partition has been taken over. Who took it over last owns it;
 * what a former owner begins or takes back changes nothing.
 */
export type Epoch = number;

/** A place in the log of orders: the number of an order. */
export type LogPlace = bigint;

/** Whose a partition is, and where its new owner reads on. */
export interface Claim {
  readonly epoch: Epoch;
  /** All orders of the partition up to here are final, or aside. */
  readonly place: LogPlace;
}

/** An open order as it is met when its partition is read. */
export interface OpenOrder extends DueOrder {
  readonly seq: LogPlace;
  /** Its attempt under way; none while it is PENDING. */
  readonly underway: Underway | undefined;
}

/** A stretch of a partition's log. */
export interface LogRead {
  /** The open orders in it that are not aside. */
  readonly open: ReadonlyArray<OpenOrder>;
  /** Where to read on. */
  readonly readTo: LogPlace;
  /** There is no more to read for now. */
  readonly isEnd: boolean;
  /** No order will yet appear up to here. */
  readonly settledTo: LogPlace;
}

/** Where a page of a list ended. */
export interface PageEnd {
  readonly seq: LogPlace;
}

/** Which orders to list, newest first. */
export interface OrderQuery {
  /** At most this many, at least 1. */
  readonly limit: number;
  /** Only those after the end of that page. */
  readonly after?: PageEnd | undefined;
  /** Only these statuses; all when empty or left out. */
  readonly status?: ReadonlyArray<OrderStatus> | undefined;
  readonly user_id?: UserId | undefined;
  /** Inclusive. */
  readonly created_after?: DateTime.Utc | undefined;
  /** Exclusive. */
  readonly created_before?: DateTime.Utc | undefined;
}

/**
 * A page ends early once its items take so many bytes, whatever its limit: 500
 * orders of a mebibyte each would be more than the process has.
 */
export const pageBytesMax = 2 ** 20;

/** The most entries of an order's history that are answered. */
export const historyMax = 1000;

export interface OrderPage {
  readonly orders: ReadonlyArray<Order>;
  /** Where this page ended, when there is more behind it. */
  readonly end: PageEnd | undefined;
}

/** How many orders there are, by what became of them. */
export interface OrderTally {
  /** Orders ever taken in; the counts together, if none was lost. */
  readonly accepted: number;
  /** Of them, those that have left the table; the counts have them, too. */
  readonly archived: number;
  readonly counts: Readonly<Record<OrderStatus, number>>;
  /** How often an order became FAILED; one that was retried may have twice. */
  readonly failures: number;
  /** Over all COMPLETED orders, from begin to complete of the last attempt. */
  readonly processingSeconds: number;
  /** Since the oldest PENDING order was placed, if there is one. */
  readonly oldestPendingSeconds: number | undefined;
}

/** How far a count of all orders has come. What it holds is its maker's. */
export interface CountPlace extends PageEnd {
  /** What had left the table by then; left out: nothing yet. */
  readonly batch?: bigint;
}

/** A step of a count of all orders. */
export type Counted = {
  /** Orders counted in this step, less those counted before that have left. */
  readonly orders: number;
} & (
  | {
      /** There may be more orders, after this place. */
      readonly next: CountPlace;
    }
  | {
      readonly next: undefined;
      /** Orders ever taken in that have not left, as of the same moment. */
      readonly accepted: number;
    }
);

/** What becomes of an order whose attempt failed, and why it failed. */
export interface Failure extends Attempt {
  readonly error: string;
  /** How long it waits for the next attempt; left out: it is FAILED. */
  readonly wait: Duration.Duration | undefined;
  /** Nobody was left to say how it ended. */
  readonly isLost?: boolean | undefined;
  /** Given by an owner that ends what another began: it must still own it. */
  readonly epoch?: Epoch | undefined;
}

/** Which orders a change of many is about. */
export interface Choice {
  readonly status: "PENDING" | "FAILED";
  readonly user_id?: UserId | undefined;
  /** Exclusive. */
  readonly created_before?: DateTime.Utc | undefined;
  /** Only those whose latest failure was this, to the letter. */
  readonly error?: string | undefined;
  /** Only those after this place, which an earlier change came to. */
  readonly after?: PageEnd | undefined;
}

/** Which of them to change: the oldest. */
export interface ManyQuery extends Omit<Choice, "status"> {
  /** At most this many, at least 1. */
  readonly limit: number;
}

/** What came of a change of many. */
export interface Changed<A> {
  readonly orders: ReadonlyArray<A>;
  /** There are more that match, or there may be: some were held, or not read. */
  readonly more: boolean;
  /** How far they were read; left out, to the end. */
  readonly end: PageEnd | undefined;
}

/** How many orders a change of many would be about. */
export interface Matching {
  readonly matching: number;
  /** There are more, or there may be. */
  readonly isCapped: boolean;
}

/** An order that is PENDING again, and where. */
export interface Retried extends DueOrder {
  readonly partition: Partition;
}

/** An attempt that was not really made, and when the order is due again. */
export interface Release extends Attempt {
  readonly wait: Duration.Duration;
  /** Why it was not made; left out: what is kept of before stays. */
  readonly error?: string | undefined;
}

type Answer<A> = Effect.Effect<A, RepositoryUnavailable>;

/** Open orders behind the log positions, of a part of the log. */
export interface UnreadFound {
  /** Where to go on; none: the positions are reached. */
  readonly next: LogPlace | undefined;
  readonly found: ReadonlyArray<{
    readonly partition: Partition;
    /** The first of them. */
    readonly first: LogPlace;
    readonly orders: number;
  }>;
}

/** What came of each, in the order asked: one may fail and others succeed. */
export type AnswerEach<A, E = never> = ReadonlyArray<
  Result.Result<A, E | RepositoryUnavailable>
>;

export class OrderRepository extends Context.Service<
  OrderRepository,
  {
    /** Takes an order in as PENDING, due at once; never changes a stored one. */
    insert(
      order: NewOrder,
      partition: Partition,
    ): Effect.Effect<
      Placement,
      RepositoryUnavailable | OrderHasLeft | OrderRefused
    >;
    /**
     * The same for many, each on its own. Where an id is given twice, the first
     * is new. A few hundred at once, at most.
     */
    insertMany(
      placings: ReadonlyArray<Placing>,
    ): Effect.Effect<AnswerEach<PlacementOfMany, OrderHasLeft | OrderRefused>>;
    /**
     * The same for all or none: it fails with those whose ids are taken, and
     * then takes in none. A few hundred at once, at most, with items of a few
     * mebibytes.
     */
    insertAllOrNone(
      placings: ReadonlyArray<Placing>,
    ): Effect.Effect<
      Result.Result<ReadonlyArray<Placement>, ReadonlyArray<Taken>>,
      RepositoryUnavailable | OrderRefused
    >;
    find(order_id: string): Answer<Option.Option<Order>>;
    /** Whether an order of this id was there, and has left the table. */
    hasLeft(order_id: string): Answer<boolean>;
    /**
     * What became of an order, oldest first: of its attempts and changes the
     * latest `historyMax`. None if there is no such order.
     */
    history(
      order_id: string,
    ): Answer<Option.Option<ReadonlyArray<HistoryEntry>>>;
    list(query: OrderQuery): Answer<OrderPage>;
    /** Counts, at a cost that does not grow with the number of orders. */
    readonly tally: Answer<OrderTally>;
    /**
     * Goes on counting the orders themselves: as many as `limit`, at the cost
     * of that many. The count ends with what is as young as a statement may
     * be, so that none appears behind it. Where that is too much, a step comes
     * no further: ask again later.
     */
    count(after: CountPlace | undefined, limit: number): Answer<Counted>;
    /**
     * How many open orders are behind the log position of their partition, so
     * that nobody will read them: must be 0. Sequences that are behind are
     * raised before. `undefined` where too many orders are open to be counted.
     */
    readonly countUnread: Answer<number | undefined>;
    /** Goes on looking for them in the log, at the cost of `limit` rows. */
    findUnread(after: LogPlace, limit: number): Answer<UnreadFound>;
    /** Sets the log position back, and fences the owner: it claims again. */
    readAgain(partition: Partition, from: LogPlace): Answer<void>;
    /** Whether no order was ever taken in, but for those that were lost. */
    readonly isEmpty: Answer<boolean>;

    /** Takes a partition over: from now on its former owner begins nothing. */
    claim(partition: Partition): Answer<Claim>;
    /**
     * Reads on in a partition's log, up to `limit` open orders. An order may
     * appear behind what was read, as orders are committed in another order
     * than they are numbered: but not up to `settledTo`.
     */
    readLog(
      partition: Partition,
      after: LogPlace,
      limit: number,
    ): Answer<LogRead>;
    /**
     * The orders of a partition that are aside and due, longest due first:
     * postponed, given back, retried, or begun again since.
     */
    readAside(
      partition: Partition,
      limit: number,
    ): Answer<ReadonlyArray<OpenOrder>>;
    /** Remembers where its next owner reads on, if it is still owned. */
    keepPlace(
      partition: Partition,
      epoch: Epoch,
      place: LogPlace,
    ): Answer<void>;
    /** When it was last taken over. */
    epoch(partition: Partition): Answer<Epoch>;
    /**
     * Due PENDING orders become PROCESSING, their next attempt counted; none
     * where an order was not to begin. A few hundred at once, at most.
     */
    begin(
      asked: ReadonlyArray<Beginning>,
    ): Answer<AnswerEach<Option.Option<Begun>>>;
    /**
     * COMPLETED, each if this attempt is the one under way; says whether it
     * was. A few hundred at once, at most.
     */
    complete(attempts: ReadonlyArray<Attempt>): Answer<AnswerEach<boolean>>;
    /** PENDING or FAILED, if this attempt is the one under way. */
    fail(failure: Failure): Answer<boolean>;
    /** PENDING, due after `wait`, the attempt not counted, if it is under way. */
    release(released: Release): Answer<boolean>;

    /** A PENDING order becomes CANCELLED; none if it was not PENDING. */
    cancel(order_id: string): Answer<Option.Option<Order>>;
    /** A FAILED order becomes PENDING with 0 attempts; none if not FAILED. */
    retry(
      order_id: string,
    ): Answer<Option.Option<Retried & { readonly order: Order }>>;
    /** The same for many, oldest first. */
    retryMany(query: ManyQuery): Answer<Changed<Retried>>;
    /** As `cancel`, for many, oldest first. */
    cancelMany(query: ManyQuery): Answer<Changed<OrderId>>;
    /** Counts the orders of a choice, at most `max`, at a bounded cost. */
    countMatching(choice: Choice, max: number): Answer<Matching>;
  }
>()("persistence/OrderRepository") {}
