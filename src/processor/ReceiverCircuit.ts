/**
 * Leaves a receiver alone that is away: after ten failures in a row nothing is
 * called for a while, then one call, the probe, tells whether it is back.
 *
 *     closed --ten failures in a row--> open --a pause--> half open
 *        ^                               ^                  |    |
 *        |                               `---probe failed---'    |
 *        `------------------probe answered-----------------------'
 *
 * A failure counts only if the receiver answered no other call while this one
 * was under way. Else it is about the order: those that are never answered time
 * out together, ten in a row, whatever becomes of the others.
 *
 * Who is the probe is no matter of chance: an order whose last call failed lets
 * others go first. Else orders that are ill would keep the circuit open.
 */
import {
  Cause,
  Clock,
  Data,
  Duration,
  Effect,
  Exit,
  Layer,
  Option,
  Schedule,
  Stream,
} from "effect";
import { CircuitBreaker } from "effect/persistence";
import type { CircuitState } from "../domain/Processing.ts";
import { FulfilmentFailed, FulfilmentUnavailable } from "./Fulfilment.ts";
import { ReceiverState } from "./ReceiverState.ts";
import * as SteadyClock from "./SteadyClock.ts";

/** The work is not done, and may be the next time. */
export class NotDone extends Data.TaggedError("NotDone")<{
  readonly message: string;
  /** Whether there was an answer that may be about the order. */
  readonly isAnswered: boolean;
  readonly retryAfter?: Duration.Duration | undefined;
}> {}

export interface ReceiverCircuit {
  /** Calls the receiver for an order, unless it is left alone. */
  readonly call: (
    order_id: string,
    work: Effect.Effect<void, NotDone | FulfilmentFailed>,
  ) => Effect.Effect<void, FulfilmentFailed | FulfilmentUnavailable>;
}

/** A call that failed, and what it says of the receiver. */
class CallFailed extends Data.TaggedError("CallFailed")<{
  readonly failure: FulfilmentFailed | FulfilmentUnavailable;
  readonly outcome: CircuitBreaker.Outcome;
}> {}

const failuresInARow = 10;

/**
 * How long it is left alone: a second at first, then longer. Not much longer
 * where it answers: the orders may be ill, and others wait behind them.
 */
const firstPause = Duration.seconds(1);
const answeringPauseMax = Duration.seconds(2);
const silentPauseMax = Duration.seconds(15);

/** Or as long as the receiver asks for, up to this. */
const askedPauseMax = Duration.hours(1);

/** While a probe is under way, it is not known how long it takes. */
const probePause = Duration.seconds(1);

/** So long an order whose last call failed lets others go first. */
const courtesy = Duration.millis(200);

/** Of so many it is remembered. */
const doubtfulMax = 10_000;

/** So long at least, so that nobody comes too soon by a hair. */
const pauseMin = Duration.millis(200);

/** There is one receiver, and one circuit. */
const key = "receiver";

/** The orders whose last call failed: the latest of them. */
const makeDoubtful = () => {
  const doubtful = new Set<string>();
  return {
    has: (order_id: string) => doubtful.has(order_id),
    delete: (order_id: string) => doubtful.delete(order_id),
    add: (order_id: string) => {
      doubtful.add(order_id);
      if (doubtful.size <= doubtfulMax) return;
      const [oldest] = doubtful;
      if (oldest !== undefined) doubtful.delete(oldest);
    },
  };
};

const circuitStates = {
  Closed: "CLOSED",
  HalfOpen: "HALF_OPEN",
  Open: "OPEN",
} as const satisfies Record<string, CircuitState>;

/** Why no order is begun, and for how long. */
const unavailable = ({ reason }: CircuitBreaker.CircuitBreakerError) =>
  new FulfilmentUnavailable({
    message: "the receiver is away and is left alone for a while",
    pause:
      reason._tag === "CircuitOpen"
        ? Duration.max(reason.retryAfter, pauseMin)
        : probePause,
  });

export const make = Effect.gen(function* () {
  const breaker = yield* CircuitBreaker.make({
    tripPolicy: CircuitBreaker.consecutive(failuresInARow),
    openDuration: Schedule.min([
      Schedule.exponential(firstPause),
      Schedule.spaced(answeringPauseMax),
    ]),
    maxOpenDuration: askedPauseMax,
  });
  const shown = yield* ReceiverState;
  shown.turned("CLOSED", yield* Clock.currentTimeMillis);
  yield* Effect.forkScoped(
    Stream.runForEach(breaker.transitions, (transition) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        shown.turned(circuitStates[transition.to], now);
        return logTransition(transition);
      }),
    ),
  );

  /** Calls whose order was taken or refused: the receiver was there. */
  let settled = 0;

  const doubtful = makeDoubtful();
  /** Waits a little, if a probe is about to be made and others may make it. */
  const letOthersGoFirst = Effect.flatMap(breaker.state(key), (state) =>
    state._tag === "HalfOpen" ||
    (state._tag === "Open" && Duration.isZero(state.retryAfter))
      ? Effect.sleep(courtesy)
      : Effect.void,
  );

  const attempt = Effect.fnUntraced(function* (
    order_id: string,
    work: Effect.Effect<void, NotDone | FulfilmentFailed>,
  ) {
    const state = yield* breaker.state(key);
    const settledBefore = settled;
    const failed = yield* Effect.catch(Effect.as(work, undefined), (error) =>
      Effect.succeed(error),
    );
    if (failed?._tag === "NotDone") {
      doubtful.add(order_id);
      shown.failed(failed.message, yield* Clock.currentTimeMillis);
      const isAlone = settled === settledBefore;
      return yield* new CallFailed({
        failure: failureOf(failed, state),
        outcome: isAlone ? outcomeOf(failed, state) : CircuitBreaker.ignored,
      });
    }
    settled += 1;
    doubtful.delete(order_id);
    if (failed !== undefined) {
      const outcome = CircuitBreaker.success;
      return yield* new CallFailed({ failure: failed, outcome });
    }
  });

  return {
    call: (order_id, work) =>
      (doubtful.has(order_id) ? letOthersGoFirst : Effect.void).pipe(
        Effect.andThen(
          breaker.execute(attempt(order_id, work), { key, classify }),
        ),
        Effect.catchTags({
          CallFailed: ({ failure }) => Effect.fail(failure),
          CircuitBreakerError: (error) => Effect.fail(unavailable(error)),
        }),
      ),
  } satisfies ReceiverCircuit;
});

/** What it comes to for the order. A probe is made for all: it spends nothing. */
const failureOf = (
  { isAnswered, message, retryAfter }: NotDone,
  state: CircuitBreaker.State,
) => {
  const words = {
    message,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
  return isAnswered && state._tag !== "HalfOpen"
    ? new FulfilmentFailed(words)
    : new FulfilmentUnavailable(words);
};

/** What it comes to for the receiver. */
const outcomeOf = (
  { isAnswered, retryAfter }: NotDone,
  state: CircuitBreaker.State,
) => {
  const openings = state._tag === "HalfOpen" ? state.consecutiveOpenings : 0;
  const pause = isAnswered
    ? Duration.zero
    : Duration.min(Duration.times(firstPause, 2 ** openings), silentPauseMax);
  return CircuitBreaker.failure({
    retryAfter: Duration.max(pause, retryAfter ?? Duration.zero),
  });
};

const classify = (
  exit: Exit.Exit<void, CallFailed | CircuitBreaker.CircuitBreakerError>,
): CircuitBreaker.Outcome => {
  if (Exit.isSuccess(exit)) return CircuitBreaker.success;
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause));
  // A defect says nothing of the receiver.
  return error?._tag === "CallFailed" ? error.outcome : CircuitBreaker.ignored;
};

/** A circuit that stays open is no news. */
const logTransition = ({ from, to }: CircuitBreaker.Transition) => {
  if (to === "Closed") return Effect.logInfo("the receiver is back");
  return from === "Closed" && to === "Open"
    ? Effect.logWarning(
        `the receiver is away: ${failuresInARow} calls in a row failed; orders wait for it`,
      )
    : Effect.void;
};

/** Pauses are lengths of time, whatever the time of day is. */
export const layerSteadyStore = Layer.effect(
  CircuitBreaker.CircuitBreakerStore,
  Effect.gen(function* () {
    const store = yield* CircuitBreaker.CircuitBreakerStore;
    const clock = yield* SteadyClock.current;
    const steadily = Effect.provideService(Clock.Clock, clock);
    return CircuitBreaker.CircuitBreakerStore.of({
      admit: (asked) => steadily(store.admit(asked)),
      record: (outcome) => steadily(store.record(outcome)),
      state: (asked) => steadily(store.state(asked)),
    });
  }),
).pipe(Layer.provide(CircuitBreaker.layerStoreMemory()));
