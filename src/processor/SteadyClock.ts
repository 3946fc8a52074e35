/**
 * A clock whose time never steps back: for waits, which are lengths of time. The
 * machine's own time may be set back by an hour, and a pause until a time of
 * day would then last an hour longer.
 */
import { Clock, Effect } from "effect";

const nanosInMilli = 1_000_000n;

/** Counts from an origin of its own: only differences say something. */
export const of = (clock: Clock.Clock): Clock.Clock => {
  const currentTimeNanosUnsafe = () => clock.monotonicTimeNanosUnsafe();
  const currentTimeMillisUnsafe = () =>
    Number(currentTimeNanosUnsafe() / nanosInMilli);
  return {
    currentTimeMillisUnsafe,
    currentTimeMillis: Effect.sync(currentTimeMillisUnsafe),
    currentTimeNanosUnsafe,
    currentTimeNanos: clock.monotonicTimeNanos,
    monotonicTimeNanosUnsafe: currentTimeNanosUnsafe,
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => clock.sleep(duration),
  };
};

/** That of the clock in force. */
export const current = Effect.map(Clock.Clock, of);
