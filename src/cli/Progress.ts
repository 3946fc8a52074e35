/** How long work is going, on a line of the terminal that changes. */
import { Clock, Effect, Schedule } from "effect";
import { Machine } from "./Machine.ts";

const every = "200 millis";
const clear = "\r\x1b[K";

/** `3 s`, `2 min 5 s`, `1 h 2 min`. */
export const lengthText = (seconds: number): string => {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
};

/**
 * Shows what `text` says while something is done, to whoever looks at standard
 * error on a terminal. `text` is given the seconds since the beginning.
 */
export const withProgress =
  (text: (seconds: number) => string) =>
  <A, E, R>(work: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      const { columns, stderrIsTerminal, tell } = yield* Machine;
      if (!stderrIsTerminal) return yield* work;
      const began = yield* Clock.currentTimeMillis;
      const show = Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis;
        const room = (yield* columns) - 1;
        yield* tell(clear + text((now - began) / 1000).slice(0, room));
      });
      return yield* Effect.scoped(
        Effect.andThen(
          Effect.acquireRelease(
            Effect.forkScoped(Effect.repeat(show, Schedule.spaced(every))),
            () => tell(clear),
          ),
          work,
        ),
      );
    });
