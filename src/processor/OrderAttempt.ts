/**
 * One attempt at an order that has begun (`TakingUp`), to its end:
 *
 *     fulfil --> end
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
  Option,
  References,
} from "effect";
import type { Order } from "../domain/Order.ts";
import type {
  AttemptOutcome,
  AttemptEnd as End,
} from "../domain/OrderLifecycle.ts";
import type {
  Begun,
  RepositoryUnavailable,
  Underway,
} from "../persistence/OrderRepository.ts";
import type { AttemptEnd } from "./AttemptEnd.ts";
import {
  type Fulfilment,
  FulfilmentFailed,
  type FulfilmentUnavailable,
} from "./Fulfilment.ts";
import { persist, type Restore } from "./Persist.ts";
import * as ProcessorMetrics from "./ProcessorMetrics.ts";
import * as SteadyClock from "./SteadyClock.ts";

export interface OrderAttemptOptions {
  readonly attemptEnd: AttemptEnd;
  readonly fulfilment: Fulfilment["Service"];
  /** The longest one attempt may take. */
  readonly attemptTimeout: Duration.Duration;
  /** The work is known to be impossible for so long. */
  readonly closeGate: (wait: Duration.Duration) => Effect.Effect<void>;
  /** Whether the actor is to stop. */
  readonly isDraining: () => boolean;
  /** Tells that a change may be done, or not, or yet be done. */
  readonly onUnavailable: (error: RepositoryUnavailable) => void;
}

/** What an attempt has to do; an `Exit`, if it is done already. */
export type Work = Effect.Effect<
  void,
  FulfilmentFailed | FulfilmentUnavailable
>;

export interface OrderAttempt {
  readonly workOf: (begun: Begun) => Work;
  /** Does the work, which may be interrupted (`restore`), and ends the attempt. */
  readonly make: (
    begun: Begun,
    work: Work,
    restore: Restore,
  ) => Effect.Effect<void>;
  /** Ends an attempt whose work is over. */
  readonly end: (
    begun: Begun,
    outcome: AttemptOutcome,
    restore: Restore,
    workSeconds?: number,
  ) => Effect.Effect<void>;
  /** Tells of an attempt that was ended, or could not be: it came too late. */
  readonly tell: (
    begun: Begun,
    outcome: AttemptOutcome,
    end: End,
    isEnded: boolean,
  ) => Effect.Effect<void>;
}

export const underwayOf = ({ attempt, order }: Begun): Underway => ({
  order_id: order.order_id,
  attempt,
  attempts: order.attempts,
});

export const make = Effect.fnUntraced(function* ({
  attemptEnd,
  ...options
}: OrderAttemptOptions): Effect.fn.Return<OrderAttempt> {
  const clock = yield* Clock.Clock;
  const now = () => clock.currentTimeMillisUnsafe();
  const steady = SteadyClock.of(clock);
  const steadyNow = () => steady.currentTimeMillisUnsafe();
  const isTraced = yield* References.TracerEnabled;
  const measure = yield* ProcessorMetrics.measuring;

  const tell: OrderAttempt["tell"] = (begun, outcome, end, isEnded) => {
    const attempt = underwayOf(begun);
    if (!isEnded) return attemptEnd.tellStale(attempt);
    if (outcome._tag === "Done") {
      const placedAt = begun.order.created_at.epochMilliseconds;
      measure(ProcessorMetrics.wholeSeconds, placedAt, now());
    }
    return attemptEnd.tell(attempt, outcome, end);
  };

  const end: OrderAttempt["end"] = Effect.fnUntraced(
    function* (begun, outcome, restore, workSeconds) {
      const attempt = underwayOf(begun);
      const end = yield* attemptEnd.decide(attempt, outcome);
      const isEnded = yield* persist(
        attemptEnd.make({ ...attempt, workSeconds }, end),
        options.onUnavailable,
        restore,
      );
      yield* tell(begun, outcome, end, isEnded);
    },
  );

  const inTime = (work: Work): Work =>
    Effect.timeoutOrElse(work, {
      duration: options.attemptTimeout,
      orElse: () =>
        new FulfilmentFailed({
          message: `the work took longer than ${Duration.format(options.attemptTimeout)}`,
        }),
    });

  /** A span costs as much as the rest of an attempt. */
  const inSpan = (work: Work, attempt: Underway): Work =>
    isTraced
      ? Effect.withSpan(work, "Fulfilment.fulfil", {
          attributes: { ...attempt },
        })
      : work;

  const fulfil = (order: Order): Work => {
    try {
      return options.fulfilment.fulfil(order);
    } catch (defect) {
      return Effect.die(defect);
    }
  };

  return {
    workOf: (begun) => {
      const work = fulfil(begun.order);
      const isOver = Exit.isExit(work);
      return inSpan(isOver ? work : inTime(work), underwayOf(begun));
    },
    make: Effect.fnUntraced(function* (begun, work, restore) {
      const startedAt = steadyNow();
      const exit = yield* Effect.exit(restore(work));
      const endedAt = steadyNow();
      measure(ProcessorMetrics.workSeconds, startedAt, endedAt);
      const outcome = outcomeOf(exit, options.isDraining());
      if (outcome._tag === "NotMade" && outcome.pause !== undefined) {
        yield* options.closeGate(outcome.pause);
      }
      yield* end(begun, outcome, restore, (endedAt - startedAt) / 1000);
    }),
    end,
    tell,
  };
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
