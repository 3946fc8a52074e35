/** The client places many orders, against a service and a connection that breaks. */
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { assert, layer } from "@effect/vitest";
import { Context, Effect, Layer } from "effect";
import {
  OrderClient,
  type OrderToPlace,
} from "../../src/client/OrderClient.ts";
import { startService } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

class Service extends Context.Service<Service, { readonly url: string }>()(
  "test/PlacingMany/Service",
) {
  static readonly layer = Layer.effect(
    Service,
    Effect.gen(function* () {
      const { url } = yield* TestDatabase;
      return yield* Effect.acquireRelease(
        Effect.promise(() => startService({ DATABASE_URL: url })),
        (service) => Effect.promise(() => service.stop("SIGKILL")),
      );
    }),
  ).pipe(Layer.provide(TestDatabase.layer));
}

const subject = Layer.unwrap(
  Effect.map(Service, ({ url }) => OrderClient.layerFetch({ baseUrl: url })),
).pipe(Layer.provideMerge(Service.layer));

const orderOf = (order_id: string, user_id = "USER001"): OrderToPlace => ({
  order_id,
  user_id,
  item_ids: ["ITEM001"],
  total_amount: 19.9,
});

const statusesOf = (entries: ReadonlyArray<{ readonly status: number }>) =>
  entries.map(({ status }) => status);

/** In front of a service: the first answer is lost once it was given. */
const losingFirstAnswer = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<{
          readonly url: string;
          readonly asked: () => number;
          readonly stop: () => void;
        }>((resolve) => {
          let asked = 0;
          const server = createServer((incoming, outgoing) => {
            asked += 1;
            const isLost = asked === 1;
            const { headers, method } = incoming;
            const sent = request(
              `${url}${incoming.url}`,
              { method: method ?? "GET", headers },
              (answer) => {
                if (isLost) {
                  answer.resume();
                  answer.on("end", () => incoming.socket.destroy());
                  return;
                }
                outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
                answer.pipe(outgoing);
              },
            );
            incoming.pipe(sent);
          });
          server.listen(0, "127.0.0.1", () => {
            const { port } = server.address() as AddressInfo;
            resolve({
              url: `http://127.0.0.1:${port}`,
              asked: () => asked,
              stop: () => {
                server.closeAllConnections();
                server.close();
              },
            });
          });
        }),
    ),
    ({ stop }) => Effect.sync(stop),
  );

layer(subject, { excludeTestServices: true, timeout: "60 seconds" })(
  "the client places many orders",
  (it) => {
    it.effect("and tells what came of each, as the contract has it", () =>
      Effect.gen(function* () {
        const { placeMany } = yield* OrderClient;
        assert.deepStrictEqual(yield* placeMany([]), []);
        const entries = yield* placeMany([
          orderOf("a"),
          { ...orderOf("b"), total_amount: "1.001" },
          orderOf("a"),
          orderOf("a", "other"),
          { ...orderOf("c"), order_id: 12 },
        ]);
        assert.deepStrictEqual(
          entries.map(({ order_id, status }) => [order_id, status]),
          [
            ["a", 201],
            ["b", 400],
            ["a", 200],
            ["a", 409],
            ["12", 201],
          ],
        );
        // Times are times, not text: the entries have been read.
        assert.isNumber(entries[0]?.order?.created_at.epochMilliseconds);
        assert.deepStrictEqual(entries[1]?.problem?.errors, [
          {
            path: ["payload", "total_amount"],
            message: "must have at most two decimals",
          },
        ]);
        assert.strictEqual(
          entries[3]?.problem?.type,
          "urn:order-service:order-conflict",
        );
        const minimal = yield* placeMany([orderOf("a")], { minimal: true });
        assert.deepStrictEqual(minimal, [{ order_id: "a", status: 200 }]);
      }),
    );

    it.effect("in parts, where they are more than a request takes", () =>
      Effect.gen(function* () {
        const { placeMany } = yield* OrderClient;
        const ids = Array.from(
          { length: 1_101 },
          (_, index) => `part-${index}`,
        );
        const orders = ids.map((id) => orderOf(id));
        const entries = yield* placeMany(orders, { minimal: true });
        assert.deepStrictEqual(
          entries,
          ids.map((order_id) => ({ order_id, status: 201 })),
        );
        const tooMany = yield* Effect.flip(placeMany(orders, { atomic: true }));
        assert.strictEqual(tooMany._tag, "BadRequestProblem");
      }),
    );

    it.effect("all or none, and none where one is in the way", () =>
      Effect.gen(function* () {
        const client = yield* OrderClient;
        const refused = yield* Effect.flip(
          client.placeMany([orderOf("x"), orderOf("x", "other")], {
            atomic: true,
          }),
        );
        assert.strictEqual(refused._tag, "OrdersConflict");
        assert.deepStrictEqual(
          refused._tag === "OrdersConflict" && refused.errors[0]?.path,
          ["payload", 1, "order_id"],
        );
        const gone = yield* Effect.flip(
          client.orders.find({ params: { order_id: "x" }, headers: {} }),
        );
        assert.strictEqual(gone._tag, "OrderNotFound");
        const placed = yield* client.placeMany([orderOf("x"), orderOf("y")], {
          atomic: true,
        });
        assert.deepStrictEqual(statusesOf(placed), [201, 201]);
      }),
    );

    it.effect("from lines as they are, each with its own entry", () =>
      Effect.gen(function* () {
        const client = yield* OrderClient;
        const line = (order_id: string, amount: string) =>
          `{"order_id":${order_id},"user_id":1,"item_ids":[1],"total_amount":${amount}}`;
        const long = "123456789012345678901234567890";
        const entries = yield* client.placeLines([
          line(long, "19.90"),
          "",
          "no JSON",
          line('"rounded"', "0.300000000000000001"),
          `${line('"one"', "1")}\n${line('"two"', "2")}`,
          line('"last"', "1"),
        ]);
        assert.deepStrictEqual(
          entries.map(({ order_id, status }) => [order_id, status]),
          [
            [long, 201],
            [null, 400],
            [null, 400],
            ["rounded", 400],
            [null, 400],
            ["last", 201],
          ],
        );
        assert.isTrue(entries.every(({ order }) => order === undefined));
        const found = yield* client.orders.find({
          params: { order_id: long },
          headers: {},
        });
        assert.strictEqual(found?.body.total_amount, 19.9);
        const blank = yield* client.placeLines([" "]);
        assert.deepStrictEqual(blank, entries.slice(1, 2));
      }),
    );

    it.effect("once, though the answer was lost and they were sent again", () =>
      Effect.gen(function* () {
        const { url } = yield* Service;
        for (const atomic of [false, true]) {
          const proxy = yield* losingFirstAnswer(url);
          const ids = [`lost-${atomic}-1`, `lost-${atomic}-2`];
          const entries = yield* Effect.flatMap(OrderClient, ({ placeMany }) =>
            placeMany(
              ids.map((id) => orderOf(id)),
              { atomic },
            ),
          ).pipe(
            Effect.provide(
              OrderClient.layerFetch({
                baseUrl: proxy.url,
                retry: { base: "1 millis" },
              }),
            ),
          );
          assert.strictEqual(proxy.asked(), 2);
          assert.deepStrictEqual(statusesOf(entries), [200, 200]);
          assert.deepStrictEqual(
            entries.map(({ order }) => String(order?.order_id)),
            ids,
          );
        }
      }).pipe(Effect.scoped),
    );
  },
);
