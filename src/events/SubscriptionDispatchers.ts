/**
 * The dispatchers of this process: those of the ACTIVE subscriptions whose
 * partition is owned here. Who owns which partition is decided elsewhere
 * (`PartitionsCluster`, `PartitionsLocal`): that calls `run` for each, and
 * interrupts it when the partition is to be given up.
 *
 * Once a second it is looked which subscriptions are ACTIVE, so that one that
 * was made, paused, resumed or deleted on any instance is soon noticed here.
 */
import {
  Clock,
  Context,
  Duration,
  Effect,
  Fiber,
  FiberMap,
  Latch,
  Layer,
  Metric,
} from "effect";
import type { Partition } from "../domain/Partition.ts";
import { partitionOf } from "../domain/Subscription.ts";
import { EventLog } from "../persistence/EventLog.ts";
import {
  type ActiveSubscription,
  SubscriptionStore,
} from "../persistence/SubscriptionStore.ts";
import { EventFollower } from "./EventFollower.ts";
import { SubscriptionDelivery } from "./SubscriptionDelivery.ts";
import * as SubscriptionDispatcher from "./SubscriptionDispatcher.ts";
import { lagOf } from "./SubscriptionMetrics.ts";

const lookInterval = Duration.seconds(1);

export class SubscriptionDispatchers extends Context.Service<
  SubscriptionDispatchers,
  {
    /**
     * Dispatches a partition's subscriptions until interrupted; deliveries
     * under way are then given a few seconds.
     */
    run(partition: Partition): Effect.Effect<never>;
  }
>()("events/SubscriptionDispatchers") {
  static readonly layer = Layer.effect(
    SubscriptionDispatchers,
    Effect.gen(function* () {
      const { isOn } = yield* EventLog;
      return SubscriptionDispatchers.of(
        isOn ? yield* make : { run: () => Effect.never },
      );
    }),
  );
}

const make = Effect.gen(function* () {
  const store = yield* SubscriptionStore;
  const options = {
    store,
    log: yield* EventLog,
    follower: yield* EventFollower,
    delivery: yield* SubscriptionDelivery,
  };
  const looked = Latch.makeUnsafe(false);
  const running = new Map<
    string,
    SubscriptionDispatcher.SubscriptionDispatcher
  >();
  let active: ReadonlyArray<ActiveSubscription> = [];
  let owned = 0;

  const showLags = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis;
    for (const [id, dispatcher] of running) {
      const lag = now - (dispatcher.oldest() ?? now);
      yield* Metric.update(lagOf(id), Math.max(0, lag) / 1000);
    }
  });

  const look = Effect.gen(function* () {
    active = yield* store.active;
    for (const { epoch, id } of active) running.get(id)?.sawClaim(epoch);
    looked.openUnsafe();
    looked.closeUnsafe();
  });

  yield* Effect.suspend(() => (owned === 0 ? Effect.void : look)).pipe(
    // What goes on goes on; another look follows soon.
    Effect.catchTag("RepositoryUnavailable", ({ reason }) =>
      Effect.logDebug("subscriptions could not be looked at", reason),
    ),
    Effect.andThen(showLags),
    Effect.andThen(Effect.sleep(lookInterval)),
    Effect.forever,
    Effect.forkScoped,
  );

  const dispatch = Effect.fnUntraced(function* (id: string) {
    const dispatcher = yield* SubscriptionDispatcher.make(id, options);
    running.set(id, dispatcher);
    yield* dispatcher.run.pipe(
      Effect.ensuring(
        Effect.suspend(() => {
          running.delete(id);
          return Metric.update(lagOf(id), 0);
        }),
      ),
    );
  });

  /** Those of a partition, as they were when it was last looked. */
  const runOwned = Effect.fnUntraced(function* (partition: Partition) {
    const fibers = yield* FiberMap.make<string>();
    /** How often each had been resumed when its dispatcher began. */
    const begun = new Map<string, number>();
    while (true) {
      const mine = new Map(
        active
          .filter(({ slot }) => partitionOf(slot) === partition)
          .map(({ id, resumed }) => [id, resumed]),
      );
      for (const [id, fiber] of fibers) {
        if (mine.get(id) === begun.get(id)) continue;
        // Its delivery under way holds up no other; the next begins after it.
        yield* Effect.forkChild(Fiber.interrupt(fiber));
      }
      for (const [id, resumed] of mine) {
        if (FiberMap.hasUnsafe(fibers, id)) continue;
        begun.set(id, resumed);
        yield* FiberMap.run(fibers, id, dispatch(id));
      }
      yield* looked.await;
    }
  });

  return SubscriptionDispatchers.of({
    run: (partition) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          owned += 1;
        }),
        () => Effect.scoped(runOwned(partition)),
        () =>
          Effect.sync(() => {
            owned -= 1;
          }),
      ),
  });
});
