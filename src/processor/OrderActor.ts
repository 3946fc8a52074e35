/**
 * The order-processor actor: works the orders of one partition, for as long as
 * its partition is owned here. It holds its parts together:
 *
 *     Intake         what is to be done: the mailbox, and the table behind it
 *     InWork         what is being done, and what it holds of what is shared
 *     TakingUp       some orders together: begun, and completed if done at once
 *     OrderAttempt   one order: fulfil, and how that ended
 *     TakingBack     the attempts that were lost
 *     Ownership      whether all this is still its business
 *
 * One promise: every order that this actor began ends its attempt here, or is
 * found again, by this actor or by the partition's next.
 */
import { Clock, Duration, Effect, type Scope, type Semaphore } from "effect";
import type { RetryPolicy } from "../domain/OrderLifecycle.ts";
import type { Partition } from "../domain/Partition.ts";
import type {
  DueOrder,
  Epoch,
  OrderRepository,
  RepositoryUnavailable,
} from "../persistence/OrderRepository.ts";
import * as AttemptEnd from "./AttemptEnd.ts";
import type { ByteBudget } from "./ByteBudget.ts";
import type { Fulfilment } from "./Fulfilment.ts";
import type { Gate } from "./Gate.ts";
import * as Intake from "./Intake.ts";
import * as InWork from "./InWork.ts";
import * as OrderAttempt from "./OrderAttempt.ts";
import * as Ownership from "./Ownership.ts";
import { persist } from "./Persist.ts";
import * as TakingBack from "./TakingBack.ts";
import * as TakingUp from "./TakingUp.ts";

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

/** So much longer than an attempt may take, nothing may happen. */
const stallGrace = Duration.seconds(30);

export const make = Effect.fnUntraced(function* (
  partition: Partition,
  options: OrderActorOptions,
): Effect.fn.Return<OrderActor, never, Scope.Scope> {
  const { gate, repository } = options;
  const clock = yield* Clock.Clock;
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6;
  /** When an order last began or ended, or there was nothing to do. */
  let movedAt = now();
  const moved = () => {
    movedAt = now();
  };
  const intake = yield* Intake.make(partition, repository);
  const ownership = yield* Ownership.make(partition, repository);
  const attemptEnd = yield* AttemptEnd.make(options);
  const takingBack = yield* TakingBack.make(partition, {
    repository,
    attemptEnd,
    intake,
  });
  /** What was asked may be done, or not, or yet be done. */
  const onLostAnswer = () => {
    intake.fallBehind();
    takingBack.doubt();
  };
  const inWork = yield* InWork.make({
    ...options,
    intake,
    onOver: moved,
    onDropped: onLostAnswer,
  });
  const shared = {
    attemptEnd,
    isDraining: inWork.isDraining,
    // Another session holds the one order: that says nothing of the others.
    onUnavailable: ({ isHeld }: RepositoryUnavailable) =>
      isHeld === true ? moved() : onLostAnswer(),
  };
  const takeUp = yield* TakingUp.make({
    ...shared,
    repository,
    attempt: yield* OrderAttempt.make({
      ...shared,
      fulfilment: options.fulfilment,
      attemptTimeout: options.attemptTimeout,
      closeGate: gate.closeFor,
    }),
    isPaused: gate.isPaused,
    onPutOff: onLostAnswer,
    onBegun: moved,
  });

  const consume = Effect.fnUntraced(function* (epoch: Epoch) {
    while (true) {
      yield* intake.untilOne;
      yield* Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(inWork.take(restore), (dues) =>
          inWork.start(dues, (apart) => takeUp(dues, epoch, apart)),
        ),
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

  const run = persist(ownership.claim, onLostAnswer, (wait) => wait).pipe(
    Effect.flatMap((claim) => {
      intake.startAt(claim.place);
      return Effect.raceAllFirst([
        consume(claim.epoch),
        read(claim.epoch),
        takingBack.run(claim),
      ]);
    }),
    Effect.onExit(() => inWork.drain(options.drainTimeout)),
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
