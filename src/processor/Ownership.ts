/**
 * Who owns a partition: whoever claimed it last. A claim fences the former
 * owner, who begins nothing and takes nothing back from then on.
 */
import { Clock, Duration, Effect } from "effect";
import type { Partition } from "../domain/Partition.ts";
import type {
  Claim,
  Epoch,
  OrderRepository,
  RepositoryUnavailable,
} from "../persistence/OrderRepository.ts";

export interface Ownership {
  readonly claim: Effect.Effect<Claim, RepositoryUnavailable>;
  /** Looks from time to time whether a claim still holds; dies if not. */
  readonly check: (epoch: Epoch) => Effect.Effect<void, RepositoryUnavailable>;
}

/** How often it is looked. */
const checkInterval = Duration.seconds(5);

export const make = Effect.fnUntraced(function* (
  partition: Partition,
  repository: Pick<OrderRepository["Service"], "claim" | "epoch">,
): Effect.fn.Return<Ownership> {
  const clock = yield* Clock.Clock;
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6;
  /** When it was last looked, and what was seen. */
  let checkedAt = Number.NEGATIVE_INFINITY;
  let wasOwner = true;

  return {
    claim: repository.claim(partition),
    /**
     * Whoever took the partition over while this was believed to own it may be
     * gone again. So this does not wait for ever: it starts anew, and claims.
     * Long before that, an owner that has lost its lease has been interrupted.
     */
    check: Effect.fnUntraced(function* (epoch) {
      if (now() - checkedAt < Duration.toMillis(checkInterval)) return;
      checkedAt = now();
      const isOwner = (yield* repository.epoch(partition)) === epoch;
      if (!isOwner && !wasOwner) {
        return yield* Effect.die(
          new Error(`partition ${partition} was taken over by somebody else`),
        );
      }
      wasOwner = isOwner;
    }),
  };
});
