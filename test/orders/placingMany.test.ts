/** Many orders are placed, counted and handed over, each as if it were alone. */
import { assert, describe, it } from "@effect/vitest";
import { Effect, Layer, Metric, Result } from "effect";
import { OrderId, TotalAmount, UserId } from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { Orders } from "../../src/orders/Orders.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import { OrderProcessor } from "../../src/processor/OrderProcessor.ts";

const orderOf = (order_id: string, user_id = "u") => ({
  order_id: OrderId.make(order_id),
  user_id: UserId.make(user_id),
  item_ids: ["item"],
  total_amount: TotalAmount.make(1),
});

const subject = Effect.gen(function* () {
  const handedOver: Array<string> = [];
  let chosen = 0;
  const layer = Orders.layer.pipe(
    Layer.provide([
      OrderRepositoryMemory.layer,
      Layer.mock(OrderProcessor, {
        choosePartition: () => Partition.make(chosen++ % 32),
        status: () => assert.fail("nobody asks"),
        handOver: (partition, order_id, item_bytes) => {
          handedOver.push(`${order_id} in ${partition}, ${item_bytes} bytes`);
        },
      }),
    ]),
  );
  const orders = yield* Effect.provide(Orders, layer);
  return { handedOver, orders };
});

/** How many orders this process has placed, by what came of it. */
const counts = Effect.map(Metric.snapshot, (metrics) =>
  Object.fromEntries(
    metrics.flatMap(({ attributes, id, state }) =>
      id === "orders_placed_total" && "count" in state
        ? [[String(attributes?.outcome), Number(state.count)]]
        : [],
    ),
  ),
);

const counted = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* counts;
    yield* work;
    const after = yield* counts;
    return ["created", "replayed", "conflict"].map(
      (outcome) => (after[outcome] ?? 0) - (before[outcome] ?? 0),
    );
  });

describe("placing many orders", () => {
  it.effect("hands over and counts each that is new, once", () =>
    Effect.gen(function* () {
      const { handedOver, orders } = yield* subject;
      const batch = [
        orderOf("a"),
        orderOf("b"),
        orderOf("a"),
        orderOf("b", "other"),
      ];
      const answers = yield* orders.placeMany(batch);
      assert.deepStrictEqual(
        answers.map(
          Result.match({
            onSuccess: ({ isNew, order }) => `${order.order_id} ${isNew}`,
            onFailure: ({ _tag }) => _tag,
          }),
        ),
        ["a true", "b true", "a false", "OrderConflict"],
      );
      assert.deepStrictEqual(handedOver, [
        "a in 0, 8 bytes",
        "b in 1, 8 bytes",
      ]);
      assert.deepStrictEqual(
        yield* counted(orders.placeMany(batch)),
        [0, 3, 1],
      );
      assert.deepStrictEqual(
        yield* counted(orders.placeMany([orderOf("c"), orderOf("c")])),
        [1, 1, 0],
      );
    }),
  );

  it.effect("hands over all of them, or none", () =>
    Effect.gen(function* () {
      const { handedOver, orders } = yield* subject;
      yield* orders.place(orderOf("a"));
      handedOver.length = 0;
      const refused = yield* Effect.flip(
        orders.placeAllOrNone([orderOf("b"), orderOf("a", "other")]),
      );
      assert.strictEqual(refused._tag, "OrdersConflict");
      assert.deepStrictEqual(handedOver, []);
      const batch = [orderOf("a"), orderOf("b"), orderOf("b")];
      assert.deepStrictEqual(
        yield* counted(orders.placeAllOrNone(batch)),
        [1, 2, 0],
      );
      assert.deepStrictEqual(handedOver, ["b in 4, 8 bytes"]);
    }),
  );
});
