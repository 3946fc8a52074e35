/**
 * Goes over a partition's log again, behind the intake, and finds what reading
 * forward has missed:
 *
 * - lost attempts: orders in PROCESSING that nobody is working on. A predecessor
 *   died with them, or a `begin` was done and its answer never came;
 * - orders that appeared late, as they are committed in another order than they
 *   are numbered.
 *
 * It also keeps the place up to which all of the log is done, from which the
 * partition's next owner reads on.
 *
 * One promise: a lost attempt is ended within 30 seconds and a look, however
 * busy its actor is.
 *
 * A look reads what was begun since the oldest open order came: seldom, and the
 * seldomer the longer it takes.
 */
import { Clock, Duration, Effect, Queue } from "effect";
import type { OrderId } from "../domain/Order.ts";
import type { Partition } from "../domain/Partition.ts";
import type {
  Claim,
  Epoch,
  LogPlace,
  LogRead,
  OpenOrder,
  OrderRepository,
  RepositoryUnavailable,
  Underway,
} from "../persistence/OrderRepository.ts";
import type { AttemptEnd } from "./AttemptEnd.ts";
import type { Intake } from "./Intake.ts";

export interface TakingBackOptions {
  readonly repository: Pick<
    OrderRepository["Service"],
    "keepPlace" | "readLog"
  >;
  readonly attemptEnd: AttemptEnd;
  /** What is in hand is not lost; what appeared late, or is due, is read. */
  readonly intake: Pick<
    Intake,
    "inHandNow" | "isInHand" | "readAgain" | "readNow" | "readTo"
  >;
}

export interface TakingBack {
  /** Says that an answer was lost: what it was about may yet be done. */
  readonly doubt: () => void;
  /** Ends lost attempts. Has the orders read that are due at once. */
  readonly takeBack: (
    lost: ReadonlyArray<Underway>,
    epoch: Epoch,
  ) => Effect.Effect<void, RepositoryUnavailable>;
  /** Looks again and again, for as long as the partition is owned. */
  readonly run: (claim: Claim) => Effect.Effect<never>;
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
 * more ends within `statement_timeout`, 15 s (`platform/Postgres.ts`): the last
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

/** Open orders read at once. */
const ordersPerRead = 512;

/** Up to where a stretch of the log, read after a place, is done for good. */
export const doneTo = (
  { open, readTo, settledTo }: LogRead,
  most: LogPlace,
  after: LogPlace,
): LogPlace => {
  const [first] = open;
  const bounds = [most, readTo, settledTo];
  if (first !== undefined) bounds.push(first.seq - 1n);
  const least = bounds.reduce((one, other) => (one < other ? one : other));
  return least > after ? least : after;
};

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
  { attemptEnd, intake, repository }: TakingBackOptions,
): Effect.fn.Return<TakingBack> {
  const clock = yield* Clock.Clock;
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6;
  const doubted = yield* Queue.sliding<void>(1);
  let doubtAt = now();

  const doubt = () => {
    doubtAt = now();
    Queue.offerUnsafe(doubted, undefined);
  };

  const takeBackOne = Effect.fnUntraced(function* (
    attempt: Underway,
    epoch: Epoch,
  ) {
    const outcome = { _tag: "Lost" } as const;
    const end = yield* attemptEnd.decide(attempt, outcome);
    const isEnded = yield* attemptEnd.make(attempt, end, epoch);
    // Else it had ended by itself meanwhile, or the partition is another's.
    if (!isEnded) return;
    yield* attemptEnd.tell(attempt, outcome, end);
    if (end.move === "postpone" && Duration.isZero(end.wait)) intake.readNow();
  });

  const takeBack = (lost: ReadonlyArray<Underway>, epoch: Epoch) =>
    Effect.forEach(lost, (attempt) => takeBackOne(attempt, epoch), {
      concurrency,
      discard: true,
    });

  /**
   * One stretch of the log: what is not in hand there is lost, or late. Gives
   * what is lost. From the first that is late on it is read again: there may be
   * more of them than the mailbox holds.
   */
  const lookAt = (
    open: ReadonlyArray<OpenOrder>,
    readTo: LogPlace,
    before: ReadonlySet<OrderId>,
  ) => {
    const left = open.filter(
      ({ order_id, seq }) =>
        seq <= readTo && !before.has(order_id) && !intake.isInHand(order_id),
    );
    const late = left.find(({ underway }) => underway === undefined);
    if (late !== undefined) intake.readAgain(late.seq - 1n);
    return left.flatMap(({ underway }) => underway ?? []);
  };

  /** Gives the place up to which all is done now. */
  const look = Effect.fnUntraced(function* (epoch: Epoch, from: LogPlace) {
    const readTo = intake.readTo();
    let place = from;
    let after = from;
    while (after < readTo) {
      // What was in hand may have ended while it was read.
      const before = intake.inHandNow();
      const read = yield* repository.readLog(partition, after, ordersPerRead);
      yield* takeBack(lookAt(read.open, readTo, before), epoch);
      // Only as far as all before it is done, and nothing can yet appear.
      if (place === after) place = doneTo(read, readTo, after);
      after = read.readTo;
      if (read.isEnd) break;
    }
    if (place > from) yield* repository.keepPlace(partition, epoch, place);
    return place;
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
    takeBack,
    run: Effect.fnUntraced(function* (claim) {
      let { place } = claim;
      doubt();
      while (true) {
        const lookedFrom = now();
        place = yield* look(claim.epoch, place).pipe(
          Effect.catchTag("RepositoryUnavailable", (error) => {
            doubt();
            return Effect.as(
              Effect.logDebug("waiting for the database", error.reason),
              place,
            );
          }),
        );
        yield* untilNext({ lookedFrom, lookedTo: now() });
      }
    }),
  };
});
