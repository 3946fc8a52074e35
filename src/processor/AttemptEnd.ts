/**
 * Ends attempts, whoever made them and however they ended: the move is decided
 * in `OrderLifecycle`, made in the database, and told here, in one place.
 */
import { Duration, Effect, type Metric, Random } from "effect";
import {
  type AttemptOutcome,
  type AttemptEnd as End,
  endOf,
  type RetryPolicy,
} from "../domain/OrderLifecycle.ts";
import type {
  Attempt,
  Epoch,
  OrderRepository,
  RepositoryUnavailable,
  Underway,
} from "../persistence/OrderRepository.ts";
import * as ProcessorMetrics from "./ProcessorMetrics.ts";

export interface AttemptEndOptions {
  readonly repository: Pick<
    OrderRepository["Service"],
    "complete" | "fail" | "release"
  >;
  readonly retryPolicy: RetryPolicy;
}

export interface AttemptEnd {
  /** What becomes of the order; each time it is asked a wait is drawn anew. */
  readonly decide: (
    attempt: Underway,
    outcome: AttemptOutcome,
  ) => Effect.Effect<End>;
  /** COMPLETED: many attempts at once, each if it is still the one under way. */
  readonly complete: OrderRepository["Service"]["complete"];
  /** Makes the move, if the attempt is still the one under way. */
  readonly make: (
    attempt: Attempt,
    end: End,
    /** Of an attempt that was lost: who ends it must own the partition. */
    lostTo?: Epoch,
  ) => Effect.Effect<boolean, RepositoryUnavailable>;
  /** Says what was done, in the log and in the metrics. */
  readonly tell: (
    attempt: Attempt,
    outcome: AttemptOutcome,
    end: End,
  ) => Effect.Effect<void>;
  /** Says that the attempt had been taken from here before its end. */
  readonly tellStale: (attempt: Attempt) => Effect.Effect<void>;
}

/** How an attempt that has its order wait is told. */
const wordsOf = (outcome: AttemptOutcome) => {
  switch (outcome._tag) {
    case "Lost":
      return ["Warn", "order taken back"] as const;
    case "NotMade":
      // While nothing is begun, the orders given back are many, and no news.
      return outcome.pause === undefined && outcome.error !== undefined
        ? (["Warn", "order given back"] as const)
        : (["Info", "order given back"] as const);
    default:
      return ["Warn", "order attempt failed"] as const;
  }
};

export const make = Effect.fnUntraced(function* ({
  repository,
  retryPolicy,
}: AttemptEndOptions): Effect.fn.Return<AttemptEnd> {
  const context = yield* Effect.context<never>();
  const count = (metric: Metric.Metric<number, unknown>) =>
    metric.updateUnsafe(1, context);
  const { attemptsEnded } = ProcessorMetrics;

  return {
    decide: ({ attempt, attempts }, outcome) =>
      outcome._tag === "Done"
        ? Effect.succeed({ move: "complete" })
        : Effect.map(Random.next, (random) =>
            endOf(outcome, { attempts, begun: attempt }, retryPolicy, random),
          ),
    complete: repository.complete,
    make: ({ attempt, order_id, workSeconds }, end, lostTo) => {
      switch (end.move) {
        case "complete":
          return Effect.flatMap(
            repository.complete([{ order_id, attempt, workSeconds }]),
            ([answer]) => Effect.fromResult(answer as typeof answer & {}),
          );
        case "release":
          return repository.release({
            ...{ order_id, attempt, wait: end.wait },
            error: end.error,
          });
        default:
          return repository.fail({
            ...{ order_id, attempt, error: end.error },
            ...{ epoch: lostTo, isLost: lostTo !== undefined },
            wait: end.move === "postpone" ? end.wait : undefined,
          });
      }
    },
    tell: ({ attempt, order_id }, outcome, end) => {
      const told = { order_id, attempt };
      switch (end.move) {
        case "complete":
          count(attemptsEnded.completed);
          return Effect.logInfo("order completed", told);
        case "bury":
          count(attemptsEnded.failed);
          return Effect.logError("order failed", { ...told, error: end.error });
        default: {
          count(attemptsEnded.postponed);
          const [level, words] = wordsOf(outcome);
          return Effect.logWithLevel(level)(words, {
            ...told,
            ...(end.error === undefined ? {} : { error: end.error }),
            next_attempt_in_ms: Duration.toMillis(end.wait),
          });
        }
      }
    },
    tellStale: ({ attempt, order_id }) => {
      count(attemptsEnded.stale);
      return Effect.logWarning(
        "the attempt ended too late: its order is no longer this actor's",
        { order_id, attempt },
      );
    },
  };
});
