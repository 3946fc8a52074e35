/** Work that only takes time, as the reference system's does. */
import { type Duration, Effect, Layer } from "effect";
import { Fulfilment } from "./Fulfilment.ts";

/** Succeeds after `time`. */
export const layer = (time: Duration.Duration) =>
  Layer.succeed(Fulfilment, { fulfil: () => Effect.sleep(time) });
