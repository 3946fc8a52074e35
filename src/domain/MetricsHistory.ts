/**
 * How counts became what they are: samples of them, and what can be read off
 * two of them. A sample holds totals, which only grow, so that rates between any
 * two are right, however many samples there were between. Pure.
 */
import type { DateTime } from "effect";
import type { OrderStatus } from "./OrderStatus.ts";
import { type Rates, unknownRates } from "./Processing.ts";

/** A sample is taken every so often, and so long all are kept. */
export const sampleSeconds = 10;
export const fineSeconds = 24 * 60 * 60;

/** Older ones are thinned to one in so long, and kept until they are so old. */
export const coarseSampleSeconds = 300;
export const historySeconds = 7 * 24 * 60 * 60;

/** The most points of one answer; and how many there are where nobody says. */
export const pointsMax = 1000;
const pointsDefault = 360;

/** As of a moment. */
export interface Totals {
  readonly at: DateTime.Utc;
  readonly status_counts: Readonly<Record<OrderStatus, number>>;
  /** Orders ever taken in. */
  readonly placed: number;
  /** How often an order became a dead letter. */
  readonly failures: number;
  /** The oldest PENDING order's; null if there is none. */
  readonly oldest_pending_age_seconds: number | null;
  /** Orders whose first attempt began, and how long they had waited. */
  readonly waited_orders: number;
  readonly waited_seconds: number;
  /** Orders COMPLETED, and how long that took from when they were placed. */
  readonly whole_orders: number;
  readonly whole_seconds: number;
}

export interface MetricsPoint extends Rates {
  readonly time: DateTime.Utc;
  readonly status_counts: Totals["status_counts"];
  readonly oldest_pending_age_seconds: number | null;
  readonly waiting_seconds: number | null;
  readonly completion_seconds: number | null;
}

export interface MetricsHistory {
  readonly since: DateTime.Utc;
  readonly step_seconds: number;
  readonly samples: ReadonlyArray<MetricsPoint>;
}

/** The last sample of a step, and which step that is. */
export interface StepTotals extends Totals {
  readonly step: number;
}

/**
 * The step in force: what was asked for, or longer, where there are no samples
 * so close to each other or the points would be too many.
 */
export const stepSecondsOf = (
  spanSeconds: number,
  asked: number | undefined,
): number => {
  const unit = spanSeconds > fineSeconds ? coarseSampleSeconds : sampleSeconds;
  const wanted = asked ?? spanSeconds / pointsDefault;
  const least = Math.max(wanted, spanSeconds / pointsMax, unit);
  return Math.ceil(least / unit) * unit;
};

const round = (value: number, decimals: number): number =>
  Math.round(value * 10 ** decimals) / 10 ** decimals;

/** Null where it is not known: the totals began anew, or no time passed. */
const perUnit = (grown: number, units: number): number | null =>
  grown < 0 || units <= 0 ? null : round(grown / units, 3);

type Counted = Pick<Totals, "failures" | "placed" | "status_counts">;

export const ratesBetween = (
  before: Counted,
  after: Counted,
  seconds: number,
): Rates => ({
  placed_per_second: perUnit(after.placed - before.placed, seconds),
  completed_per_second: perUnit(
    after.status_counts.COMPLETED - before.status_counts.COMPLETED,
    seconds,
  ),
  failed_per_second: perUnit(after.failures - before.failures, seconds),
});

/** What happened since the step before; all unknown where none was counted. */
const between = (before: StepTotals | undefined, after: StepTotals) =>
  before === undefined || after.step !== before.step + 1
    ? {
        ...unknownRates,
        waiting_seconds: null,
        completion_seconds: null,
      }
    : {
        ...ratesBetween(
          before,
          after,
          (after.at.epochMilliseconds - before.at.epochMilliseconds) / 1000,
        ),
        waiting_seconds: perUnit(
          after.waited_seconds - before.waited_seconds,
          after.waited_orders - before.waited_orders,
        ),
        completion_seconds: perUnit(
          after.whole_seconds - before.whole_seconds,
          after.whole_orders - before.whole_orders,
        ),
      };

/**
 * @param totals the last sample of each step, oldest first, from one step before
 *   `since` on; a step without a sample is left out, here and in what is given
 */
export const pointsOf = (
  totals: ReadonlyArray<StepTotals>,
  since: DateTime.Utc,
): ReadonlyArray<MetricsPoint> =>
  totals.flatMap((total, index) =>
    total.at.epochMilliseconds < since.epochMilliseconds
      ? []
      : {
          time: total.at,
          status_counts: total.status_counts,
          oldest_pending_age_seconds: total.oldest_pending_age_seconds,
          ...between(totals[index - 1], total),
        },
  );
