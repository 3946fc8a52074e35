/**
 * How soon all goes on after a fault. Pure. Of one instance, work as a whole
 * has to go on; of several, the others go on anyway, and what counts is the
 * order that has to wait for the one that was harmed.
 */
import * as Checks from "./Checks.ts";

/** Work that pauses so long has not gone on. */
const pauseMillis = 1000;

/** A pause that begins so soon after work went on is still the fault's. */
const aftermathMillis = 3000;

/**
 * How long after the end of a fault work has gone on for good: the first of
 * `times`, or, when a pause follows soon after that, the first after the
 * pause. The longest of all faults; infinite when work never went on,
 * `undefined` when there were no faults.
 *
 * @param faults when each began
 * @param faultsOver when each was over
 * @param loadOver when orders ceased to come: pauses from then on are natural
 */
export const recoverySeconds = (
  faults: ReadonlyArray<number>,
  faultsOver: ReadonlyArray<number>,
  times: ReadonlyArray<number>,
  loadOver: number,
): number | undefined => {
  const sorted = times.toSorted((one, other) => one - other);
  const waits = faultsOver.map((over) => {
    const next = faults.find((at) => at > over) ?? Number.POSITIVE_INFINITY;
    const end = Math.min(next, loadOver);
    const after = sorted.filter((time) => time >= over);
    let recovered = after[0] ?? Number.POSITIVE_INFINITY;
    for (const [index, time] of after.entries()) {
      if (time > end || time > recovered + aftermathMillis) break;
      const following = after[index + 1];
      if (following === undefined) break;
      // From the next fault on, a pause is that one's.
      const pause = Math.min(following, end) - time;
      if (pause >= pauseMillis) recovered = following;
    }
    return (recovered - over) / 1000;
  });
  return Checks.spread(waits)?.max;
};

/** A wait, from when to when, in milliseconds. */
interface Wait {
  readonly from: number;
  readonly to: number;
}

/**
 * The longest of the waits, of each the part from a fault on. Where a fault was
 * over before the next began, a wait is counted up to the next and from it on
 * again: what came before that fault is not its doing.
 */
export const longestSeconds = (
  faults: ReadonlyArray<number>,
  faultsOver: ReadonlyArray<number>,
  waits: Iterable<Wait>,
): number | undefined => {
  if (faults.length === 0) return undefined;
  const begins = faults.filter((fault, index) => {
    const before = faults[index - 1] ?? Number.NEGATIVE_INFINITY;
    const isOver = faultsOver.some((over) => over >= before && over <= fault);
    return index === 0 || isOver;
  });
  let longest = 0;
  for (const { from, to } of waits) {
    for (const [index, begin] of begins.entries()) {
      const next = begins[index + 1] ?? Number.POSITIVE_INFINITY;
      longest = Math.max(longest, Math.min(to, next) - Math.max(from, begin));
    }
  }
  return longest / 1000;
};

/**
 * Every order's times without a move: from being placed to being begun, from
 * there to its end; or to being begun again, if its attempt was lost. Being
 * given or taken back is no move: it waits on. Without an end if it has none.
 */
export function* standstills(
  orders: Iterable<Pick<Checks.StoredOrder, "order_id" | "created_at">>,
  changes: ReadonlyArray<Checks.Transition>,
): Iterable<Wait> {
  const moves = Map.groupBy(
    changes.filter(({ became }) => became !== "PENDING"),
    ({ order_id }) => order_id,
  );
  for (const { created_at, order_id } of orders) {
    let from = created_at;
    let isAtEnd = false;
    for (const { at, became } of moves.get(order_id) ?? []) {
      yield { from, to: at };
      from = at;
      isAtEnd = Checks.isFinal(became);
    }
    if (!isAtEnd) yield { from, to: Number.POSITIVE_INFINITY };
  }
}

/**
 * How long after the end of the last fault all orders placed before that were
 * at an end; infinite if one is not, `undefined` when no fault ended.
 */
export const backlogSeconds = (
  faultsOver: ReadonlyArray<number>,
  orders: Iterable<Pick<Checks.StoredOrder, "order_id" | "created_at">>,
  changes: ReadonlyArray<Checks.Transition>,
): number | undefined => {
  const over = faultsOver.at(-1);
  if (over === undefined) return undefined;
  const ends = new Map<string, number>();
  for (const { at, became, order_id } of changes) {
    if (Checks.isFinal(became)) ends.set(order_id, at);
  }
  let last = over;
  for (const { created_at, order_id } of orders) {
    if (created_at >= over) continue;
    last = Math.max(last, ends.get(order_id) ?? Number.POSITIVE_INFINITY);
  }
  return (last - over) / 1000;
};
