/**
 * How much leaves the table at once, and how soon again: little while it takes
 * long, for then others wait for the same database. Pure.
 */

import type { OrderSeen } from "../persistence/OrderArchive.ts";
import type { LogPlace } from "../persistence/OrderRepository.ts";

export const sizeMin = 50;
export const sizeStart = 100;
export const sizeMax = 1000;

/** From here on a statement is slow, and up to there it is quick. */
const slowMillis = 250;
const quickMillis = 125;

/** Between two batches at least. */
export const pauseMinMillis = 20;

/** The process is busy when it wakes so much later than it asked for. */
const lateMillisMax = 50;

/** As it would have been late for requests, it stands back five times as long. */
const backFactor = 5;
const backMillisMax = 500;

/** How much longer it waits when it woke late; 0 while the process has time. */
export const backAfter = (lateMillis: number): number =>
  lateMillis > lateMillisMax
    ? Math.min(backMillisMax, backFactor * lateMillis)
    : 0;

/** A busy process has smaller batches, but so many that the table stays level. */
export const sizeWhenBusy = (size: number): number =>
  Math.min(size, Math.max(sizeStart, Math.floor(size / 2)));

/** How many orders the next batch has. */
export const sizeAfter = (size: number, tookMillis: number): number => {
  if (tookMillis > slowMillis) return Math.max(sizeMin, Math.floor(size / 2));
  return tookMillis < quickMillis ? Math.min(sizeMax, size * 2) : size;
};

/** At least half of the time is left to others. */
export const pauseAfter = (tookMillis: number): number =>
  Math.max(pauseMinMillis, tookMillis);

export interface Chosen {
  readonly orders: ReadonlyArray<OrderSeen>;
  /** Up to there nothing more is to leave now. */
  readonly readTo: LogPlace;
  /** What comes next is too young, or nothing comes. */
  readonly isEnd: boolean;
}

/**
 * Chooses what leaves together, of what was seen in the order of the log.
 *
 * @param limit how many were asked for: fewer were seen only at the end
 */
export const choose = (
  seen: ReadonlyArray<OrderSeen>,
  options: {
    readonly after: LogPlace;
    readonly limit: number;
    readonly size: number;
    readonly bytesMax: number;
  },
): Chosen => {
  const orders: Array<OrderSeen> = [];
  let readTo = options.after;
  let bytes = 0;
  for (const order of seen) {
    if (!order.isOld) return { orders, readTo, isEnd: true };
    if (order.isReady) {
      bytes += order.item_bytes;
      const isFull =
        orders.length === options.size ||
        (bytes > options.bytesMax && orders.length > 0);
      if (isFull) return { orders, readTo, isEnd: false };
      orders.push(order);
    }
    readTo = order.seq;
  }
  return { orders, readTo, isEnd: seen.length < options.limit };
};
