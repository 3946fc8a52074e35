/**
 * Keeps samples of the counts, from which the history of metrics is told: one
 * every ten seconds, by one instance at a time. It goes with a partition, as
 * what else is done once for all instances; should two believe that they own
 * it, the sample of whoever comes first is kept.
 */
import { Context, Duration, Effect, Layer } from "effect";
import { sampleSeconds } from "../domain/MetricsHistory.ts";
import { type Partition, partitions } from "../domain/Partition.ts";
import { OrderRepository } from "../persistence/OrderRepository.ts";
import { ProcessingStore } from "../persistence/ProcessingStore.ts";
import { Upkeep } from "../processor/Upkeep.ts";

/** So long at least between two looks, whatever the clocks say. */
const waitMin = Duration.millis(100);

export class MetricsSampler extends Context.Service<
  MetricsSampler,
  {
    /** Samples until interrupted, if this is the partition it goes with. */
    run(partition: Partition): Effect.Effect<never>;
  }
>()("operations/MetricsSampler") {
  static readonly layer = Layer.effect(
    MetricsSampler,
    Effect.gen(function* () {
      const repository = yield* OrderRepository;
      const store = yield* ProcessingStore;
      const upkeep = yield* Upkeep;
      const sample = Effect.flatMap(repository.tally, store.keepSample).pipe(
        Effect.tap(() => upkeep.succeeded("samples")),
        Effect.catchCause((cause) =>
          // It is a gap, as whoever reads it sees.
          Effect.as(
            upkeep.failed("samples", cause),
            Duration.seconds(sampleSeconds / 10),
          ),
        ),
      );
      const run = upkeep.during(
        "samples",
        Effect.forever(
          Effect.flatMap(sample, (wait) =>
            Effect.sleep(Duration.max(wait, waitMin)),
          ),
        ),
      );
      return MetricsSampler.of({
        run: (partition) => (partition === partitions[0] ? run : Effect.never),
      });
    }),
  );
}
