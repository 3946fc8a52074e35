/**
 * The order-processor actor: works the orders of one partition, for as long as
 * its partition is owned here. It holds its parts together:
 *
 *     Intake         what is to be done: the mailbox, and the table behind it
 *     OrderAttempt   one order: begin, fulfil, and how that ended
 *     TakingBack     the attempts that were lost
 *     Ownership      whether all this is still its business
 *
 * One promise: every order that this actor began ends its attempt here, or is
 * found again, by this actor or by the partition's next.
 */
import {
  Clock,
  Duration,
  Effect,
  FiberSet,
  type Scope,
  type Semaphore,
} from "effect";
import type { RetryPolicy } from "../domain/OrderLifecycle.ts";
import type { Partition } from "../domain/Partition.ts";
import type {
  DueOrder,
  Epoch,
  OrderRepository,
} from "../persistence/OrderRepository.ts";
import * as AttemptEnd from "./AttemptEnd.ts";
import type { ByteBudget } from "./ByteBudget.ts";
import type { Fulfilment } from "./Fulfilment.ts";
import type { Gate } from "./Gate.ts";
import * as Intake from "./Intake.ts";
import * as OrderAttempt from "./OrderAttempt.ts";
import * as Ownership from "./Ownership.ts";
import * as TakingBack from "./TakingBack.ts";

/** What the actors of a process share. */
export interface OrderActorOptions {
  readonly repository: OrderRepository["Service"];
  readonly fulfilment: Fulfilment["Service"];
  /** One permit an order in work: bounds all actors of the process together. */
  readonly permits: Semaphore.Semaphore;
  /** Bytes of orders in work: bounds all actors of the process together. */
  readonly bytes: ByteBudget;
  /** Closed while the work is known to be impossible. */
  readonly gate: Gate;
  /** The longest one attempt may take. */
  readonly attemptTimeout: Duration.Duration;
  readonly retryPolicy: RetryPolicy;
  /** How long orders in work may go on, asked once the actor is to stop. */
  readonly drainTimeout: () => Duration.Duration;
}

export interface OrderActor {
  readonly partition: Partition;
  /** Tells the actor of a PENDING order. Never waits, never fails. */
  readonly handOver: (due: DueOrder) => void;
  /** Orders in the mailbox. */
  readonly depth: () => number;
  /** Orders in work. */
  readonly inWork: () => number;
  /** Whether there is something to do and nothing has happened for too long. */
  readonly isStalled: () => boolean;
  /** Works until it crashes. */
  readonly run: Effect.Effect<never>;
}

/**
 * A permit is kept for so many orders before others may have it: to wait for one
 * and to make a fiber is an eighth of what an order takes that is no work. It is
 * kept no longer than so, as with slow work others would wait for all of them.
 */
const ordersPerPermit = 8;
const permitMillis = 250;

/** So much longer than an attempt may take, nothing may happen. */
const stallGrace = Duration.seconds(30);

export const make = Effect.fnUntraced(function* (
  partition: Partition,
  options: OrderActorOptions,
): Effect.fn.Return<OrderActor, never, Scope.Scope> {
  const { bytes, gate, permits, repository } = options;
  const clock = yield* Clock.Clock;
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6;
  const inWork = yield* FiberSet.make<void>();
  const intake = yield* Intake.make(partition, repository);
  const ownership = yield* Ownership.make(partition, repository);
  const attemptEnd = yield* AttemptEnd.make(options);
  const takingBack = yield* TakingBack.make(partition, {
    repository,
    attemptEnd,
    intake,
  });
  let draining = false;
  /** When an order last began or ended, or there was nothing to do. */
  let movedAt = now();
  const moved = () => {
    movedAt = now();
  };
  /** What was asked may be done, or not, or yet be done. */
  const onLostAnswer = () => {
    intake.fallBehind();
    takingBack.doubt();
  };
  const attempt = yield* OrderAttempt.make({
    ...options,
    attemptEnd,
    closeGate: gate.closeFor,
    isDraining: () => draining,
    onLostAnswer,
    onHeld: moved,
    onBegun: moved,
  });

  /** Waits until an order fits into memory: most fit at once. */
  const untilItFits = (due: DueOrder) =>
    bytes.takeNow(due.item_bytes)
      ? Effect.void
      : Effect.onInterrupt(bytes.take(due.item_bytes), () =>
          Effect.sync(() => intake.letGo(due.order_id)),
        );

  /** One order that fits, whatever comes of it. */
  const workOnOne = (due: DueOrder, epoch: Epoch) =>
    Effect.ensuring(
      Effect.catchDefect(attempt.make(due, epoch), (defect) => {
        // Ours, not the order's: its attempt is found and ended later.
        onLostAnswer();
        return Effect.logError("an attempt was dropped", defect);
      }),
      Effect.sync(() => {
        moved();
        bytes.release(due.item_bytes);
        intake.letGo(due.order_id);
      }),
    );

  /** The next order in the mailbox, if one may be begun at once. */
  const takeNext = (): DueOrder | undefined =>
    draining || !gate.isOpen() ? undefined : intake.takeUnsafe();

  /** Works with one permit: on an order, and on a few more if they are quick. */
  const workOnSome = Effect.fnUntraced(function* (
    first: DueOrder,
    epoch: Epoch,
  ) {
    const until = now() + permitMillis;
    let due: DueOrder | undefined = first;
    for (let turn = 1; due !== undefined; turn += 1) {
      yield* workOnOne(due, epoch);
      const mayGoOn = turn < ordersPerPermit && now() < until;
      due = mayGoOn ? takeNext() : undefined;
      if (due !== undefined) yield* untilItFits(due);
    }
  });

  const consume = Effect.fnUntraced(function* (epoch: Epoch) {
    while (true) {
      // Taken with a permit in hand only: whoever has one takes the oldest.
      yield* intake.untilOne;
      yield* Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          yield* restore(Effect.andThen(gate.awaitOpen, permits.take(1)));
          const due = takeNext();
          if (due === undefined) {
            yield* permits.release(1);
            return;
          }
          yield* Effect.onInterrupt(restore(untilItFits(due)), () =>
            permits.release(1),
          );
          yield* FiberSet.run(
            inWork,
            Effect.ensuring(workOnSome(due, epoch), permits.release(1)),
          );
        }),
      );
    }
  });

  const read = Effect.fnUntraced(function* (epoch: Epoch) {
    while (true) {
      yield* ownership.check(epoch).pipe(
        Effect.andThen(intake.readOn),
        Effect.flatMap((lost) => takingBack.takeBack(lost, epoch)),
        Effect.catchTag("RepositoryUnavailable", (error) => {
          onLostAnswer();
          return Effect.logDebug("waiting for the database", error.reason);
        }),
      );
      if (intake.isIdle() || !gate.isOpen()) moved();
      yield* intake.untilNextRead;
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

  const run = OrderAttempt.persist(
    ownership.claim,
    onLostAnswer,
    (wait) => wait,
  ).pipe(
    Effect.flatMap((claim) => {
      intake.startAt(claim.place);
      return Effect.raceAllFirst([
        consume(claim.epoch),
        read(claim.epoch),
        takingBack.run(claim),
      ]);
    }),
    Effect.onExit(() => drain),
  );

  return {
    partition,
    handOver: intake.handOver,
    depth: intake.depth,
    inWork: intake.inWork,
    isStalled: () =>
      now() - movedAt >
      Duration.toMillis(Duration.sum(options.attemptTimeout, stallGrace)),
    run,
  };
});
