/**
 * One attempt at an order, from its beginning to its end:
 *
 *     begin --> fulfil --> end
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
  References,
} from "effect";
import type { Order } from "../domain/Order.ts";
import type { AttemptOutcome } from "../domain/OrderLifecycle.ts";
import type {
  Attempt,
  DueOrder,
  Epoch,
  OrderRepository,
  RepositoryUnavailable,
  Underway,
} from "../persistence/OrderRepository.ts";
import type { AttemptEnd } from "./AttemptEnd.ts";
import {
  type Fulfilment,
  FulfilmentFailed,
  type FulfilmentUnavailable,
} from "./Fulfilment.ts";
import * as ProcessorMetrics from "./ProcessorMetrics.ts";

export interface OrderAttemptOptions {
  readonly repository: Pick<OrderRepository["Service"], "begin">;
  readonly attemptEnd: AttemptEnd;
  readonly fulfilment: Fulfilment["Service"];
  /** The longest one attempt may take. */
  readonly attemptTimeout: Duration.Duration;
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

/** Lets a part of something uninterruptible be interrupted. */
type Restore = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
) => Effect.Effect<A, E, R>;

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
  attemptEnd,
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

  /** Ends the attempt that was begun here. */
  const end = Effect.fnUntraced(function* (
    attempt: Underway,
    outcome: AttemptOutcome,
    restore: Restore,
  ) {
    const decided = yield* attemptEnd.decide(attempt, outcome);
    const isEnded = yield* change(attemptEnd.make(attempt, decided), restore);
    yield* isEnded
      ? attemptEnd.tell(attempt, outcome, decided)
      : attemptEnd.tellStale(attempt);
    return isEnded;
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

  const measureWhole = (order: Order) =>
    measure(
      ProcessorMetrics.wholeSeconds,
      secondsBetween(
        order.created_at.epochMilliseconds,
        clock.currentTimeMillisUnsafe(),
      ),
    );

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
        const attempt = {
          order_id,
          attempt: begun.value.attempt,
          attempts: order.attempts,
        };
        yield* Effect.logInfo("order begun", {
          order_id,
          attempt: attempt.attempt,
        });
        measureWait(order);
        const startedAt = clock.currentTimeMillisUnsafe();
        const exit = yield* Effect.exit(restore(fulfil(order, attempt)));
        const endedAt = clock.currentTimeMillisUnsafe();
        measure(
          ProcessorMetrics.workSeconds,
          secondsBetween(startedAt, endedAt),
        );
        const outcome = outcomeOf(exit, options.isDraining());
        if (outcome._tag === "NotMade" && outcome.pause !== undefined) {
          yield* options.closeGate(outcome.pause);
        }
        const isEnded = yield* end(attempt, outcome, restore);
        if (isEnded && outcome._tag === "Done") measureWhole(order);
      }),
    );

  return { make: makeOne };
});

/** How the work ended, as far as the order is concerned. */
const outcomeOf = (
  exit: Exit.Exit<void, FulfilmentFailed | FulfilmentUnavailable>,
  isDraining: boolean,
): AttemptOutcome => {
  if (Exit.isSuccess(exit)) return { _tag: "Done" };
  const failure = Option.getOrUndefined(Cause.findErrorOption(exit.cause));
  if (failure?._tag === "FulfilmentUnavailable") {
    const { message, pause, retryAfter } = failure;
    return { _tag: "NotMade", error: message, pause, retryAfter };
  }
  if (isDraining && Cause.hasInterrupts(exit.cause)) return { _tag: "NotMade" };
  if (failure?._tag === "FulfilmentFailed") {
    const { final, message, retryAfter } = failure;
    return { _tag: "Failed", error: message, final, retryAfter };
  }
  const defect = Cause.squash(exit.cause);
  const words = defect instanceof Error ? defect.message : String(defect);
  return { _tag: "Failed", error: `the work crashed: ${words}` };
};

const secondsBetween = (fromMillis: number, toMillis: number): number =>
  Math.max(0, toMillis - fromMillis) / 1000;
