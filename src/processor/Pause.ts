/**
 * Whether somebody has paused processing: one for all actors of a process. It
 * is what the database said last (`InstanceReports`).
 */
import { Context, type Effect, Latch, Layer } from "effect";

export interface Pause {
  readonly isPaused: () => boolean;
  /** Waits until it is not. */
  readonly untilRunning: Effect.Effect<void>;
  /** How often it was set: who was told something before that is out of date. */
  readonly timesSet: () => number;
  readonly set: (isPaused: boolean) => void;
}

export const make = (isPausedAtFirst: boolean): Pause => {
  const running = Latch.makeUnsafe(!isPausedAtFirst);
  let isPaused = isPausedAtFirst;
  let timesSet = 0;
  return {
    isPaused: () => isPaused,
    untilRunning: running.await,
    timesSet: () => timesSet,
    set: (to) => {
      timesSet += 1;
      isPaused = to;
      if (to) running.closeUnsafe();
      else running.openUnsafe();
    },
  };
};

/** Where nobody can pause it, it runs. */
export const Pause = Context.Reference<Pause>("processor/Pause", {
  defaultValue: () => make(false),
});

/** Nothing begins before the database has said that it may. */
export const layer = Layer.sync(Pause, () => make(true));
