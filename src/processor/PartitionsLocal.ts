/** All partitions are owned here: the only instance on its database. */
import { Effect, Layer } from "effect";
import { partitions } from "../domain/Partition.ts";
import { OrderProcessor } from "./OrderProcessor.ts";

/** Works every partition while the layer lives; drains them when it closes. */
export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    const processor = yield* OrderProcessor;
    yield* Effect.forEach(partitions, (partition) => processor.run(partition), {
      concurrency: partitions.length,
      discard: true,
    }).pipe(Effect.forkScoped);
  }),
);
