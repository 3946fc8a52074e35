/** What must hold of the orders of a run, whatever happened to it. Pure. */
import type { OrderStatus } from "../../src/domain/OrderStatus.ts";

/** One change of an order, as the audit wrote it down. */
export interface Transition {
  readonly order_id: string;
  readonly was: OrderStatus;
  readonly became: OrderStatus;
  readonly attempts_was: number;
  readonly attempts: number;
  readonly error: string | null;
  /** The application that made it. */
  readonly who: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** An order as it lies in the table at the end. */
export interface StoredOrder {
  readonly order_id: string;
  readonly user_id: string;
  readonly total_amount: number;
  readonly status: OrderStatus;
  readonly attempts: number;
  /** Milliseconds since 1970. */
  readonly created_at: number;
}

export const isFinal = (status: OrderStatus) =>
  status === "COMPLETED" || status === "FAILED" || status === "CANCELLED";

/**
 * An owner ends an attempt that it has not begun in one way only: as lost.
 * The words alone do not tell, for later changes leave them standing.
 */
const isTakenBack = ({ attempts, attempts_was, became, error }: Transition) =>
  (became === "PENDING" || became === "FAILED") &&
  attempts === attempts_was &&
  /^the attempt was lost/.test(error ?? "");

/** Why a change must not be, in words; `undefined` if it may be. */
export const fault = (change: Transition): string | undefined => {
  const spent = change.attempts - change.attempts_was;
  switch (`${change.was} > ${change.became}`) {
    case "PENDING > PROCESSING":
      return spent === 1 ? undefined : "an attempt began without being counted";
    case "PENDING > CANCELLED":
    case "PROCESSING > COMPLETED":
    case "PROCESSING > FAILED":
      return spent === 0 ? undefined : "the end of an attempt changed attempts";
    case "PROCESSING > PENDING":
      return spent === 0 || spent === -1
        ? undefined
        : "more than its own attempt was refunded";
    case "FAILED > PENDING":
      return change.attempts === 0
        ? undefined
        : "a retry left attempts of before";
    default:
      return isFinal(change.was)
        ? `${change.was} was not the end`
        : "there is no such move";
  }
};

export interface Histories {
  /** Orders that became COMPLETED more than once, or moved on from it. */
  readonly completedTwice: ReadonlyArray<string>;
  /** Orders that moved as no order may. */
  readonly regressed: ReadonlyArray<string>;
  /** Orders whose attempt was ended by who had not begun it. */
  readonly stolen: ReadonlyArray<string>;
}

/** Judges the changes of all orders, given in the order they happened. */
export const histories = (changes: ReadonlyArray<Transition>): Histories => {
  const completedTwice = new Set<string>();
  const regressed = new Set<string>();
  const stolen = new Set<string>();
  const completed = new Set<string>();
  const last = new Map<string, Transition>();
  for (const change of changes) {
    const { order_id } = change;
    const before = last.get(order_id);
    if (fault(change) !== undefined) regressed.add(order_id);
    const follows =
      before === undefined
        ? change.was === "PENDING" && change.attempts_was === 0
        : change.was === before.became &&
          change.attempts_was === before.attempts;
    if (!follows) regressed.add(order_id);
    if (change.was === "COMPLETED") completedTwice.add(order_id);
    if (change.became === "COMPLETED") {
      if (completed.has(order_id)) completedTwice.add(order_id);
      completed.add(order_id);
    }
    if (
      change.was === "PROCESSING" &&
      before?.became === "PROCESSING" &&
      before.who !== change.who &&
      !isTakenBack(change)
    ) {
      stolen.add(order_id);
    }
    last.set(order_id, change);
  }
  return {
    completedTwice: [...completedTwice],
    regressed: [...regressed],
    stolen: [...stolen],
  };
};

/** What a caller was promised, and what is in the table. */
export interface Promised {
  readonly order_id: string;
  readonly user_id: string;
  readonly total_amount: number;
}

/** Answered orders that are not there, not as given, or not at an end. */
export const lost = (
  promised: ReadonlyArray<Promised>,
  stored: ReadonlyMap<string, StoredOrder>,
): ReadonlyArray<string> =>
  promised
    .filter((order) => {
      const found = stored.get(order.order_id);
      return (
        found === undefined ||
        !isFinal(found.status) ||
        found.user_id !== order.user_id ||
        found.total_amount !== order.total_amount
      );
    })
    .map((order) => order.order_id);

export interface Spread {
  readonly min: number;
  readonly max: number;
}

export const spread = (values: Iterable<number>): Spread | undefined => {
  let found: Spread | undefined;
  for (const value of values) {
    found = {
      min: Math.min(value, found?.min ?? value),
      max: Math.max(value, found?.max ?? value),
    };
  }
  return found;
};

/** A time span, in milliseconds since 1970. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** How many a second of `times` lie in the window. */
export const rateIn = (
  times: ReadonlyArray<number>,
  { from, to }: Window,
): number | undefined => {
  if (to <= from) return undefined;
  const inside = times.filter((time) => time >= from && time < to).length;
  return (inside * 1000) / (to - from);
};

/** Orders counted by status. */
export type StatusCounts = Readonly<Record<OrderStatus, number>>;

/** Where the counts differ, in words. */
export const differences = (
  what: string,
  counts: StatusCounts,
  rows: StatusCounts,
): ReadonlyArray<string> =>
  (Object.keys(rows) as ReadonlyArray<OrderStatus>)
    .filter((status) => counts[status] !== rows[status])
    .map(
      (status) =>
        `${what} ${counts[status]} ${status}, the table has ${rows[status]}`,
    );

/** Orders that are in two places, or twice in one, in words. */
export const twice = (
  orders: ReadonlyArray<Pick<StoredOrder, "order_id">>,
): ReadonlyArray<string> => {
  const seen = new Set<string>();
  const doubled = orders.filter(
    ({ order_id }) => seen.size === seen.add(order_id).size,
  );
  return doubled.map(({ order_id }) => `${order_id} is there twice`);
};

/** The value of a gauge without labels, in Prometheus' text. */
export const gaugeIn = (text: string, name: string): number | undefined => {
  const line = text.split("\n").find((_) => _.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.split(" ")[1]);
};
