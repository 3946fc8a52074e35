import { assert, describe, it } from "@effect/vitest";
import { Effect, Layer, Logger, Ref } from "effect";
import {
  OrderRepository,
  type OrderTally,
} from "../../src/persistence/OrderRepository.ts";
import * as Conservation from "../../src/processor/Conservation.ts";

const tally = (accepted: number): OrderTally => ({
  accepted,
  counts: { PENDING: 1, PROCESSING: 2, COMPLETED: 3, FAILED: 4, CANCELLED: 5 },
  processingSeconds: 0,
  oldestPendingSeconds: undefined,
});

/** The levels of what is logged over a repository that counts so. */
const logged = (accepted: number) =>
  Effect.gen(function* () {
    const levels = yield* Ref.make<ReadonlyArray<string>>([]);
    const logger = Logger.make(({ logLevel }) => {
      Effect.runSync(Ref.update(levels, (all) => [...all, logLevel]));
    });
    yield* Conservation.check.pipe(
      Effect.provide(
        Layer.mergeAll(
          Logger.layer([logger]),
          Layer.mock(OrderRepository, {
            tally: Effect.succeed(tally(accepted)),
          }),
        ),
      ),
    );
    return yield* Ref.get(levels);
  });

describe("the conservation of orders", () => {
  it.effect("is nothing to talk about while it holds", () =>
    Effect.map(logged(15), (levels) => assert.deepStrictEqual(levels, [])),
  );

  it.effect("is an error when orders are missing, or too many", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* logged(16), ["Error"]);
      assert.deepStrictEqual(yield* logged(14), ["Error"]);
    }),
  );
});
