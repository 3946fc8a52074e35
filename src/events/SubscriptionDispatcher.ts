/**
 * Dispatches one subscription: posts what it wants, batch by batch, from its
 * own place on. The next batch waits for the one before, so nothing is skipped
 * and nothing overtaken; what is posted and not known to be taken is posted
 * again, by this dispatcher or by the next.
 *
 *     claim --> read a batch --> post it --> keep the place --.
 *                  ^    ^          |  ^                       |
 *                  |    `-- none --'  `-- failed: wait        |
 *                  `------------------------------------------'
 *
 * It ends where another claimed the subscription, or it is not ACTIVE any more.
 */
import {
  Clock,
  Deferred,
  Duration,
  Effect,
  Fiber,
  identity,
  Metric,
  Option,
  Random,
} from "effect";
import { type EventPlace, isBefore } from "../domain/OrderEvent.ts";
import { failingMax, waitAfter } from "../domain/Subscription.ts";
import type { EventLog, EventsGone } from "../persistence/EventLog.ts";
import type { RepositoryUnavailable } from "../persistence/OrderRepository.ts";
import type {
  ClaimedSubscription,
  SubscriptionStore,
} from "../persistence/SubscriptionStore.ts";
import { persist } from "../processor/Persist.ts";
import type { EventFollower } from "./EventFollower.ts";
import * as SubscriptionBatch from "./SubscriptionBatch.ts";
import type {
  DeliveryOutcome,
  Posted,
  SubscriptionDelivery,
} from "./SubscriptionDelivery.ts";
import * as SubscriptionMetrics from "./SubscriptionMetrics.ts";

export interface SubscriptionDispatcherOptions {
  readonly store: SubscriptionStore["Service"];
  readonly log: EventLog["Service"];
  readonly follower: EventFollower["Service"];
  readonly delivery: SubscriptionDelivery["Service"];
}

export interface SubscriptionDispatcher {
  /** Dispatches until it is not its business any more. */
  readonly run: Effect.Effect<void>;
  /** Tells it of a claim that somebody saw: a later one than its own ends it. */
  readonly sawClaim: (epoch: number) => void;
  /** When the oldest event was that is not delivered, as far as is known. */
  readonly oldest: () => number | undefined;
}

/** So long a delivery under way may go on once it is to stop. */
const drainMax = Duration.seconds(5);

/** Between two places kept where nothing was delivered in between. */
const keepInterval = Duration.seconds(1);

/** After a read for which the database was away. */
const readAgain = Duration.millis(500);

/**
 * So long it is left to whoever claimed it. After that it may be claimed again
 * from here, for the other may be gone.
 */
const pause = Duration.seconds(5);

const gone =
  "what it should get next is not in the log of events any more (EVENTS_RETENTION, or another database): nothing was skipped; read anew what you keep of orders, and make a new subscription";

const failedForLong = `its receiver took nothing for ${Duration.format(failingMax)}: resume it once the receiver is back`;

type Tried =
  | { readonly _tag: "Taken" }
  | { readonly _tag: "Again"; readonly wait: Duration.Duration }
  /** Another claimed it, or it is not ACTIVE any more. */
  | { readonly _tag: "Over" };

const over: Tried = { _tag: "Over" };

/** Outages of the database are waited out. */
const persisted = <A>(change: Effect.Effect<A, RepositoryUnavailable>) =>
  persist(change, () => {}, identity);

/** Work that is not cut off at once when it is interrupted. */
const lasting = <A>(work: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkChild(work), (fiber) =>
      restore(Fiber.join(fiber)).pipe(
        Effect.onInterrupt(() =>
          Effect.interruptible(Fiber.await(fiber)).pipe(
            Effect.timeoutOption(drainMax),
            Effect.andThen(Fiber.interrupt(fiber)),
          ),
        ),
      ),
    ),
  );

export const make = Effect.fnUntraced(function* (
  id: string,
  { delivery, follower, log, store }: SubscriptionDispatcherOptions,
): Effect.fn.Return<SubscriptionDispatcher> {
  const overtaken = yield* Deferred.make<void>();
  const clock = yield* Clock.Clock;
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6;
  let epoch = Number.POSITIVE_INFINITY;
  let oldest: number | undefined;

  const disable = (claimed: ClaimedSubscription, reason: string) =>
    Effect.andThen(
      persisted(store.disable(claimed, reason)),
      Effect.logError(`the subscription is DISABLED: ${reason}`),
    );

  /** One delivery, and what is remembered of it. */
  const deliverer = Effect.fnUntraced(function* (claimed: ClaimedSubscription) {
    const post = yield* delivery.to(claimed);
    let { failures } = claimed;

    const taken = Effect.fnUntraced(function* (
      batch: SubscriptionBatch.Batch,
    ): Effect.fn.Return<Tried> {
      yield* Metric.update(SubscriptionMetrics.delivered, 1);
      const isKept = yield* persisted(
        store.keepPlace(claimed, batch.end, batch.size),
      );
      if (!isKept) return over;
      if (failures > 0) yield* Effect.logInfo("the receiver is back");
      failures = 0;
      return { _tag: "Taken" };
    });

    const failed = Effect.fnUntraced(function* (
      error: string,
      { retryAfter }: DeliveryOutcome,
    ): Effect.fn.Return<Tried> {
      failures += 1;
      yield* Metric.update(SubscriptionMetrics.failed, 1);
      const wait = waitAfter(failures, retryAfter, yield* Random.next);
      const failing = yield* persisted(store.fail(claimed, { error, wait }));
      if (Option.isNone(failing)) return over;
      if (failures === 1) {
        yield* Effect.logWarning(
          "the receiver fails: it is tried again, and its events wait",
          { error },
        );
      }
      if (Duration.isLessThan(failing.value, failingMax)) {
        return { _tag: "Again", wait };
      }
      yield* disable(claimed, failedForLong);
      return over;
    });

    return (batch: SubscriptionBatch.Batch) =>
      lasting(
        Effect.flatMap(
          post({ id: `${id}_${batch.id}`, body: batch.body } satisfies Posted),
          (outcome) =>
            outcome.error === null
              ? taken(batch)
              : failed(outcome.error, outcome),
        ),
      );
  });

  /** How far it has come, and how far that is kept. */
  const progress = (claimed: ClaimedSubscription) => {
    let { place } = claimed;
    let kept = place;
    let keptAt = now();
    const markKept = () => {
      kept = place;
      keptAt = now();
    };
    return {
      place: () => place,
      /** Up to there nothing is wanted; false where the claim is lost. */
      passOver: (to: EventPlace) =>
        Effect.suspend(() => {
          place = to;
          const isDue = now() - keptAt >= Duration.toMillis(keepInterval);
          if (!isDue || isSame(place, kept)) return Effect.succeed(true);
          markKept();
          return persisted(store.keepPlace(claimed, place, 0));
        }),
      /** Up to there all is delivered, and that is kept. */
      moveTo: (to: EventPlace) => {
        place = to;
        markKept();
      },
    };
  };

  const persistedRead = <A>(
    read: Effect.Effect<A, EventsGone | RepositoryUnavailable>,
  ): Effect.Effect<A, EventsGone> =>
    Effect.catchTag(read, "RepositoryUnavailable", () =>
      Effect.andThen(Effect.sleep(readAgain), persistedRead(read)),
    );

  /** Returns when it is over. */
  const dispatch = Effect.fnUntraced(function* (claimed: ClaimedSubscription) {
    // The follower does not know of places that it never read.
    yield* persistedRead(log.read(claimed.place, 1));
    yield* follower.follow;
    const deliver = yield* deliverer(claimed);
    const { moveTo, passOver, place } = progress(claimed);
    const filter = { type: claimed.types };
    let { wait } = claimed;
    while (true) {
      const batch = yield* persistedRead(
        SubscriptionBatch.next(follower, filter, place()),
      );
      oldest = batch.oldest;
      if (batch.size === 0) {
        if (!(yield* passOver(batch.end))) return;
        if (batch.isEnd) yield* follower.untilAfter(place());
        continue;
      }
      yield* Effect.sleep(wait);
      let tried = yield* deliver(batch);
      while (tried._tag === "Again") {
        yield* Effect.sleep(tried.wait);
        tried = yield* deliver(batch);
      }
      if (tried._tag === "Over") return;
      moveTo(batch.end);
      wait = Duration.zero;
    }
  });

  const session = Effect.gen(function* () {
    const claim = yield* persisted(store.claim(id));
    if (Option.isNone(claim)) return;
    const claimed = claim.value;
    epoch = claimed.epoch;
    yield* dispatch(claimed).pipe(
      Effect.catchTag("EventsGone", () => disable(claimed, gone)),
      Effect.scoped,
      Effect.raceFirst(Deferred.await(overtaken)),
    );
  });

  return {
    run: session.pipe(
      Effect.catchDefect((defect) =>
        Effect.logError("its dispatcher crashed, and begins anew", defect),
      ),
      Effect.andThen(
        Effect.sync(() => {
          oldest = undefined;
        }),
      ),
      Effect.andThen(Effect.sleep(pause)),
      Effect.annotateLogs({ subscription: id }),
    ),
    sawClaim: (seen) => {
      if (seen > epoch) Deferred.doneUnsafe(overtaken, Effect.void);
    },
    oldest: () => oldest,
  };
});

const isSame = (one: EventPlace, other: EventPlace) =>
  !isBefore(one, other) && !isBefore(other, one);
