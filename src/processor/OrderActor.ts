/**
 * The order-processor actor: works the orders of one partition, for as long as
 * its partition is owned here.
 *
 *     hand-over --> mailbox --> begin --> fulfil --> complete | fail
 *     (at insert)      ^
 *                      | when there is room
 *                    table
 *
 * The mailbox is a nudge, the table the truth. A hand-over that finds the
 * mailbox full is forgotten, and the actor knows that it is behind: it reads
 * on from the table when it has room. So a backlog of any length takes no
 * memory. Orders that come due some other way are found within a second.
 *
 * One promise: every order that this actor began ends its attempt here, or is
 * found again, by this actor or by the partition's next.
 */
import {
  Cause,
  Clock,
  Duration,
  Effect,
  Exit,
  FiberSet,
  type Metric,
  Option,
  Queue,
  Random,
  References,
  type Scope,
  type Semaphore,
} from "effect";
import type { Order, OrderId } from "../domain/Order.ts";
import { afterFailure, type RetryPolicy } from "../domain/OrderLifecycle.ts";
import type { Partition } from "../domain/Partition.ts";
import type {
  Attempt,
  Epoch,
  OrderRepository,
  RepositoryUnavailable,
  Underway,
} from "../persistence/OrderRepository.ts";
import {
  type Fulfilment,
  FulfilmentFailed,
  type FulfilmentUnavailable,
} from "./Fulfilment.ts";
import * as ProcessorMetrics from "./ProcessorMetrics.ts";

/** What the actors of a process share. */
export interface OrderActorOptions {
  readonly repository: OrderRepository["Service"];
  readonly fulfilment: Fulfilment["Service"];
  /** One permit an order in work: bounds all actors of the process together. */
  readonly permits: Semaphore.Semaphore;
  /** Closed while the work is known to be impossible. */
  readonly gate: Gate;
  /** The longest one attempt may take. */
  readonly attemptTimeout: Duration.Duration;
  readonly retryPolicy: RetryPolicy;
  /** How long orders in work may go on, asked once the actor is to stop. */
  readonly drainTimeout: () => Duration.Duration;
}

/** Lets no order begin until a time. */
export interface Gate {
  readonly closeFor: (wait: Duration.Duration) => Effect.Effect<void>;
  readonly isOpen: () => boolean;
  readonly awaitOpen: Effect.Effect<void>;
}

export interface OrderActor {
  readonly partition: Partition;
  /** Tells the actor of a PENDING order. Never waits, never fails. */
  readonly handOver: (order_id: OrderId) => void;
  /** Orders in the mailbox. */
  readonly depth: () => number;
  /** Orders in work. */
  readonly inWork: () => number;
  /** Whether there is something to do and nothing has happened for too long. */
  readonly isStalled: () => boolean;
  /** Works until it crashes. */
  readonly run: Effect.Effect<never>;
}

/** Orders the mailbox holds; a full one costs a read of the table, no more. */
export const mailboxCapacity = 256;

/**
 * A permit is kept for so many orders before others may have it: to wait for one
 * and to make a fiber is an eighth of what an order takes that is no work. It is
 * kept no longer than so, as with slow work others would wait for all of them.
 */
const ordersPerPermit = 8;
const permitMillis = 250;

/** How soon an order is found that nobody handed over. */
export const pollInterval = Duration.seconds(1);

/**
 * After a start, or a fault of the database, attempts may exist that nobody
 * here knows of, until the last statement under way then has timed out there.
 * Looks for them at these polls from then on: seldom, since looking reads all
 * open orders of the partition.
 */
const pollsInDoubt: ReadonlyArray<number> = [0, 1, 3, 7, 15, 31];

/** How often an actor looks whether it still owns its partition. */
const ownershipInterval = Duration.seconds(5);

/** An outage of the database is waited out: first so long, then longer. */
const outageWaitMin = Duration.millis(100);
const outageWaitMax = Duration.millis(500);

/** So much longer than an attempt may take, nothing may happen. */
const stallGrace = Duration.seconds(30);

const lostAttempt = "the attempt was lost: the process working on it stopped";

/** Lets a part of something uninterruptible be interrupted. */
type Restore = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
) => Effect.Effect<A, E, R>;

interface FailedWork {
  readonly error: string;
  readonly final?: boolean | undefined;
  readonly retryAfter?: Duration.Duration | undefined;
}

export const make = Effect.fnUntraced(function* (
  partition: Partition,
  options: OrderActorOptions,
): Effect.fn.Return<OrderActor, never, Scope.Scope> {
  const { permits, repository } = options;
  const mailbox = yield* Queue.dropping<OrderId>(mailboxCapacity);
  const wake = yield* Queue.sliding<void>(1);
  const inWork = yield* FiberSet.make<void>();
  /** Orders in the mailbox or in work: not to be taken up twice. */
  const inHand = new Set<OrderId>();
  /** There may be due orders in the table that are not in hand. */
  let behind = true;
  /** Polls since attempts may exist that nobody here knows of. */
  let pollsSinceFault = 0;
  const fault = () => {
    behind = true;
    pollsSinceFault = 0;
  };
  let draining = false;
  /** What the partition was claimed at. */
  let epoch: Epoch = 0;
  /** When it was last looked whether that is the newest, and what was seen. */
  let checkedAt = 0;
  let wasOwner = true;
  const clock = yield* Clock.Clock;
  const context = yield* Effect.context<never>();
  const isTraced = yield* References.TracerEnabled;
  /** Without an effect around it, which costs ten times what counting does. */
  const measure = <Input>(
    metric: Metric.Metric<Input, unknown>,
    value: Input,
  ) => metric.updateUnsafe(value, context);
  /** When an order last began or ended, or there was nothing to do. */
  let movedAt = clock.currentTimeMillisUnsafe();
  const moved = () => {
    movedAt = clock.currentTimeMillisUnsafe();
  };

  const handOver = (order_id: OrderId) => {
    if (inHand.has(order_id)) return;
    if (Queue.offerUnsafe(mailbox, order_id)) inHand.add(order_id);
    else behind = true;
  };

  /**
   * Asks until the database has answered. A change under way is not cut off,
   * so that its answer is never lost; the waits between are (`restore`).
   */
  const persist = <A>(
    change: Effect.Effect<A, RepositoryUnavailable>,
    restore: Restore,
    wait = outageWaitMin,
  ): Effect.Effect<A> =>
    Effect.catch(change, ({ isHeld }) => {
      // Another session holds the one order: that says nothing of the others.
      if (isHeld === true) moved();
      else fault();
      return Effect.andThen(
        restore(Effect.sleep(wait)),
        persist(
          change,
          restore,
          Duration.min(Duration.times(wait, 2), outageWaitMax),
        ),
      );
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
    const error = failed.error.slice(0, 2000);
    const wait = next.status === "PENDING" ? next.wait : undefined;
    const failure = { ...attempt, error, wait };
    if (!(yield* persist(repository.fail(failure), restore))) {
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

  const endCompleted = Effect.fnUntraced(function* (
    attempt: Attempt,
    order: Order,
    restore: Restore,
  ) {
    if (!(yield* persist(repository.complete(attempt), restore))) {
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

  /** The attempt was not really made: it is not counted. */
  const giveBack = Effect.fnUntraced(function* (
    attempt: Attempt,
    wait: Duration.Duration,
    restore: Restore,
  ) {
    if (!(yield* persist(repository.release({ ...attempt, wait }), restore))) {
      return yield* stale(attempt);
    }
    yield* Effect.logInfo("order given back", attempt);
  });

  const stale = (attempt: Attempt) => {
    measure(ProcessorMetrics.attemptsEnded.stale, 1);
    return Effect.logWarning(
      "the attempt ended too late: its order is no longer this actor's",
      attempt,
    );
  };

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

  /** One order, from begin to the end of its attempt: all on this screen. */
  const work = (order_id: OrderId) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const begun = yield* persist(
          // Not asked again while draining: if it was done, it is taken back.
          Effect.suspend(() =>
            draining ? Effect.succeedNone : repository.begin(order_id, epoch),
          ),
          restore,
        );
        moved();
        // Cancelled, begun by a hand-over that came twice, or no longer ours.
        if (Option.isNone(begun)) return;
        const { order } = begun.value;
        const attempt = { order_id, attempt: begun.value.attempt };
        yield* Effect.logInfo("order begun", attempt);
        if (order.processing_started_at !== null && order.attempts === 1) {
          measure(
            ProcessorMetrics.waitSeconds,
            secondsBetween(
              order.created_at.epochMilliseconds,
              order.processing_started_at.epochMilliseconds,
            ),
          );
        }
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
          yield* options.gate.closeFor(unavailable.retryAfter);
          return yield* giveBack(attempt, unavailable.retryAfter, restore);
        }
        if (draining && Cause.hasInterrupts(exit.cause)) {
          return yield* giveBack(attempt, Duration.zero, restore);
        }
        return yield* endFailed(
          attempt,
          order.attempts,
          reason(exit.cause),
          restore,
        );
      }),
    );

  const reason = (
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

  /** One order, whatever comes of it. */
  const workOnOne = (order_id: OrderId) =>
    Effect.ensuring(
      Effect.catchDefect(work(order_id), (defect) => {
        // Ours, not the order's: its attempt is found and ended later.
        fault();
        return Effect.logError("an attempt was dropped", defect);
      }),
      Effect.sync(() => {
        moved();
        inHand.delete(order_id);
        if (behind && Queue.sizeUnsafe(mailbox) < mailboxCapacity / 2) {
          Queue.offerUnsafe(wake, undefined);
        }
      }),
    );

  /** The next order in the mailbox, if one may be begun at once. */
  const takeNext = (): OrderId | undefined => {
    if (draining || !options.gate.isOpen()) return undefined;
    const next = Queue.takeUnsafe(mailbox);
    return next !== undefined && Exit.isSuccess(next) ? next.value : undefined;
  };

  /** Works with one permit: on an order, and on a few more if they are quick. */
  const workOnSome = Effect.fnUntraced(function* (first: OrderId) {
    const until = clock.currentTimeMillisUnsafe() + permitMillis;
    let order_id: OrderId | undefined = first;
    for (let turn = 1; order_id !== undefined; turn += 1) {
      yield* workOnOne(order_id);
      const mayGoOn =
        turn < ordersPerPermit && clock.currentTimeMillisUnsafe() < until;
      order_id = mayGoOn ? takeNext() : undefined;
    }
  });

  const consume = Effect.gen(function* () {
    while (true) {
      // Taken with a permit in hand only: whoever has one takes the oldest.
      yield* Queue.peek(mailbox);
      yield* Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          yield* restore(
            Effect.andThen(options.gate.awaitOpen, permits.take(1)),
          );
          const order_id = takeNext();
          yield* order_id === undefined
            ? permits.release(1)
            : FiberSet.run(
                inWork,
                Effect.ensuring(workOnSome(order_id), permits.release(1)),
              );
        }),
      );
    }
  });

  const takeBackOne = Effect.fnUntraced(function* (lost: Underway) {
    const attempt = { order_id: lost.order_id, attempt: lost.attempt };
    const isLast = lost.attempts >= options.retryPolicy.maxAttempts;
    const isEnded = yield* repository.fail({
      ...attempt,
      epoch,
      error: lostAttempt,
      wait: isLast ? undefined : Duration.zero,
    });
    if (!isEnded) return;
    yield* isLast
      ? Effect.logError("order failed", { ...attempt, error: lostAttempt })
      : Effect.logWarning("order taken back", attempt);
  });

  /**
   * Ends the attempts that began here and that nobody is working on: those of
   * a predecessor, and those whose `begin` was done but never answered.
   */
  const takeBack = Effect.gen(function* () {
    const attempts = yield* repository.underway(partition);
    const lostOnes = attempts.filter(({ order_id }) => !inHand.has(order_id));
    if (lostOnes.length === 0) return;
    yield* Effect.logWarning("taking back orders left in PROCESSING", {
      orders: lostOnes.length,
    });
    yield* Effect.forEach(lostOnes, takeBackOne, {
      concurrency: mailboxCapacity,
      discard: true,
    });
  });

  const readOn = Effect.gen(function* () {
    const room = mailboxCapacity - Queue.sizeUnsafe(mailbox);
    if (room === 0) {
      behind = true;
      return;
    }
    // From here on, a hand-over that is missed is missed by this read too.
    behind = false;
    const limit = inHand.size + room;
    const due = yield* repository.due(partition, limit);
    for (const order_id of due) handOver(order_id);
    if (due.length === limit) behind = true;
  });

  /**
   * Whoever took the partition over while this was believed to own it may be
   * gone again. So this does not wait for ever: it starts anew, and claims.
   * Long before that, an owner that has lost its lease has been interrupted.
   */
  const checkOwnership = Effect.gen(function* () {
    const now = clock.currentTimeMillisUnsafe();
    if (now - checkedAt < Duration.toMillis(ownershipInterval)) return;
    checkedAt = now;
    const isOwner = (yield* repository.epoch(partition)) === epoch;
    if (!isOwner && !wasOwner) {
      return yield* Effect.die(
        new Error(`partition ${partition} was taken over by somebody else`),
      );
    }
    wasOwner = isOwner;
  });

  const read = Effect.gen(function* () {
    while (true) {
      yield* Effect.gen(function* () {
        yield* checkOwnership;
        if (pollsInDoubt.includes(pollsSinceFault)) yield* takeBack;
        pollsSinceFault += 1;
        yield* readOn;
      }).pipe(
        Effect.catchTag("RepositoryUnavailable", (error) => {
          fault();
          return Effect.logDebug("waiting for the database", error.reason);
        }),
      );
      if ((inHand.size === 0 && !behind) || !options.gate.isOpen()) moved();
      yield* Queue.take(wake).pipe(Effect.timeoutOption(pollInterval));
    }
  });

  /** Begins nothing new; waits for what is in work, and gives back the rest. */
  const drain = Effect.gen(function* () {
    draining = true;
    const open = yield* FiberSet.size(inWork);
    if (open === 0) return;
    yield* FiberSet.awaitEmpty(inWork).pipe(
      Effect.timeoutOption(options.drainTimeout()),
    );
    yield* FiberSet.clear(inWork);
  });

  /** From here on, a former owner begins nothing and takes nothing back. */
  const claim = Effect.flatMap(
    persist(repository.claim(partition), (wait) => wait),
    (claimed) =>
      Effect.sync(() => {
        epoch = claimed;
      }),
  );

  const run: Effect.Effect<never> = claim.pipe(
    Effect.andThen(Effect.raceFirst(consume, read)),
    Effect.onExit(() => drain),
  );

  return {
    partition,
    handOver,
    depth: () => Queue.sizeUnsafe(mailbox),
    inWork: () => inHand.size - Queue.sizeUnsafe(mailbox),
    isStalled: () =>
      clock.currentTimeMillisUnsafe() - movedAt >
      Duration.toMillis(Duration.sum(options.attemptTimeout, stallGrace)),
    run,
  };
});

const isUnavailable = (
  cause: Cause.Cause<FulfilmentFailed | FulfilmentUnavailable>,
): FulfilmentUnavailable | undefined => {
  const failure = Option.getOrUndefined(Cause.findErrorOption(cause));
  return failure?._tag === "FulfilmentUnavailable" ? failure : undefined;
};

const secondsBetween = (fromMillis: number, toMillis: number): number =>
  Math.max(0, toMillis - fromMillis) / 1000;
