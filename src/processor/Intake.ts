/**
 * What an actor takes up: its mailbox, and the table behind it.
 *
 *     hand-over --> mailbox --> the actor
 *     (at insert)      ^
 *                      | when there is room
 *                    table: the log, read forward; and what is aside and due
 *
 * The mailbox is a nudge, the table the truth. A hand-over that finds the
 * mailbox full is forgotten, and the intake knows that it is behind: it reads
 * on from the table when it has room. So a backlog of any length takes no
 * memory. Orders that come due some other way are found by the next poll, or at
 * once where `readNow` says so.
 *
 * Each order of the log is met once: what is read was taken up here before the
 * next is read. What appears behind that is found by `TakingBack`, which has it
 * read again from there.
 */
import { Duration, Effect, Exit, Queue } from "effect";
import type { OrderId } from "../domain/Order.ts";
import type { Partition } from "../domain/Partition.ts";
import type {
  DueOrder,
  LogPlace,
  OpenOrder,
  OrderRepository,
  RepositoryUnavailable,
  Underway,
} from "../persistence/OrderRepository.ts";

export interface Intake {
  /** Begins to read the log, after a place. */
  readonly startAt: (place: LogPlace) => void;
  /** Up to where the log was read. */
  readonly readTo: () => LogPlace;
  /** Has the log read again after a place: something appeared behind it. */
  readonly readAgain: (place: LogPlace) => void;
  /** Has the table read at once: an order came due that nobody hands over. */
  readonly readNow: () => void;
  /** Tells of a PENDING order. Never waits, never fails. */
  readonly handOver: (due: DueOrder) => void;
  /** There may be due orders in the table that nobody hands over. */
  readonly fallBehind: () => void;
  /**
   * Reads on from the table, if there is room. Gives the attempts it met that
   * are not made here: they are lost.
   */
  readonly readOn: Effect.Effect<
    ReadonlyArray<Underway>,
    RepositoryUnavailable
  >;
  /** Waits until there is room to read on, but no longer than until a poll. */
  readonly untilNextRead: Effect.Effect<void>;

  /** Waits until there is an order in the mailbox. */
  readonly untilOne: Effect.Effect<void>;
  /** The oldest in the mailbox, if there is one; in hand until `letGo`. */
  readonly takeUnsafe: () => DueOrder | undefined;
  /** Gives back the one that was just taken, as if it had not been. */
  readonly putBack: (due: DueOrder) => void;
  readonly letGo: (order_id: OrderId) => void;

  /** Whether it is in the mailbox or in work. */
  readonly isInHand: (order_id: OrderId) => boolean;
  /** All that are, as of now. */
  readonly inHandNow: () => ReadonlySet<OrderId>;
  /** Whether nothing is in hand, and nothing is known to be in the table. */
  readonly isIdle: () => boolean;
  /** Orders in the mailbox. */
  readonly depth: () => number;
  /** Orders taken from it and not let go yet. */
  readonly inWork: () => number;
}

/** Orders the mailbox holds; a full one costs a read of the table, no more. */
export const mailboxCapacity = 256;

/** How soon an order is found that nobody handed over. */
export const pollInterval = Duration.seconds(1);

export const make = Effect.fnUntraced(function* (
  partition: Partition,
  repository: Pick<OrderRepository["Service"], "readAside" | "readLog">,
): Effect.fn.Return<Intake> {
  const mailbox = yield* Queue.dropping<DueOrder>(mailboxCapacity);
  const wake = yield* Queue.sliding<void>(1);
  /** Orders in the mailbox or in work: not to be taken up twice. */
  const inHand = new Set<OrderId>();
  /** What was put back: the oldest. */
  let next: DueOrder | undefined;
  /** There may be due orders in the table that are not in hand. */
  let behind = true;
  /** Up to where every order of the log has been in hand, or needed not be. */
  let readTo: LogPlace = 0n;

  const depth = () => Queue.sizeUnsafe(mailbox) + (next === undefined ? 0 : 1);
  const room = () => mailboxCapacity - Queue.sizeUnsafe(mailbox);

  /** Whether the order is in hand now. */
  const take = (due: DueOrder): boolean => {
    if (inHand.has(due.order_id)) return true;
    if (!Queue.offerUnsafe(mailbox, due)) return false;
    inHand.add(due.order_id);
    return true;
  };

  /** A part of the table, as it was read while `before` was in hand. */
  const takeAll = (
    open: ReadonlyArray<OpenOrder>,
    before: ReadonlySet<OrderId>,
  ) => {
    const lost: Array<Underway> = [];
    for (const order of open) {
      const { order_id, seq, underway } = order;
      if (underway === undefined) {
        if (!take(order)) return { lost, untaken: seq };
      } else if (!before.has(order_id) && !inHand.has(order_id)) {
        lost.push(underway);
      }
    }
    return { lost, untaken: undefined };
  };

  /** What is due goes before what is new, but leaves it half of the room. */
  const readAside = Effect.gen(function* () {
    const before = new Set(inHand);
    const limit = before.size + Math.ceil(room() / 2);
    const open = yield* repository.readAside(partition, limit);
    if (open.length === limit) behind = true;
    return takeAll(open, before).lost;
  });

  const readLog = Effect.gen(function* () {
    const lost: Array<Underway> = [];
    while (room() > 0) {
      const before = new Set(inHand);
      const from = readTo;
      const read = yield* repository.readLog(partition, from, room());
      const taken = takeAll(read.open, before);
      lost.push(...taken.lost);
      // Told to read again meanwhile, it goes back, not on.
      if (readTo < from) continue;
      readTo = taken.untaken === undefined ? read.readTo : taken.untaken - 1n;
      if (taken.untaken === undefined && read.isEnd) return lost;
    }
    behind = true;
    return lost;
  });

  const readNow = () => {
    behind = true;
    Queue.offerUnsafe(wake, undefined);
  };

  return {
    startAt: (place) => {
      readTo = place;
    },
    readTo: () => readTo,
    readAgain: (place) => {
      if (place >= readTo) return;
      readTo = place;
      readNow();
    },
    readNow,
    handOver: (due) => {
      if (!take(due)) behind = true;
    },
    fallBehind: () => {
      behind = true;
    },
    readOn: Effect.gen(function* () {
      if (room() === 0) {
        behind = true;
        return [];
      }
      // From here on, a hand-over that is missed is missed by this read too.
      behind = false;
      return [...(yield* readAside), ...(yield* readLog)];
    }),
    untilNextRead: Effect.asVoid(
      Effect.timeoutOption(Queue.take(wake), pollInterval),
    ),
    untilOne: Effect.suspend(() =>
      next === undefined ? Effect.asVoid(Queue.peek(mailbox)) : Effect.void,
    ),
    takeUnsafe: () => {
      if (next !== undefined) {
        const due = next;
        next = undefined;
        return due;
      }
      const taken = Queue.takeUnsafe(mailbox);
      return taken !== undefined && Exit.isSuccess(taken)
        ? taken.value
        : undefined;
    },
    putBack: (due) => {
      next = due;
    },
    letGo: (order_id) => {
      inHand.delete(order_id);
      if (behind && Queue.sizeUnsafe(mailbox) < mailboxCapacity / 2) {
        Queue.offerUnsafe(wake, undefined);
      }
    },
    isInHand: (order_id) => inHand.has(order_id),
    inHandNow: () => new Set(inHand),
    isIdle: () => inHand.size === 0 && !behind,
    depth,
    inWork: () => inHand.size - depth(),
  };
});
