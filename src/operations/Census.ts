/**
 * Counts the orders themselves, again and again, and compares them with how
 * many were ever taken in: a row that vanished is noticed.
 *
 * A count is many small steps with pauses, so that it costs little however
 * many orders there are; only how long it takes grows with them. Each process
 * counts on its own: they need not agree on anything, and each can be asked.
 */
import { Clock, Context, Duration, Effect, Layer, Metric, Ref } from "effect";
import { Database } from "../persistence/Database.ts";
import {
  type CountPlace,
  OrderRepository,
} from "../persistence/OrderRepository.ts";
import { Upkeep } from "../processor/Upkeep.ts";

/** Orders in one step: 1 to 2 ms of PostgreSQL. */
const stepSize = 10_000;

/** Between two steps: more than all instances take in meanwhile. */
const pauseMin = Duration.millis(500);

/** A step that took long is followed by a pause so much longer. */
const pauseFactor = 50;

/** Between two counts. */
const interval = Duration.seconds(10);

const countedAt = Metric.gauge("orders_counted_timestamp_seconds", {
  description: "When all orders were last counted one by one, since 1970.",
});
const countingTime = Metric.gauge("orders_count_duration_seconds", {
  description: "How long the last count of all orders took.",
});

/** Accepted orders that a full count did not find. */
const countMissing = Effect.gen(function* () {
  const repository = yield* OrderRepository;
  let orders = 0;
  let place: CountPlace | undefined;
  while (true) {
    const [took, step] = yield* Effect.timed(repository.count(place, stepSize));
    orders += step.orders;
    if (step.next === undefined) return step.accepted - orders;
    place = step.next;
    yield* Effect.sleep(
      Duration.max(pauseMin, Duration.times(took, pauseFactor)),
    );
  }
});

const measured = Effect.gen(function* () {
  const [took, missing] = yield* Effect.timed(countMissing);
  yield* Metric.update(countingTime, Duration.toSeconds(took));
  yield* Metric.update(countedAt, (yield* Clock.currentTimeMillis) / 1000);
  return missing;
});

export class Census extends Context.Service<
  Census,
  {
    /** Accepted orders whose rows are not there; below 0: rows too many. */
    readonly missing: Effect.Effect<number>;
  }
>()("processor/Census") {
  /** Counts, while the layer lives. */
  static readonly layer = Layer.effect(
    Census,
    Effect.gen(function* () {
      const database = yield* Database;
      const upkeep = yield* Upkeep;
      const missing = yield* Ref.make(0);
      /**
       * One count may be wrong: an order was committed late behind the place
       * the count had come to, a replica was promoted, a clock was set back.
       * So what it finds is counted again at once before it is believed.
       */
      const look = Effect.gen(function* () {
        const first = yield* measured;
        const found = first === 0 ? 0 : yield* measured;
        yield* Ref.set(missing, found);
      }).pipe(
        Effect.matchCauseEffect({
          onSuccess: () => upkeep.succeeded("row_count"),
          onFailure: (cause) => upkeep.failed("row_count", cause),
        }),
      );
      yield* database.migrated.pipe(
        Effect.andThen(
          upkeep.during(
            "row_count",
            Effect.forever(Effect.andThen(look, Effect.sleep(interval))),
          ),
        ),
        Effect.forkScoped,
      );
      return { missing: Ref.get(missing) };
    }),
  );
}
