/**
 * Lets no order begin for a while. One gate for all actors of a process: what
 * the work needs is the same for all of them.
 */
import { Duration, Effect } from "effect";
import * as SteadyClock from "./SteadyClock.ts";

export interface Gate {
  /** Closed for so long at least; a longer pause under way stays. */
  readonly closeFor: (pause: Duration.Duration) => Effect.Effect<void>;
  readonly isOpen: () => boolean;
  readonly awaitOpen: Effect.Effect<void>;
}

export const make = Effect.map(SteadyClock.current, (clock): Gate => {
  /** Not set while open, so that asking then reads no clock. */
  let opensAt: number | undefined;

  const millisLeft = (): number => {
    if (opensAt === undefined) return 0;
    const left = opensAt - clock.currentTimeMillisUnsafe();
    if (left > 0) return left;
    opensAt = undefined;
    return 0;
  };

  const awaitOpen: Effect.Effect<void> = Effect.suspend(() => {
    const left = millisLeft();
    return left === 0
      ? Effect.void
      : Effect.andThen(Effect.sleep(left), awaitOpen);
  });

  return {
    awaitOpen,
    isOpen: () => millisLeft() === 0,
    closeFor: (pause) =>
      Effect.sync(() => {
        const until =
          clock.currentTimeMillisUnsafe() + Duration.toMillis(pause);
        opensAt = Math.max(opensAt ?? until, until);
      }),
  };
});
