import { assert, describe, it } from "@effect/vitest";
import { Effect, Layer, Logger, Metric, Ref } from "effect";
import { Census } from "../../src/operations/Census.ts";
import * as Conservation from "../../src/operations/Conservation.ts";
import {
  OrderRepository,
  type OrderTally,
} from "../../src/persistence/OrderRepository.ts";
import { UnreadOrders } from "../../src/processor/UnreadOrders.ts";

const counts = {
  PENDING: 1,
  PROCESSING: 2,
  COMPLETED: 3,
  FAILED: 4,
  CANCELLED: 5,
};

/** What a check says of these statistics, and of so many rows missing. */
const checked = ({
  accepted = 15,
  missing = 0,
  unread = 0,
  ...given
}: Partial<OrderTally> & {
  readonly missing?: number;
  readonly unread?: number;
} = {}) =>
  Effect.gen(function* () {
    const levels = yield* Ref.make<ReadonlyArray<string>>([]);
    const logger = Logger.make(({ logLevel }) => {
      Effect.runSync(Ref.update(levels, (all) => [...all, logLevel]));
    });
    yield* Conservation.check.pipe(
      Effect.provide(
        Layer.mergeAll(
          Logger.layer([logger]),
          Layer.mock(Census, { missing: Effect.succeed(missing) }),
          Layer.succeed(UnreadOrders, {
            found: () => unread,
            stuck: () => 0,
          }),
          Layer.mock(OrderRepository, {
            tally: Effect.succeed({
              accepted,
              archived: 0,
              counts,
              failures: 0,
              processingSeconds: 0,
              oldestPendingSeconds: undefined,
              ...given,
            }),
          }),
        ),
      ),
    );
    const { state } = (yield* Metric.snapshot).find(
      ({ id }) => id === "orders_unaccounted",
    ) as { readonly state: { readonly value: number } };
    return { levels: yield* Ref.get(levels), unaccounted: state.value };
  });

describe("the conservation of orders", () => {
  it.effect("is nothing to talk about while it holds", () =>
    Effect.gen(function* () {
      const said = yield* checked();
      assert.deepStrictEqual(said, { levels: [], unaccounted: 0 });
    }),
  );

  it.effect("is an error when orders are missing, or too many", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* checked({ accepted: 16 }), {
        levels: ["Error"],
        unaccounted: 1,
      });
      assert.deepStrictEqual(yield* checked({ accepted: 14 }), {
        levels: ["Error"],
        unaccounted: -1,
      });
    }),
  );

  it.effect("is an error when rows are missing that the statistics have", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* checked({ missing: 2 }), {
        levels: ["Error"],
        unaccounted: 2,
      });
    }),
  );

  it.effect("counts open orders that nobody reads as unaccounted", () =>
    Effect.gen(function* () {
      const { unaccounted } = yield* checked({ unread: 3 });
      assert.strictEqual(unaccounted, 3);
    }),
  );

  it.effect("is an error when a status counts below zero", () =>
    Effect.gen(function* () {
      const { levels } = yield* checked({
        counts: { ...counts, PENDING: -1, COMPLETED: 5 },
      });
      assert.deepStrictEqual(levels, ["Error"]);
    }),
  );
});
