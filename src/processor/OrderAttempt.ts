/**
 * One attempt at an order, from its beginning to its end:
 *
 *     begin --> fulfil --> complete | fail | give back
 *
 * One promise: what was begun and answered ends here, whatever the work does
 * and however long the database is away.
 */
import {
  Cause,
  Clock,
  Duration,
  Effect,
  Exit,
  type Metric,
  Option,
  Random,
  References,
} from "effect";
import type { Order } from "../domain/Order.ts";
import {
  afterFailure,
  afterUnmade,
  type RetryPolicy,
} from "../domain/OrderLifecycle.ts";
import type {
  Attempt,
  DueOrder,
  Epoch,
  OrderRepository,
  Release,
  RepositoryUnavailable,
} from "../persistence/OrderRepository.ts";
import {
  type Fulfilment,
  FulfilmentFailed,
  type FulfilmentUnavailable,
} from "./Fulfilment.ts";
import * as ProcessorMetrics from "./ProcessorMetrics.ts";

export interface OrderAttemptOptions {
  readonly repository: Pick<
    OrderRepository["Service"],
    "begin" | "complete" | "fail" | "release"
  >;
  readonly fulfilment: Fulfilment["Service"];
  /** The longest one attempt may take. */
  readonly attemptTimeout: Duration.Duration;
  readonly retryPolicy: RetryPolicy;
  /** The work is known to be impossible for so long. */
  readonly closeGate: (wait: Duration.Duration) => Effect.Effect<void>;
  /** Whether the actor is to stop: nothing new begins. */
  readonly isDraining: () => boolean;
  /** Tells that an answer of the database was lost. */
  readonly onLostAnswer: () => void;
  /** Tells that an order is out of reach for now, and nothing else is amiss. */
  readonly onHeld: () => void;
  /** Tells that an order has begun, or was found not to be for us. */
  readonly onBegun: () => void;
}

export interface OrderAttempt {
  /** Makes the order's next attempt, if it may be begun. */
  readonly make: (due: DueOrder, epoch: Epoch) => Effect.Effect<void>;
}

/** An outage of the database is waited out: first so long, then longer. */
const outageWaitMin = Duration.millis(100);
const outageWaitMax = Duration.millis(500);

/** Of what the work said went wrong, so much is kept. */
const errorCharactersMax = 2000;

/** Lets a part of something uninterruptible be interrupted. */
type Restore = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
) => Effect.Effect<A, E, R>;

interface FailedWork {
  readonly error: string;
  readonly final?: boolean | undefined;
  readonly retryAfter?: Duration.Duration | undefined;
}

/**
 * Asks until the database has answered. A change under way is not cut off,
 * so that its answer is never lost; the waits between are (`restore`).
 */
export const persist = <A>(
  change: Effect.Effect<A, RepositoryUnavailable>,
  onUnavailable: (error: RepositoryUnavailable) => void,
  restore: Restore,
  wait = outageWaitMin,
): Effect.Effect<A> =>
  Effect.catch(change, (error) => {
    onUnavailable(error);
    const longer = Duration.min(Duration.times(wait, 2), outageWaitMax);
    return Effect.andThen(
      restore(Effect.sleep(wait)),
      persist(change, onUnavailable, restore, longer),
    );
  });

export const make = Effect.fnUntraced(function* ({
  repository,
  ...options
}: OrderAttemptOptions): Effect.fn.Return<OrderAttempt> {
  const clock = yield* Clock.Clock;
  const isTraced = yield* References.TracerEnabled;
  const context = yield* Effect.context<never>();
  /** Without an effect around it, which costs ten times what counting does. */
  const measure = <Input>(
    metric: Metric.Metric<Input, unknown>,
    value: Input,
  ) => metric.updateUnsafe(value, context);

  const change = <A>(
    asked: Effect.Effect<A, RepositoryUnavailable>,
    restore: Restore,
  ) =>
    persist(
      asked,
      // Another session holds the one order: that says nothing of the others.
      ({ isHeld }) =>
        isHeld === true ? options.onHeld() : options.onLostAnswer(),
      restore,
    );

  const stale = (attempt: Attempt) => {
    measure(ProcessorMetrics.attemptsEnded.stale, 1);
    return Effect.logWarning(
      "the attempt ended too late: its order is no longer this actor's",
      attempt,
    );
  };

  const endCompleted = Effect.fnUntraced(function* (
    attempt: Attempt,
    order: Order,
    restore: Restore,
  ) {
    if (!(yield* change(repository.complete(attempt), restore))) {
      return yield* stale(attempt);
    }
    const now = clock.currentTimeMillisUnsafe();
    measure(ProcessorMetrics.attemptsEnded.completed, 1);
    measure(
      ProcessorMetrics.wholeSeconds,
      secondsBetween(order.created_at.epochMilliseconds, now),
    );
    yield* Effect.logInfo("order completed", attempt);
  });

  const endFailed = Effect.fnUntraced(function* (
    attempt: Attempt,
    attempts: number,
    failed: FailedWork,
    restore: Restore,
  ) {
    const next = afterFailure(
      {
        attempt: attempts,
        final: failed.final === true,
        retryAfter: failed.retryAfter,
      },
      options.retryPolicy,
      yield* Random.next,
    );
    const error = failed.error.slice(0, errorCharactersMax);
    const wait = next.status === "PENDING" ? next.wait : undefined;
    const failure = { ...attempt, error, wait };
    if (!(yield* change(repository.fail(failure), restore))) {
      return yield* stale(attempt);
    }
    if (wait === undefined) {
      measure(ProcessorMetrics.attemptsEnded.failed, 1);
      yield* Effect.logError("order failed", { ...attempt, error });
    } else {
      measure(ProcessorMetrics.attemptsEnded.postponed, 1);
      yield* Effect.logWarning("order attempt failed", {
        ...attempt,
        error,
        next_attempt_in_ms: Duration.toMillis(wait),
      });
    }
  });

  /** The attempt was not really made: it is not counted. */
  const giveBack = Effect.fnUntraced(function* (
    released: Release,
    restore: Restore,
    log: (...words: Array<unknown>) => Effect.Effect<void> = Effect.logInfo,
  ) {
    const { error, wait, ...attempt } = released;
    if (!(yield* change(repository.release(released), restore))) {
      return yield* stale(attempt);
    }
    measure(ProcessorMetrics.attemptsEnded.postponed, 1);
    yield* log("order given back", {
      ...attempt,
      ...(error === undefined ? {} : { error }),
      next_attempt_in_ms: Duration.toMillis(wait),
    });
  });

  /** What the work needs is away: for this order, or for all. */
  const endUnmade = Effect.fnUntraced(function* (
    attempt: Attempt,
    { message, pause, retryAfter }: FulfilmentUnavailable,
    restore: Restore,
  ) {
    if (pause !== undefined) yield* options.closeGate(pause);
    const wait = afterUnmade(
      { begun: attempt.attempt, retryAfter, pause },
      options.retryPolicy,
      yield* Random.next,
    );
    const error = message.slice(0, errorCharactersMax);
    // While nothing is begun, the orders given back are many, and no news.
    const log = pause === undefined ? Effect.logWarning : Effect.logInfo;
    yield* giveBack({ ...attempt, wait, error }, restore, log);
  });

  /** The work of an attempt; a span costs as much as the rest of it. */
  const fulfil = (order: Order, attempt: Attempt) => {
    const work = Effect.suspend(() => options.fulfilment.fulfil(order)).pipe(
      Effect.timeoutOrElse({
        duration: options.attemptTimeout,
        orElse: () =>
          new FulfilmentFailed({
            message: `the work took longer than ${Duration.format(options.attemptTimeout)}`,
          }),
      }),
    );
    return isTraced
      ? Effect.withSpan(work, "Fulfilment.fulfil", {
          attributes: { ...attempt },
        })
      : work;
  };

  const measureWait = (order: Order) => {
    if (order.processing_started_at === null || order.attempts !== 1) return;
    measure(
      ProcessorMetrics.waitSeconds,
      secondsBetween(
        order.created_at.epochMilliseconds,
        order.processing_started_at.epochMilliseconds,
      ),
    );
  };

  /** One order, from begin to the end of its attempt: all on this screen. */
  const makeOne = ({ item_bytes, order_id }: DueOrder, epoch: Epoch) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const begun = yield* change(
          // Not asked again while draining: if it was done, it is taken back.
          Effect.suspend(() =>
            options.isDraining()
              ? Effect.succeedNone
              : repository.begin(order_id, epoch, item_bytes),
          ),
          restore,
        );
        options.onBegun();
        // Cancelled, begun by a hand-over that came twice, or no longer ours.
        if (Option.isNone(begun)) return;
        const { order } = begun.value;
        const attempt = { order_id, attempt: begun.value.attempt };
        yield* Effect.logInfo("order begun", attempt);
        measureWait(order);
        const startedAt = clock.currentTimeMillisUnsafe();
        const exit = yield* Effect.exit(restore(fulfil(order, attempt)));
        measure(
          ProcessorMetrics.workSeconds,
          secondsBetween(startedAt, clock.currentTimeMillisUnsafe()),
        );
        if (Exit.isSuccess(exit)) {
          return yield* endCompleted(attempt, order, restore);
        }
        const unavailable = isUnavailable(exit.cause);
        if (unavailable !== undefined) {
          return yield* endUnmade(attempt, unavailable, restore);
        }
        if (options.isDraining() && Cause.hasInterrupts(exit.cause)) {
          return yield* giveBack({ ...attempt, wait: Duration.zero }, restore);
        }
        return yield* endFailed(
          attempt,
          order.attempts,
          reasonOf(exit.cause),
          restore,
        );
      }),
    );

  return { make: makeOne };
});

/** Why an attempt failed, in words. */
const reasonOf = (
  cause: Cause.Cause<FulfilmentFailed | FulfilmentUnavailable>,
): FailedWork => {
  const failure = Cause.findErrorOption(cause);
  if (Option.isSome(failure) && failure.value._tag === "FulfilmentFailed") {
    const { message, final, retryAfter } = failure.value;
    return { error: message, final, retryAfter };
  }
  const defect = Cause.squash(cause);
  const words = defect instanceof Error ? defect.message : String(defect);
  return { error: `the work crashed: ${words}` };
};

const isUnavailable = (
  cause: Cause.Cause<FulfilmentFailed | FulfilmentUnavailable>,
): FulfilmentUnavailable | undefined => {
  const failure = Option.getOrUndefined(Cause.findErrorOption(cause));
  return failure?._tag === "FulfilmentUnavailable" ? failure : undefined;
};

const secondsBetween = (fromMillis: number, toMillis: number): number =>
  Math.max(0, toMillis - fromMillis) / 1000;
