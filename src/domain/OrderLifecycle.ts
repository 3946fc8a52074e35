/**
 * The life of an order, decided here and nowhere else. Pure: no clock, no I/O.
 *
 *             place             begin                 complete
 *    (none) --------> PENDING ---------> PROCESSING -----------> COMPLETED
 *                     ^  ^  |                |
 *         retry       |  |  | cancel         | attempt failed
 *      (operator)     |  |  v                |
 *           FAILED ---+  | CANCELLED         |
 *             ^          +------- retryable, attempts left: waits
 *             +------------------ final, or attempts used up (dead letter)
 */
import { Duration } from "effect";
import type { OrderStatus } from "./OrderStatus.ts";

/** The moves of an order: from which status, to which. */
export const moves = {
  begin: { from: "PENDING", to: "PROCESSING" },
  complete: { from: "PROCESSING", to: "COMPLETED" },
  /** The attempt failed and there will be another. */
  postpone: { from: "PROCESSING", to: "PENDING" },
  /** The attempt failed for good: a dead letter. */
  bury: { from: "PROCESSING", to: "FAILED" },
  /** The attempt was cut off by a drain: it is refunded. */
  release: { from: "PROCESSING", to: "PENDING" },
  cancel: { from: "PENDING", to: "CANCELLED" },
  retry: { from: "FAILED", to: "PENDING" },
} as const satisfies Record<string, { from: OrderStatus; to: OrderStatus }>;

/** How failed attempts are retried. */
export interface RetryPolicy {
  /** Attempts an order gets in all, at least 1. */
  readonly maxAttempts: number;
  /** The wait after the first failure; it doubles with each further one. */
  readonly base: Duration.Duration;
  /** The longest wait. */
  readonly cap: Duration.Duration;
}

/** A failed attempt. */
export interface FailedAttempt {
  /** Its number, from 1. */
  readonly attempt: number;
  /** Whether the work itself said that another attempt is of no use. */
  readonly final: boolean;
  /** A wait that was asked for, as by an HTTP `Retry-After`. */
  readonly retryAfter?: Duration.Duration | undefined;
}

/** What becomes of an order whose attempt failed. */
export type AfterFailure =
  | { readonly status: "PENDING"; readonly wait: Duration.Duration }
  | { readonly status: "FAILED" };

/**
 * The wait after attempt n is base x 2^(n-1), at most `cap`, of which a random
 * half is taken off so that orders that failed together do not return
 * together; a wait that was asked for is kept as the least, also up to `cap`.
 *
 * @param random evenly spread over 0..1, from the caller
 */
export const afterFailure = (
  failed: FailedAttempt,
  policy: RetryPolicy,
  random: number,
): AfterFailure => {
  if (failed.final || failed.attempt >= policy.maxAttempts) {
    return { status: "FAILED" };
  }
  const cap = Duration.toMillis(policy.cap);
  const full = Math.min(
    cap,
    // Beyond 2^50 the cap has long been reached; 0 times infinity is no number.
    Duration.toMillis(policy.base) * 2 ** Math.min(failed.attempt - 1, 50),
  );
  const asked =
    failed.retryAfter === undefined ? 0 : Duration.toMillis(failed.retryAfter);
  const wait = Math.max(full * (1 - random / 2), Math.min(asked, cap));
  return { status: "PENDING", wait: Duration.millis(Math.round(wait)) };
};
