/** All partitions are owned here: the only instance on its database. */
import { Effect, Layer } from "effect";
import { partitions } from "../domain/Partition.ts";
import * as Duties from "./Duties.ts";

/** Works every partition while the layer lives; drains them when it closes. */
export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    const fulfilDuties = yield* Duties.make;
    yield* Effect.forEach(partitions, (partition) => fulfilDuties(partition), {
      concurrency: partitions.length,
      discard: true,
    }).pipe(Effect.forkScoped);
  }),
);
