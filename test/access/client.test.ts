/** The typed client, where the service needs keys. */
import { assert, describe, it } from "@effect/vitest";
import { Effect, Redacted } from "effect";
import { OrderClient } from "../../src/client/OrderClient.ts";
import { startService } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

const adminKey = "an-admin-key-of-more-than-32-characters";

const order = {
  order_id: "ORD001",
  user_id: "USER001",
  item_ids: ["ITEM001"],
  total_amount: 19.9,
};

describe("OrderClient", () => {
  it.live("shows its key, and fails with what the service says", () =>
    Effect.gen(function* () {
      const { url } = yield* TestDatabase;
      const service = yield* Effect.acquireRelease(
        Effect.promise(() =>
          startService({
            DATABASE_URL: url,
            ACCESS: "keys",
            ADMIN_KEY: adminKey,
          }),
        ),
        (started) => Effect.promise(() => started.stop("SIGKILL")),
      );
      const as = <A, E>(
        key: string | Redacted.Redacted | undefined,
        use: (client: OrderClient["Service"]) => Effect.Effect<A, E>,
      ) =>
        Effect.provide(
          Effect.flatMap(OrderClient, use),
          OrderClient.layerFetch({ baseUrl: service.url, key }),
        );

      const none = yield* Effect.flip(as(undefined, (_) => _.place(order)));
      assert.strictEqual(none._tag, "KeyRequired");
      assert.strictEqual(
        (yield* as(undefined, (_) => _.health.live())).status,
        "live",
      );
      const made = yield* as(Redacted.make(adminKey), ({ keys }) =>
        keys.make({ payload: { name: "shop", scopes: ["orders:place"] } }),
      );
      const { body } = yield* as(made.key, (_) => _.place(order));
      assert.strictEqual(body.order_id, "ORD001");
      const refused = yield* Effect.flip(
        as(made.key, ({ orders }) => orders.metrics()),
      );
      assert.deepInclude(refused, {
        _tag: "ScopeMissing",
        scope: "orders:read",
      });
      yield* as(adminKey, ({ keys }) =>
        keys.revoke({ params: { key_id: made.id } }),
      );
      const gone = yield* Effect.flip(as(made.key, (_) => _.place(order)));
      assert.strictEqual(gone._tag, "KeyRequired");
      const [listed] = yield* as(adminKey, ({ keys }) => keys.list());
      assert.strictEqual(listed?.name, "shop");
      assert.isNotNull(listed?.revoked_at);
    }).pipe(Effect.provide(TestDatabase.layer)),
  );
});
