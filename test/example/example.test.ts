import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import type { Order } from "../../src/domain/Order.ts";
import { startService, until } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

describe("the example of work of one's own", () => {
  it.live("packs what there is and gives up on what is sold out", () =>
    Effect.gen(function* () {
      const { url } = yield* TestDatabase;
      const service = yield* Effect.acquireRelease(
        Effect.promise(() =>
          startService({ DATABASE_URL: url }, "ready", {
            main: "test/example/main.ts",
          }),
        ),
        (service) => Effect.promise(() => service.stop()),
      );
      const finalStatus = (order_id: string, item: string) =>
        Effect.promise(async () => {
          await fetch(`${service.url}/api/orders/`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({
              order_id,
              user_id: 1,
              item_ids: [item],
              total_amount: 1,
            }),
          });
          return until("a final status", async () => {
            const found = await fetch(`${service.url}/api/orders/${order_id}`);
            const order = (await found.json()) as Order;
            return /COMPLETED|FAILED/.test(order.status) && order;
          });
        });
      const packed = yield* finalStatus("A", "ITEM001");
      assert.strictEqual(packed.status, "COMPLETED");
      const refused = yield* finalStatus("B", "SOLD-OUT");
      assert.strictEqual(refused.status, "FAILED");
      assert.strictEqual(refused.last_error, "sold out");
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
  );
});
