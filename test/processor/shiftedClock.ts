/** A clock on a machine whose time of day is set off while a test runs. */
import { Clock, Effect } from "effect";

/** The test's clock, on a machine whose time of day is `shifted` by so much. */
export const shiftable = Effect.map(Clock.Clock, (clock) => {
  const shift = { millis: 0 };
  const currentTimeMillisUnsafe = () =>
    clock.currentTimeMillisUnsafe() + shift.millis;
  const shifted: Clock.Clock = {
    currentTimeMillisUnsafe,
    currentTimeMillis: Effect.sync(currentTimeMillisUnsafe),
    currentTimeNanosUnsafe: () =>
      BigInt(currentTimeMillisUnsafe()) * 1_000_000n,
    currentTimeNanos: Effect.sync(
      () => BigInt(currentTimeMillisUnsafe()) * 1_000_000n,
    ),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => clock.sleep(duration),
  };
  return { clock: shifted, shift };
});
