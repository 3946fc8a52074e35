import { assert, describe, it } from "@effect/vitest";
import { Effect, Layer, Schema } from "effect";
import { OrderMetrics } from "../../src/api/OrdersApi.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { Orders } from "../../src/orders/Orders.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import { OrderProcessor } from "../../src/processor/OrderProcessor.ts";

describe("the metrics of orders", () => {
  it.effect(
    "are answered as the contract says when the statistics are wrong",
    () =>
      Effect.gen(function* () {
        const orders = yield* Orders;
        const metrics = yield* orders.metrics;
        assert.deepStrictEqual(metrics.status_counts, {
          PENDING: 0,
          PROCESSING: 0,
          COMPLETED: 4,
          FAILED: 0,
          CANCELLED: 0,
        });
        assert.strictEqual(metrics.average_processing_time_seconds, 0);
        yield* Schema.encodeEffect(OrderMetrics)(metrics);
      }).pipe(
        Effect.provide(
          Orders.layer.pipe(
            Layer.provide(
              Layer.mock(OrderProcessor, {
                choosePartition: () => Partition.make(0),
                handOver: () => {},
                status: () => ({
                  owned: [],
                  down: [],
                  stalled: [],
                  mailboxDepth: 0,
                  inWork: 0,
                }),
              }),
            ),
            Layer.provide(
              Layer.mock(OrderRepository, {
                tally: Effect.succeed({
                  accepted: 3,
                  archived: 0,
                  counts: {
                    PENDING: -1,
                    PROCESSING: 0,
                    COMPLETED: 4,
                    FAILED: 0,
                    CANCELLED: 0,
                  },
                  failures: 0,
                  processingSeconds: -2,
                  oldestPendingSeconds: undefined,
                }),
              }),
            ),
          ),
        ),
      ),
  );
});
