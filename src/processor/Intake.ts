/**
 * What an actor takes up: its mailbox, and the table behind it.
 *
 *     hand-over --> mailbox --> the actor
 *     (at insert)      ^
 *                      | when there is room
 *                    table
 *
 * The mailbox is a nudge, the table the truth. A hand-over that finds the
 * mailbox full is forgotten, and the intake knows that it is behind: it reads
 * on from the table when it has room. So a backlog of any length takes no
 * memory. Orders that come due some other way are found by the next poll.
 */
import { Duration, Effect, Exit, Queue } from "effect";
import type { OrderId } from "../domain/Order.ts";
import type { Partition } from "../domain/Partition.ts";
import type {
  DueOrder,
  OrderRepository,
  RepositoryUnavailable,
} from "../persistence/OrderRepository.ts";

export interface Intake {
  /** Tells of a PENDING order. Never waits, never fails. */
  readonly handOver: (due: DueOrder) => void;
  /** There may be due orders in the table that nobody hands over. */
  readonly fallBehind: () => void;
  /** Reads on from the table, if there is room. */
  readonly readOn: Effect.Effect<void, RepositoryUnavailable>;
  /** Waits until there is room to read on, but no longer than until a poll. */
  readonly untilNextRead: Effect.Effect<void>;

  /** Waits until there is an order in the mailbox. */
  readonly untilOne: Effect.Effect<void>;
  /** The oldest in the mailbox, if there is one; in hand until `letGo`. */
  readonly takeUnsafe: () => DueOrder | undefined;
  readonly letGo: (order_id: OrderId) => void;

  /** Whether it is in the mailbox or in work. */
  readonly isInHand: (order_id: OrderId) => boolean;
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
  repository: Pick<OrderRepository["Service"], "due">,
): Effect.fn.Return<Intake> {
  const mailbox = yield* Queue.dropping<DueOrder>(mailboxCapacity);
  const wake = yield* Queue.sliding<void>(1);
  /** Orders in the mailbox or in work: not to be taken up twice. */
  const inHand = new Set<OrderId>();
  /** There may be due orders in the table that are not in hand. */
  let behind = true;

  const handOver = (due: DueOrder) => {
    if (inHand.has(due.order_id)) return;
    if (Queue.offerUnsafe(mailbox, due)) inHand.add(due.order_id);
    else behind = true;
  };

  const readOn = Effect.gen(function* () {
    const room = mailboxCapacity - Queue.sizeUnsafe(mailbox);
    if (room === 0) {
      behind = true;
      return;
    }
    // From here on, a hand-over that is missed is missed by this read too.
    behind = false;
    const limit = inHand.size + room;
    const due = yield* repository.due(partition, limit);
    for (const one of due) handOver(one);
    if (due.length === limit) behind = true;
  });

  return {
    handOver,
    fallBehind: () => {
      behind = true;
    },
    readOn,
    untilNextRead: Effect.asVoid(
      Effect.timeoutOption(Queue.take(wake), pollInterval),
    ),
    untilOne: Effect.asVoid(Queue.peek(mailbox)),
    takeUnsafe: () => {
      const next = Queue.takeUnsafe(mailbox);
      return next !== undefined && Exit.isSuccess(next)
        ? next.value
        : undefined;
    },
    letGo: (order_id) => {
      inHand.delete(order_id);
      if (behind && Queue.sizeUnsafe(mailbox) < mailboxCapacity / 2) {
        Queue.offerUnsafe(wake, undefined);
      }
    },
    isInHand: (order_id) => inHand.has(order_id),
    isIdle: () => inHand.size === 0 && !behind,
    depth: () => Queue.sizeUnsafe(mailbox),
    inWork: () => inHand.size - Queue.sizeUnsafe(mailbox),
  };
});
