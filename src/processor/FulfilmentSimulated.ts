/** Work that only takes time, as the reference system's does. */
import { Duration, Effect, Layer } from "effect";
import { Fulfilment } from "./Fulfilment.ts";

/** Succeeds after `time`; at once when that is zero, without a timer. */
export const layer = (time: Duration.Duration) => {
  const work = Duration.isZero(time) ? Effect.void : Effect.sleep(time);
  return Layer.succeed(Fulfilment, { fulfil: () => work });
};
