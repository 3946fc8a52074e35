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
 *
 * An attempt that was not made is refunded: PROCESSING to PENDING, uncounted.
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
  /** The attempt was not made, or cut off by a drain: it is refunded. */
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

/** The longest wait that anybody may ask for, as by an HTTP `Retry-After`. */
const askedMax = Duration.hours(1);

/** The longest wait of an order's own for what is away: soon after its return. */
const awayCap = Duration.seconds(30);

/**
 * base x 2^(number-1), at most `cap`, of which a random half is taken off so
 * that orders that failed together do not return together; a wait that was
 * asked for is kept as the least.
 */
export const growingWait = (
  number: number,
  base: Duration.Duration,
  cap: Duration.Duration,
  asked: Duration.Duration | undefined,
  random: number,
): Duration.Duration => {
  const full = Math.min(
    Duration.toMillis(cap),
    // Beyond 2^50 the cap has long been reached; 0 times infinity is no number.
    Duration.toMillis(base) * 2 ** Math.min(number - 1, 50),
  );
  const least = Duration.min(asked ?? Duration.zero, askedMax);
  const wait = Math.max(full * (1 - random / 2), Duration.toMillis(least));
  return Duration.millis(Math.round(wait));
};

/**
 * FAILED if the failure is final or was the last attempt; else the order waits,
 * the longer the more attempts have failed.
 *
 * @param random evenly spread over 0..1, from the caller
 */
export const afterFailure = (
  failed: FailedAttempt,
  policy: RetryPolicy,
  random: number,
): AfterFailure => {
  const { attempt, final, retryAfter } = failed;
  if (final || attempt >= policy.maxAttempts) return { status: "FAILED" };
  const { base, cap } = policy;
  const wait = growingWait(attempt, base, cap, retryAfter, random);
  return { status: "PENDING", wait };
};

/** An attempt that was not made, for what the work needs is away. */
export interface UnmadeAttempt {
  /** Its number among all ever begun, from 1: unlike attempts, it only grows. */
  readonly begun: number;
  /** A wait that was asked for. */
  readonly retryAfter?: Duration.Duration | undefined;
  /** How long no order at all is begun, if it is known to be away for all. */
  readonly pause?: Duration.Duration | undefined;
}

/**
 * How long the order waits. It stays PENDING, with its attempt refunded. While
 * nothing is begun it waits as long as all others. Else its wait grows: what is
 * away for this one order (it makes the receiver hang) is not asked for ever at
 * the same pace.
 *
 * @param random evenly spread over 0..1, from the caller
 */
export const afterUnmade = (
  { begun, pause, retryAfter }: UnmadeAttempt,
  policy: RetryPolicy,
  random: number,
): Duration.Duration =>
  pause ??
  growingWait(
    begun,
    policy.base,
    Duration.min(policy.cap, awayCap),
    retryAfter,
    random,
  );

/** How an attempt ended. */
export type AttemptOutcome =
  | { readonly _tag: "Done" }
  | {
      /** The work said no. */
      readonly _tag: "Failed";
      readonly error: string;
      readonly final?: boolean | undefined;
      readonly retryAfter?: Duration.Duration | undefined;
    }
  | {
      /** The work was not tried, or cut off by a drain: it is not counted. */
      readonly _tag: "NotMade";
      readonly error?: string | undefined;
      readonly retryAfter?: Duration.Duration | undefined;
      readonly pause?: Duration.Duration | undefined;
    }
  /** Nobody is there any more to say how. */
  | { readonly _tag: "Lost" };

/** The move that ends an attempt, with what is kept of it. */
export type AttemptEnd =
  | { readonly move: "complete" }
  | {
      readonly move: "postpone";
      readonly wait: Duration.Duration;
      readonly error: string;
    }
  | { readonly move: "bury"; readonly error: string }
  | {
      readonly move: "release";
      readonly wait: Duration.Duration;
      readonly error?: string | undefined;
    };

/** An attempt, by its two numbers. */
export interface AttemptNumbers {
  /** Counts against the attempts an order gets, this one included. */
  readonly attempts: number;
  /** Among all ever begun. */
  readonly begun: number;
}

const lostError = "the attempt was lost: the process working on it stopped";

/** Of what the work said went wrong, so much is kept. */
const errorCharactersMax = 2000;

/**
 * What becomes of an order after an attempt, however it ended.
 *
 * A lost attempt counts like a failed one. If it was the first, the order is due
 * at once. From the second on it waits by the policy, because an order that
 * kills its process would otherwise kill one process after the other.
 *
 * @param random evenly spread over 0..1, from the caller
 */
export const endOf = (
  outcome: AttemptOutcome,
  numbers: AttemptNumbers,
  policy: RetryPolicy,
  random: number,
): AttemptEnd => {
  switch (outcome._tag) {
    case "Done":
      return { move: "complete" };
    case "NotMade":
      return {
        move: "release",
        wait:
          outcome.error === undefined
            ? Duration.zero
            : afterUnmade({ ...outcome, begun: numbers.begun }, policy, random),
        error: outcome.error?.slice(0, errorCharactersMax),
      };
    case "Lost": {
      const failed = { _tag: "Failed", error: lostError } as const;
      const end = endOf(failed, numbers, policy, random);
      // One loss is most likely the process's fault, and not the order's.
      return end.move === "postpone" && numbers.attempts === 1
        ? { ...end, wait: Duration.zero }
        : end;
    }
    case "Failed": {
      const { final = false, retryAfter } = outcome;
      const error = outcome.error.slice(0, errorCharactersMax);
      const failed = { attempt: numbers.attempts, final, retryAfter };
      const next = afterFailure(failed, policy, random);
      return next.status === "FAILED"
        ? { move: "bury", error }
        : { move: "postpone", wait: next.wait, error };
    }
  }
};
