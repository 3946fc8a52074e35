import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { assert, describe, it, layer } from "@effect/vitest";
import { Context, Effect, Layer, Schema, Scope, Stream } from "effect";
import {
  FetchHttpClient,
  HttpClient,
  HttpClientError,
  HttpClientRequest,
} from "effect/http";
import { HttpApiError } from "effect/http-api";
import { NotReady, UnavailableProblem } from "../../src/api/Problems.ts";
import { ForeignAnswer } from "../../src/client/ForeignAnswer.ts";
import {
  OrderClient,
  type OrderClientOptions,
  type OrderToPlace,
} from "../../src/client/OrderClient.ts";
import {
  type NewOrder,
  OrderId,
  TotalAmount,
  UserId,
} from "../../src/domain/Order.ts";
import {
  OrderConflict,
  OrderNotFound,
  OrderNotInStatus,
} from "../../src/domain/OrderRefusals.ts";
import { freePort } from "../support/postgresServer.ts";
import { startService, until } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

const orderOf = (order_id: string, user_id = "USER001"): OrderToPlace => ({
  order_id,
  user_id,
  item_ids: ["ITEM001", { sku: "X", count: 2 }],
  total_amount: 19.9,
});

const params = (order_id: string) => ({ params: { order_id } });

/** A service process on a database of its own, and a client of it. */
class Service extends Context.Service<Service, { readonly url: string }>()(
  "test/Service",
) {
  static readonly layer = (env: Record<string, string>) =>
    Layer.effect(
      Service,
      Effect.gen(function* () {
        const { url } = yield* TestDatabase;
        return yield* Effect.acquireRelease(
          Effect.promise(() => startService({ DATABASE_URL: url, ...env })),
          (service) => Effect.promise(() => service.stop("SIGKILL")),
        );
      }),
    ).pipe(Layer.provide(TestDatabase.layer));
}

const clientOf = (service: Layer.Layer<Service, unknown>) =>
  Layer.unwrap(
    Effect.map(Service, ({ url }) => OrderClient.layerFetch({ baseUrl: url })),
  ).pipe(Layer.provideMerge(service));

const live = { excludeTestServices: true, timeout: "60 seconds" } as const;

/** No attempt succeeds: it is cut off at once and waits for an hour. */
const ordersStayPending = {
  PROCESSING_TIME: "1 minute",
  PROCESSING_TIMEOUT: "10 millis",
  RETRY_BASE: "2 hours",
  RETRY_CAP: "2 hours",
};

const attempted = (order_id: string) =>
  Effect.gen(function* () {
    const client = yield* OrderClient;
    const run = Effect.runPromiseWith(yield* Effect.context<never>());
    return yield* Effect.promise(() =>
      until(`an attempt at ${order_id} has failed`, async () => {
        const found = await run(
          client.orders.find({ ...params(order_id), headers: {} }),
        );
        return found?.body.last_error !== null ? found?.body : undefined;
      }),
    );
  });

layer(clientOf(Service.layer(ordersStayPending)), live)(
  "the client of a service",
  (it) => {
    it.effect("places an order, and finds it as it was placed", () =>
      Effect.gen(function* () {
        const client = yield* OrderClient;
        const order: NewOrder = {
          order_id: OrderId.make("found"),
          user_id: UserId.make("USER001"),
          item_ids: ["ITEM001", { sku: "X", count: 2 }],
          total_amount: TotalAmount.make(19.9),
        };
        const placed = yield* client.orders.place({ payload: order });
        assert.notProperty(placed.headers, "idempotent-replayed");
        assert.strictEqual(placed.headers.location, "/api/orders/found/");
        assert.strictEqual(placed.body.status, "PENDING");

        const found = yield* client.orders.find({
          ...params("found"),
          headers: {},
        });
        assert.deepInclude(found?.body, order);
        assert.deepStrictEqual(found?.body.created_at, placed.body.created_at);
      }),
    );

    it.effect(
      "places an order given in plain values as the service reads it",
      () =>
        Effect.gen(function* () {
          const client = yield* OrderClient;
          const { body } = yield* client.place({
            order_id: 4711,
            user_id: " USER001 ",
            item_ids: [1],
            total_amount: "200.30",
          });
          assert.deepStrictEqual(
            [body.order_id, body.user_id, body.total_amount],
            [
              OrderId.make("4711"),
              UserId.make("USER001"),
              TotalAmount.make(200.3),
            ],
          );
        }),
    );

    it.effect("is told when it places an order that it has placed before", () =>
      Effect.gen(function* () {
        const client = yield* OrderClient;
        const first = yield* client.place(orderOf("replayed"));
        const again = yield* client.place(orderOf("replayed"));
        assert.propertyVal(again.headers, "idempotent-replayed", "true");
        assert.deepStrictEqual(again.body.created_at, first.body.created_at);
      }),
    );

    it.effect("gets nothing for an order that it knows as it is", () =>
      Effect.gen(function* () {
        const client = yield* OrderClient;
        yield* client.place(orderOf("known"));
        yield* attempted("known");
        const found = yield* client.orders.find({
          ...params("known"),
          headers: {},
        });
        assert.isDefined(found);
        const unchanged = yield* client.orders.find({
          ...params("known"),
          headers: { "if-none-match": found?.headers.etag },
        });
        assert.isUndefined(unchanged);
      }),
    );

    it.effect("cancels an order once", () =>
      Effect.gen(function* () {
        const client = yield* OrderClient;
        yield* client.place(orderOf("cancelled"));
        yield* attempted("cancelled");
        const order = yield* client.orders.cancel(params("cancelled"));
        assert.strictEqual(order.status, "CANCELLED");
        const refusal = yield* Effect.flip(
          client.orders.cancel(params("cancelled")),
        );
        assert.instanceOf(refusal, OrderNotInStatus);
        assert.strictEqual(refusal.order_status, "CANCELLED");
        assert.strictEqual(refusal.order_id, "cancelled");
      }),
    );

    it.effect(
      "fails with OrderNotInStatus when what it retries is no dead letter",
      () =>
        Effect.gen(function* () {
          const client = yield* OrderClient;
          yield* client.place(orderOf("alive"));
          yield* attempted("alive");
          const refusal = yield* Effect.flip(
            client.orders.retry(params("alive")),
          );
          assert.instanceOf(refusal, OrderNotInStatus);
          assert.strictEqual(refusal.order_status, "PENDING");
        }),
    );

    it.effect("fails with OrderConflict when the id is another order's", () =>
      Effect.gen(function* () {
        const client = yield* OrderClient;
        yield* client.place(orderOf("taken"));
        const refusal = yield* Effect.flip(
          client.place(orderOf("taken", "USER002")),
        );
        assert.instanceOf(refusal, OrderConflict);
        assert.strictEqual(refusal._tag, "OrderConflict");
        assert.strictEqual(refusal.order_id, "taken");
        assert.include(refusal.message, "other content");
      }),
    );

    it.effect("fails with OrderNotFound when there is no such order", () =>
      Effect.gen(function* () {
        const { orders } = yield* OrderClient;
        const none = params("no such");
        for (const refusal of [
          yield* Effect.flip(orders.find({ ...none, headers: {} })),
          yield* Effect.flip(orders.cancel(none)),
          yield* Effect.flip(orders.retry(none)),
        ]) {
          assert.instanceOf(refusal, OrderNotFound);
          assert.strictEqual(refusal.order_id, "no such");
        }
      }),
    );

    it.effect(
      "fails with BadRequestProblem, with every fault, when the service refuses",
      () =>
        Effect.gen(function* () {
          const { url } = yield* Service;
          // As a client of an older contract might ask.
          const outdated = sending(
            HttpClient.mapRequest(
              HttpClientRequest.setUrlParams({ limit: "0", status: "NEW" }),
            ),
          );
          const refusal = yield* OrderClient.pipe(
            Effect.flatMap((client) => client.orders.list({ query: {} })),
            Effect.provide(
              Layer.provide(OrderClient.layer({ baseUrl: url }), outdated),
            ),
            Effect.flip,
          );
          assert.instanceOf(refusal, HttpApiError.BadRequestProblem);
          assert.sameDeepMembers(
            refusal.errors?.map(({ path }) => path[1]) ?? [],
            ["limit", "status"],
          );
        }),
    );

    it.effect(
      "fails with SchemaError before it sends what breaks the contract",
      () =>
        Effect.gen(function* () {
          const client = yield* OrderClient;
          const refusal = yield* Effect.flip(
            client.orders.list({ query: { limit: 501 } }),
          );
          assert.isTrue(Schema.isSchemaError(refusal));
        }),
    );

    it.effect(
      "fails with HttpClientError where the base URL is not the service's",
      () =>
        Effect.gen(function* () {
          const { url } = yield* Service;
          const error = yield* OrderClient.pipe(
            Effect.flatMap((client) =>
              client.orders.find({ ...params("found"), headers: {} }),
            ),
            Effect.provide(OrderClient.layerFetch({ baseUrl: `${url}/v2/` })),
            Effect.flip,
          );
          assert.isTrue(HttpClientError.isHttpClientError(error));
          assert.propertyVal(
            (error as HttpClientError.HttpClientError).response,
            "status",
            404,
          );
        }),
    );

    it.effect("lists what passes a filter", () =>
      Effect.gen(function* () {
        const client = yield* OrderClient;
        const user_id = UserId.make("filtered");
        for (const order_id of ["filtered-1", "filtered-2"]) {
          yield* client.place(orderOf(order_id, user_id));
        }
        yield* attempted("filtered-1");
        yield* client.orders.cancel(params("filtered-1"));
        const { body, headers } = yield* client.orders.list({
          query: { user_id, status: ["CANCELLED", "FAILED"] },
        });
        assert.deepStrictEqual(
          body.map(({ order_id }) => order_id),
          [OrderId.make("filtered-1")],
        );
        assert.isUndefined(headers.link);
      }),
    );

    it.effect("follows all pages of a list, each when it is needed", () =>
      Effect.gen(function* () {
        const { url } = yield* Service;
        const user_id = UserId.make("paged & followed");
        const ids = ["p1", "p2", "p3", "p4", "p5"];
        const asked: Array<string> = [];
        const client = yield* OrderClient.pipe(
          Effect.provide(
            OrderClient.layer({ baseUrl: url }).pipe(
              Layer.provide(
                sending(
                  HttpClient.tapRequest((request) =>
                    Effect.sync(() => {
                      if (request.method === "GET") asked.push(request.url);
                    }),
                  ),
                ),
              ),
            ),
          ),
        );
        for (const order_id of ids) {
          yield* client.place(orderOf(order_id, user_id));
        }
        const pages = client.allOrders({ user_id, limit: 2 });
        const all = yield* Stream.runCollect(pages);
        assert.deepStrictEqual(
          all.map(({ order_id }) => String(order_id)),
          ids.toReversed(),
        );
        assert.lengthOf(asked, 3);

        const firstTwo = yield* pages.pipe(Stream.take(2), Stream.runCollect);
        assert.lengthOf(firstTwo, 2);
        assert.lengthOf(asked, 4);
      }),
    );

    it.effect("counts orders, and knows that the service is ready", () =>
      Effect.gen(function* () {
        const client = yield* OrderClient;
        const metrics = yield* client.orders.metrics();
        assert.strictEqual(metrics.total_orders_processed, 0);
        assert.isAbove(metrics.status_counts.CANCELLED, 0);
        const ready = yield* client.health.ready();
        assert.strictEqual(ready.status, "ready");
        assert.deepStrictEqual(yield* client.health.live(), { status: "live" });
      }),
    );

    it.effect(
      "gets the stored order when the answer to its placing was lost",
      () =>
        Effect.gen(function* () {
          const { url } = yield* Service;
          const proxy = yield* losingTheFirstAnswer(url);
          const placed = yield* OrderClient.pipe(
            Effect.flatMap((client) => client.place(orderOf("answer lost"))),
            Effect.provide(impatient(proxy.url)),
          );
          assert.lengthOf(proxy.requests, 2);
          assert.propertyVal(placed.headers, "idempotent-replayed", "true");
        }),
    );

    it.effect(
      "learns that its order is cancelled when the answer to its cancelling was lost",
      () =>
        Effect.gen(function* () {
          const { url } = yield* Service;
          const client = yield* OrderClient;
          yield* client.place(orderOf("cancel lost"));
          yield* attempted("cancel lost");
          const proxy = yield* losingTheFirstAnswer(url);
          const refusal = yield* OrderClient.pipe(
            Effect.flatMap(({ orders }) =>
              orders.cancel(params("cancel lost")),
            ),
            Effect.provide(impatient(proxy.url)),
            Effect.flip,
          );
          assert.lengthOf(proxy.requests, 2);
          assert.instanceOf(refusal, OrderNotInStatus);
          assert.strictEqual(refusal.order_status, "CANCELLED");
        }),
    );
  },
);

layer(
  clientOf(Service.layer({ ...ordersStayPending, MAX_ATTEMPTS: "1" })),
  live,
)("the client of a service whose orders fail", (it) => {
  it.effect("retries a dead letter", () =>
    Effect.gen(function* () {
      const client = yield* OrderClient;
      yield* client.place(orderOf("dead"));
      const dead = yield* attempted("dead");
      assert.strictEqual(dead.status, "FAILED");
      const order = yield* client.orders.retry(params("dead"));
      assert.strictEqual(order.status, "PENDING");
      assert.strictEqual(order.attempts, 0);
    }),
  );
});

describe("the client of a service whose database is away", () => {
  it.live("fails with Unavailable, and with NotReady", () =>
    Effect.gen(function* () {
      const port = yield* Effect.promise(freePort);
      const service = yield* Effect.acquireRelease(
        Effect.promise(() =>
          startService(
            { DATABASE_URL: `postgres://nobody:x@127.0.0.1:${port}/none` },
            "listening",
          ),
        ),
        (service) => Effect.promise(() => service.stop("SIGKILL")),
      );
      const client = yield* OrderClient.pipe(
        Effect.provide(
          OrderClient.layerFetch({ baseUrl: service.url, retry: { times: 0 } }),
        ),
      );
      const refusal = yield* Effect.flip(client.place(orderOf("nowhere")));
      assert.instanceOf(refusal, UnavailableProblem);
      assert.strictEqual(refusal._tag, "Unavailable");
      assert.isAtLeast(refusal.retry_after_seconds, 1);

      const notReady = yield* Effect.flip(client.health.ready());
      assert.instanceOf(notReady, NotReady);
      assert.isNotEmpty(notReady.detail);
    }),
  );
});

describe("the client of a service in trouble", () => {
  const stored = {
    ...orderOf("stored"),
    status: "PENDING",
    created_at: "2026-01-31T12:00:00Z",
    updated_at: "2026-01-31T12:00:00Z",
    processing_started_at: null,
    processing_completed_at: null,
    attempts: 0,
    next_attempt_at: null,
    last_error: null,
  };
  const created = (response: ServerResponse) =>
    response
      .writeHead(201, {
        "content-type": "application/json",
        location: "/api/orders/stored/",
        etag: '"1"',
      })
      .end(JSON.stringify(stored));

  it.live("places the same order again, no sooner than Retry-After says", () =>
    Effect.gen(function* () {
      const received: Array<{ readonly at: number; readonly body: string }> =
        [];
      const { url } = yield* server(async (request, response) => {
        received.push({ at: Date.now(), body: await bodyOf(request) });
        if (received.length > 1) return created(response);
        return response
          .writeHead(503, {
            "content-type": "application/problem+json",
            "retry-after": "1",
          })
          .end("{}");
      });
      const placed = yield* place(url);
      assert.strictEqual(placed.body.order_id, "stored");
      assert.notProperty(placed.headers, "idempotent-replayed");
      const [first, second, ...more] = received;
      assert.isEmpty(more);
      assert.strictEqual(second?.body, first?.body);
      assert.isAtLeast((second?.at ?? 0) - (first?.at ?? 0), 1000);
    }),
  );

  it.live("hands a Retry-After of an hour to its caller", () =>
    Effect.gen(function* () {
      let asked = 0;
      const { url } = yield* server((_, response) => {
        asked += 1;
        const problem = new UnavailableProblem({ retry_after_seconds: 3600 });
        response
          .writeHead(503, {
            "content-type": "application/problem+json",
            "retry-after": "3600",
          })
          .end(JSON.stringify(Schema.encodeSync(UnavailableProblem)(problem)));
      });
      const refusal = yield* Effect.flip(place(url));
      assert.instanceOf(refusal, UnavailableProblem);
      assert.strictEqual(refusal.retry_after_seconds, 3600);
      assert.strictEqual(asked, 1);
    }),
  );

  it.live("reaches a service that does not listen at first", () =>
    Effect.gen(function* () {
      const port = yield* Effect.promise(freePort);
      const refused: Array<HttpClientError.HttpClientError> = [];
      const scope = yield* Effect.scope;
      // The service starts when the first connection has been refused.
      const startsWhenRefused = sending(
        HttpClient.tapError((error) =>
          Effect.gen(function* () {
            refused.push(error);
            yield* server((_, response) => created(response), port);
          }).pipe(Effect.provideService(Scope.Scope, scope)),
        ),
      );
      const placed = yield* OrderClient.pipe(
        Effect.flatMap((client) => client.place(orderOf("stored"))),
        Effect.provide(
          OrderClient.layer(quick(`http://127.0.0.1:${port}`)).pipe(
            Layer.provide(startsWhenRefused),
          ),
        ),
      );
      assert.strictEqual(placed.body.order_id, "stored");
      assert.lengthOf(refused, 1);
    }),
  );

  it.live("asks again when an answer breaks off", () =>
    Effect.gen(function* () {
      let asked = 0;
      const { url } = yield* server((_, response) => {
        asked += 1;
        if (asked > 1) return created(response);
        response.writeHead(201, { "content-length": "1000" });
        response.write("{", () => response.destroy());
        return response;
      });
      const placed = yield* place(url);
      assert.strictEqual(placed.body.order_id, "stored");
      assert.strictEqual(asked, 2);
    }),
  );

  it.live("fails with the answer of a gateway that stays broken", () =>
    Effect.gen(function* () {
      let asked = 0;
      const { url } = yield* server((_, response) => {
        asked += 1;
        response
          .writeHead(502, { "content-type": "text/html" })
          .end("<h1>Bad Gateway</h1>");
      });
      const error = yield* Effect.flip(place(url));
      assert.isTrue(HttpClientError.isHttpClientError(error));
      assert.propertyVal(
        (error as HttpClientError.HttpClientError).response,
        "status",
        502,
      );
      assert.strictEqual(asked, 3);
    }),
  );

  it.live("fails with HttpClientError when 503 is not the service's own", () =>
    Effect.gen(function* () {
      const { url } = yield* server((_, response) => {
        response.writeHead(503, { "content-type": "text/html" }).end("away");
      });
      const error = yield* Effect.flip(place(url));
      assert.isTrue(HttpClientError.isHttpClientError(error));
      assert.propertyVal(
        (error as HttpClientError.HttpClientError).response,
        "status",
        503,
      );
    }),
  );

  it.live("follows no redirect, and says what answered and where", () =>
    Effect.gen(function* () {
      const asked: Array<string> = [];
      const { url } = yield* server((request, response) => {
        asked.push(`${request.method} ${request.url}`);
        response
          .writeHead(301, { location: `https://shop.example${request.url}` })
          .end();
      });
      const error = (yield* Effect.flip(
        place(url),
      )) as HttpClientError.HttpClientError;
      assert.instanceOf(error.reason, ForeignAnswer);
      assert.strictEqual(error.response?.status, 301);
      assert.strictEqual(
        error.message,
        `POST ${url}/api/orders/ was answered 301 with a redirect to https://shop.example/api/orders/. This is no answer that the order service gives here.`,
      );
      assert.deepStrictEqual(asked, ["POST /api/orders/"]);
    }),
  );

  it.live("fails with HttpClientError for what it cannot decode", () =>
    Effect.gen(function* () {
      const answers = [
        ["text/html", "<title>Sign in</title>"],
        ["application/json", JSON.stringify(stored).slice(0, 50)],
        ["application/json", '{"another":"service"}'],
        ["application/json", ""],
      ] as const;
      for (const [type, body] of answers) {
        const { url } = yield* server((_, response) => {
          response.writeHead(201, { "content-type": type }).end(body);
        });
        const error = (yield* Effect.flip(
          place(url),
        )) as HttpClientError.HttpClientError;
        assert.isTrue(HttpClientError.isHttpClientError(error), body);
        assert.include(error.message, `POST ${url}/api/orders/ was answered`);
        assert.match(error.message, / 201 with .* is not known\.$/);
      }
      // What cannot be sent has met no answer.
      const unsent = yield* OrderClient.pipe(
        Effect.flatMap((client) => client.place({ ...stored, item_ids: [] })),
        Effect.provide(impatient("http://127.0.0.1:9")),
        Effect.flip,
      );
      assert.isTrue(Schema.isSchemaError(unsent));
    }),
  );

  it.live("asks for health once", () =>
    Effect.gen(function* () {
      let asked = 0;
      const { url } = yield* server((_, response) => {
        asked += 1;
        response
          .writeHead(503, { "content-type": "application/problem+json" })
          .end(
            JSON.stringify(
              Schema.encodeSync(NotReady)(new NotReady({ detail: "no." })),
            ),
          );
      });
      const error = yield* OrderClient.pipe(
        Effect.flatMap(({ health }) => health.ready()),
        Effect.provide(impatient(url)),
        Effect.flip,
      );
      assert.instanceOf(error, NotReady);
      assert.strictEqual(asked, 1);
    }),
  );
});

/** A few quick sendings. */
const quick = (baseUrl: string): OrderClientOptions => ({
  baseUrl,
  retry: { times: 2, base: "10 millis" },
});

const impatient = (baseUrl: string) => OrderClient.layerFetch(quick(baseUrl));

const place = (url: string) =>
  OrderClient.pipe(
    Effect.flatMap((client) => client.place(orderOf("stored"))),
    Effect.provide(impatient(url)),
  );

/** `fetch`, with something done to each request or answer. */
const sending = (
  change: (client: HttpClient.HttpClient) => HttpClient.HttpClient,
) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, change),
  ).pipe(Layer.provide(FetchHttpClient.layer));

const bodyOf = async (request: IncomingMessage) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  return body;
};

/** An HTTP server of Node's own, gone with the scope. */
const server = (answer: RequestListener, port = 0) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>(
      (resume) => {
        const listening = createServer(answer);
        listening.listen(port, "127.0.0.1", () => {
          const address = listening.address() as AddressInfo;
          resume(
            Effect.succeed({
              url: `http://127.0.0.1:${address.port}`,
              close: () => {
                listening.close();
                listening.closeAllConnections();
              },
            }),
          );
        });
      },
    ),
    ({ close }) => Effect.sync(close),
  );

/**
 * Passes requests on to the service. The first is carried out like any other,
 * but its answer never reaches the caller.
 */
const losingTheFirstAnswer = (service: string) => {
  const requests: Array<string> = [];
  return Effect.map(
    server(async (request, response) => {
      requests.push(`${request.method} ${request.url}`);
      const isFirst = requests.length === 1;
      const answer = await fetch(`${service}${request.url}`, {
        method: request.method ?? "GET",
        headers: { "content-type": "application/json" },
        body: await bodyOf(request),
      }).catch(() => undefined);
      if (isFirst || answer === undefined) return request.socket.destroy();
      const { "content-length": _, ...headers } = Object.fromEntries(
        answer.headers,
      );
      return response
        .writeHead(answer.status, headers)
        .end(await answer.text());
    }),
    ({ url }) => ({ url, requests }),
  );
};
