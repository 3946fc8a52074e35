/**
 * Lets no order begin for a while: what the work needs is away, or somebody has
 * paused processing. One gate for all actors of a process: both are the same for
 * all of them.
 */
import { Duration, Effect } from "effect";
import { Pause } from "./Pause.ts";
import * as SteadyClock from "./SteadyClock.ts";

export interface Gate {
  /** Closed for so long at least; a longer pause under way stays. */
  readonly closeFor: (pause: Duration.Duration) => Effect.Effect<void>;
  readonly isOpen: () => boolean;
  /** Whether it is closed by somebody's hand. */
  readonly isPaused: () => boolean;
  readonly awaitOpen: Effect.Effect<void>;
}

export const make = Effect.gen(function* (): Effect.fn.Return<Gate> {
  const clock = yield* SteadyClock.current;
  const { isPaused, untilRunning } = yield* Pause;
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
    if (isPaused()) return Effect.andThen(untilRunning, awaitOpen);
    const left = millisLeft();
    return left === 0
      ? Effect.void
      : Effect.andThen(Effect.sleep(left), awaitOpen);
  });

  return {
    awaitOpen,
    isOpen: () => !isPaused() && millisLeft() === 0,
    isPaused,
    closeFor: (pause) =>
      Effect.sync(() => {
        const until =
          clock.currentTimeMillisUnsafe() + Duration.toMillis(pause);
        opensAt = Math.max(opensAt ?? until, until);
      }),
  };
});
