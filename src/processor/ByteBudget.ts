/**
 * So many bytes may be in memory at once. Whoever needs more than is free waits
 * in line: no later one passes by, so that what is large gets its turn, too.
 */
import { Effect } from "effect";

export interface ByteBudget {
  /** Takes bytes if they are free and nobody waits; says whether it did. */
  readonly takeNow: (bytes: number) => boolean;
  /** Waits for bytes. What is more than there is counts as all there is. */
  readonly take: (bytes: number) => Effect.Effect<void>;
  /** Gives back what was taken, by the same number. */
  readonly release: (bytes: number) => void;
  /** How many wait. */
  readonly waiting: () => number;
}

interface Waiter {
  readonly bytes: number;
  readonly resume: () => void;
}

export const make = (max: number): ByteBudget => {
  let free = max;
  const line = new Set<Waiter>();

  /** One that is larger than the budget has it alone, and so always fits. */
  const counted = (bytes: number) => Math.min(bytes, max);

  const serveLine = () => {
    for (const waiter of line) {
      if (waiter.bytes > free) return;
      line.delete(waiter);
      free -= waiter.bytes;
      waiter.resume();
    }
  };

  const takeNow = (bytes: number) => {
    const needed = counted(bytes);
    if (line.size > 0 || needed > free) return false;
    free -= needed;
    return true;
  };

  return {
    takeNow,
    take: (bytes) =>
      Effect.callback<void>((resume) => {
        if (takeNow(bytes)) {
          resume(Effect.void);
          return;
        }
        const waiter = {
          bytes: counted(bytes),
          resume: () => resume(Effect.void),
        };
        line.add(waiter);
        return Effect.sync(() => {
          // Those behind a large one that gives up may fit in.
          if (line.delete(waiter)) serveLine();
        });
      }),
    release: (bytes) => {
      free += counted(bytes);
      serveLine();
    },
    waiting: () => line.size,
  };
};

/** Runs an effect with bytes in hand, as soon as there are some. */
export const within = <A, E, R>(
  budget: ByteBudget,
  bytes: number,
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(budget.take(bytes)), () =>
      Effect.ensuring(
        restore(effect),
        Effect.sync(() => budget.release(bytes)),
      ),
    ),
  );
