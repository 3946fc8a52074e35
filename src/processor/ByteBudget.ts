/**
 * So many bytes may be in memory at once. Whoever needs more than is free waits
 * in line: no later one passes by, so that what is large gets its turn, too.
 */
import { type Duration, Effect } from "effect";

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

/** How many may wait for bytes, how long, and what they are told after that. */
export interface Patience<E> {
  readonly waitingMax: number;
  readonly wait: Duration.Duration;
  readonly refusal: () => E;
}

/** Takes bytes, waiting no longer than there is patience for. */
export const takeOrFail = <E>(
  budget: ByteBudget,
  bytes: number,
  { refusal, wait, waitingMax }: Patience<E>,
): Effect.Effect<void, E> =>
  Effect.suspend(() => {
    if (budget.takeNow(bytes)) return Effect.void;
    return budget.waiting() >= waitingMax
      ? Effect.fail(refusal())
      : Effect.timeoutOrElse(budget.take(bytes), {
          duration: wait,
          orElse: () => Effect.fail(refusal()),
        });
  });

/** Runs an effect with bytes in hand. */
export const within = <A, E, R, E2>(
  budget: ByteBudget,
  bytes: number,
  patience: Patience<E2>,
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<A, E | E2, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(takeOrFail(budget, bytes, patience)), () =>
      Effect.ensuring(
        restore(effect),
        Effect.sync(() => budget.release(bytes)),
      ),
    ),
  );
