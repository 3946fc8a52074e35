/**
 * Takes back the lost attempts of a partition: those in PROCESSING that nobody
 * is working on. A predecessor died with them, or a `begin` was done and its
 * answer never came.
 *
 * One promise: a lost attempt is ended within 30 seconds and a look, however
 * busy its actor is.
 *
 * A look reads all open orders of the partition, as no index names the status:
 * 2 ms for 12,000 of them, 29 ms for 100,000. So it is seldom, and the seldomer
 * the longer it takes.
 */
import { Clock, Effect, Queue, Random } from "effect";
import type { OrderId } from "../domain/Order.ts";
import { afterFailure, type RetryPolicy } from "../domain/OrderLifecycle.ts";
import type { Partition } from "../domain/Partition.ts";
import type {
  Epoch,
  OrderRepository,
  Underway,
} from "../persistence/OrderRepository.ts";

export interface TakingBackOptions {
  readonly repository: Pick<OrderRepository["Service"], "underway" | "fail">;
  readonly retryPolicy: RetryPolicy;
  /** Whether the actor has the order in hand: its attempt is not lost. */
  readonly isInHand: (order_id: OrderId) => boolean;
}

export interface TakingBack {
  /** Says that an answer was lost: what it was about may yet be done. */
  readonly doubt: () => void;
  /** Looks again and again, for as long as the partition is owned. */
  readonly run: (epoch: Epoch) => Effect.Effect<never>;
}

/** Where the looks stand, in milliseconds of a clock that only goes forward. */
export interface Looks {
  /** When an answer was last lost. */
  readonly doubtAt: number;
  /** When the latest look began, and when it had ended. */
  readonly lookedFrom: number;
  readonly lookedTo: number;
}

/**
 * Looks so long after an answer was lost. A statement that nobody waits for any
 * more ends within `statement_timeout`, 15 s (`runtime/Postgres.ts`): the last
 * of these looks sees what became of it.
 */
const millisInDoubt = [0, 1000, 3000, 7000, 16_000];

/** And for good: what the network held back may come at any time. */
const sweepMillis = 30_000;

/** So many times as long as a look took, there is none; at least, and at most. */
const restTimes = 100;
const restMillisMin = 1000;
const restMillisMax = sweepMillis;

/** The most attempts taken back at once: a batch of the repository, or less. */
const concurrency = 256;

const lostAttempt = "the attempt was lost: the process working on it stopped";

/** When to look again. */
export const nextLookAt = ({ doubtAt, lookedFrom, lookedTo }: Looks) => {
  const rest = Math.max(restMillisMin, restTimes * (lookedTo - lookedFrom));
  const wanted = millisInDoubt
    .map((millis) => doubtAt + millis)
    .find((at) => at > lookedFrom);
  return Math.max(
    lookedTo + Math.min(rest, restMillisMax),
    wanted ?? lookedFrom + sweepMillis,
  );
};

export const make = Effect.fnUntraced(function* (
  partition: Partition,
  { isInHand, repository, retryPolicy }: TakingBackOptions,
): Effect.fn.Return<TakingBack> {
  const clock = yield* Clock.Clock;
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6;
  const doubted = yield* Queue.sliding<void>(1);
  let doubtAt = now();

  const doubt = () => {
    doubtAt = now();
    Queue.offerUnsafe(doubted, undefined);
  };

  /** Goes by the same policy as any failed attempt; whether it was ended. */
  const takeBackOne = Effect.fnUntraced(function* (
    { attempt, attempts, order_id }: Underway,
    epoch: Epoch,
  ) {
    const next = afterFailure(
      { attempt: attempts, final: false },
      retryPolicy,
      yield* Random.next,
    );
    const wait = next.status === "PENDING" ? next.wait : undefined;
    const isEnded = yield* repository.fail({
      order_id,
      attempt,
      epoch,
      error: lostAttempt,
      wait,
    });
    // It had ended by itself meanwhile, or the partition is another's.
    if (!isEnded) return;
    yield* wait === undefined
      ? Effect.logError("order failed", {
          order_id,
          attempt,
          error: lostAttempt,
        })
      : Effect.logWarning("order taken back", { order_id, attempt });
  });

  const look = Effect.fnUntraced(function* (epoch: Epoch) {
    const attempts = yield* repository.underway(partition);
    yield* Effect.forEach(
      attempts.filter(({ order_id }) => !isInHand(order_id)),
      (lost) => takeBackOne(lost, epoch),
      { concurrency, discard: true },
    );
  });

  /** An answer that is lost meanwhile brings the next look forward. */
  const untilNext = (
    looked: Pick<Looks, "lookedFrom" | "lookedTo">,
  ): Effect.Effect<void> =>
    Effect.suspend(() => {
      const wait = nextLookAt({ ...looked, doubtAt }) - now();
      return wait <= 0
        ? Effect.void
        : Effect.andThen(
            Effect.timeoutOption(Queue.take(doubted), wait),
            untilNext(looked),
          );
    });

  return {
    doubt,
    run: Effect.fnUntraced(function* (epoch) {
      doubt();
      while (true) {
        const lookedFrom = now();
        yield* look(epoch).pipe(
          Effect.catchTag("RepositoryUnavailable", (error) => {
            doubt();
            return Effect.logDebug("waiting for the database", error.reason);
          }),
        );
        yield* untilNext({ lookedFrom, lookedTo: now() });
      }
    }),
  };
});
