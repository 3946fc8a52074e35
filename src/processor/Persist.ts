/** Outages of the database are waited out: what was asked for is asked again. */
import { Duration, Effect } from "effect";
import type { RepositoryUnavailable } from "../persistence/OrderRepository.ts";

/** First so long, then longer. */
const waitMin = Duration.millis(100);
const waitMax = Duration.millis(500);

/** Lets a part of something uninterruptible be interrupted. */
export type Restore = <A, E, R>(
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
  wait = waitMin,
): Effect.Effect<A> =>
  Effect.catch(change, (error) => {
    onUnavailable(error);
    const longer = Duration.min(Duration.times(wait, 2), waitMax);
    return Effect.andThen(
      restore(Effect.sleep(wait)),
      persist(change, onUnavailable, restore, longer),
    );
  });
