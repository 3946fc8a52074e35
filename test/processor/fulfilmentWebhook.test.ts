import { createServer, type IncomingMessage, type Server } from "node:http";
import { assert, describe, it } from "@effect/vitest";
import { DateTime, Duration, Effect, Exit, Layer, Redacted } from "effect";
import { Webhook } from "standardwebhooks";
import type { Order } from "../../src/domain/Order.ts";
import * as ReceiverClient from "../../src/platform/ReceiverClient.ts";
import {
  Fulfilment,
  FulfilmentFailed,
  FulfilmentUnavailable,
} from "../../src/processor/Fulfilment.ts";
import * as FulfilmentWebhook from "../../src/processor/FulfilmentWebhook.ts";
import { orderInWork as order } from "./orderInWork.ts";

const secret = Redacted.make("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

interface Received {
  readonly request: IncomingMessage;
  readonly body: string;
}

/** A receiver on a port of its own, that answers as `answer` does. */
const receiver = (
  answer: (
    received: Received,
    response: Parameters<Parameters<typeof createServer>[1] & object>[1],
  ) => void,
) =>
  Effect.acquireRelease(
    Effect.callback<{ url: URL; received: Array<Received>; server: Server }>(
      (resume) => {
        const received: Array<Received> = [];
        const server = createServer((request, response) => {
          let body = "";
          request.on("data", (chunk) => {
            body += chunk;
          });
          request.on("end", () => {
            received.push({ request, body });
            answer({ request, body }, response);
          });
        });
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as { port: number };
          const url = new URL(`http://127.0.0.1:${port}/fulfil`);
          resume(Effect.succeed({ url, received, server }));
        });
      },
    ),
    ({ server }) =>
      Effect.callback<void>((resume) => {
        server.closeAllConnections();
        server.close(() => resume(Effect.void));
      }),
  );

const fulfilmentAt = (
  url: URL,
  timeout: Duration.Duration = Duration.seconds(5),
) =>
  Layer.build(
    FulfilmentWebhook.layer({ url: Redacted.make(url), secret, timeout }).pipe(
      Layer.provide(ReceiverClient.layer("any")),
    ),
  ).pipe(
    Effect.map((context) => context.mapUnsafe.get(Fulfilment.key)),
    Effect.map((service) => service as Fulfilment["Service"]),
  );

/** How an attempt ends that the receiver answers with `status`. */
const answered = (status: number, headers: Record<string, string> = {}) =>
  Effect.gen(function* () {
    const { received, url } = yield* receiver((_, response) => {
      response.writeHead(status, headers).end("because\nof this");
    });
    const fulfilment = yield* fulfilmentAt(url);
    const exit = yield* Effect.exit(fulfilment.fulfil(order()));
    return { exit, received };
  });

describe("the fulfilment webhook", () => {
  it.live("posts the order with what a receiver needs to trust it", () =>
    Effect.gen(function* () {
      const { exit, received } = yield* answered(204);
      assert.isTrue(Exit.isSuccess(exit));
      assert.strictEqual(received.length, 1);
      const [{ body, request }] = received as [Received];
      assert.strictEqual(request.method, "POST");
      assert.strictEqual(request.headers["idempotency-key"], "ORD001");
      assert.strictEqual(request.headers["content-type"], "application/json");
      // The reference implementation checks signature and time stamp.
      const payload = new Webhook(Redacted.value(secret)).verify(
        body,
        request.headers as Record<string, string>,
      ) as Record<string, unknown>;
      assert.strictEqual(payload.order_id, "ORD001");
      assert.strictEqual(payload.attempt, 3);
      assert.strictEqual(payload.total_amount, 19.9);
      assert.deepStrictEqual(payload.item_ids, order().item_ids);
    }).pipe(Effect.scoped),
  );

  it.live.each([301, 307, 401, 403, 404, 408, 409, 425, 500, 501])(
    "has an attempt answered %d tried again, and spends it",
    (status) =>
      Effect.gen(function* () {
        const { exit, received } = yield* answered(status, {
          location: "/elsewhere",
        });
        const error = yield* Effect.flip(exit);
        assert.instanceOf(error, FulfilmentFailed);
        assert.isUndefined((error as FulfilmentFailed).final);
        assert.strictEqual(error.message, `the receiver answered ${status}`);
        // And follows no redirect.
        assert.strictEqual(received.length, 1);
      }).pipe(Effect.scoped),
  );

  it.live.each([429, 502, 503, 504])(
    "spends no attempt on an answer %d",
    (status) =>
      Effect.gen(function* () {
        const { exit } = yield* answered(status);
        const error = yield* Effect.flip(exit);
        assert.instanceOf(error, FulfilmentUnavailable);
        assert.isUndefined((error as FulfilmentUnavailable).pause);
        assert.strictEqual(error.message, `the receiver answered ${status}`);
      }).pipe(Effect.scoped),
  );

  it.live.each([400, 402, 410, 422])("takes an answer %d as final", (status) =>
    Effect.gen(function* () {
      const { exit } = yield* answered(status);
      const error = yield* Effect.flip(exit);
      assert.isTrue((error as FulfilmentFailed).final);
    }).pipe(Effect.scoped),
  );

  it.live("waits as long as Retry-After asks", () =>
    Effect.gen(function* () {
      for (const status of [500, 503]) {
        const { exit } = yield* answered(status, { "retry-after": "1200" });
        const error = (yield* Effect.flip(exit)) as FulfilmentUnavailable;
        assert.strictEqual(Duration.toSeconds(error.retryAfter ?? 0), 1200);
      }
    }).pipe(Effect.scoped),
  );

  it.live("spends no attempt on a call that reached nobody", () =>
    Effect.gen(function* () {
      const { server, url } = yield* receiver(() => {});
      yield* Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void));
      });
      const fulfilment = yield* fulfilmentAt(url);
      const error = yield* Effect.flip(fulfilment.fulfil(order()));
      assert.instanceOf(error, FulfilmentUnavailable);
      assert.strictEqual(
        error.message,
        "the receiver did not answer: ECONNREFUSED",
      );
    }).pipe(Effect.scoped),
  );

  it.live.each([
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(2),
  ])("passes over interim answers: %j", (interim) =>
    Effect.gen(function* () {
      const { url } = yield* receiver((_, response) => {
        response.socket?.write(
          `${interim}HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n`,
        );
      });
      const fulfilment = yield* fulfilmentAt(url);
      const error = yield* Effect.flip(fulfilment.fulfil(order()));
      assert.strictEqual(error.message, "the receiver answered 422");
    }).pipe(Effect.scoped),
  );

  it.live.each([
    "token t0ken, not HTTP\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
  ])("spends an attempt on what is not HTTP after a day: %j", (bytes) =>
    Effect.gen(function* () {
      const { url } = yield* receiver((_, response) => {
        response.socket?.end(bytes);
      });
      const fulfilment = yield* fulfilmentAt(url);
      const failed = (order: Order) => Effect.flip(fulfilment.fulfil(order));
      const young = { ...order(), created_at: yield* DateTime.now };
      const first = yield* failed(young);
      assert.match(
        first.message,
        /^the receiver's answer is not HTTP \(HPE_\w+\)$/,
      );
      const last_error = first.message;
      // Of an order of today, or one that waited for something else so far.
      for (const one of [{ ...young, last_error }, order()]) {
        assert.instanceOf(yield* failed(one), FulfilmentUnavailable);
      }
      assert.instanceOf(
        yield* failed({ ...order(), last_error }),
        FulfilmentFailed,
      );
    }).pipe(Effect.scoped),
  );

  it.live("gives a receiver up that never answers", () =>
    Effect.gen(function* () {
      const { url } = yield* receiver(() => {});
      const fulfilment = yield* fulfilmentAt(url, Duration.millis(50));
      const error = yield* Effect.flip(fulfilment.fulfil(order()));
      assert.instanceOf(error, FulfilmentUnavailable);
      assert.match(error.message, /did not answer within/);
    }).pipe(Effect.scoped),
  );

  it.live("reads no more of an endless answer than it needs", () =>
    Effect.gen(function* () {
      let poured = 0;
      const { url } = yield* receiver((_, response) => {
        response.writeHead(500);
        const pour = () => {
          while (!response.destroyed && response.write("x".repeat(10_000))) {
            poured += 10_000;
          }
          if (!response.destroyed) response.once("drain", pour);
        };
        pour();
      });
      const fulfilment = yield* fulfilmentAt(url);
      const error = yield* Effect.flip(fulfilment.fulfil(order()));
      assert.strictEqual(error.message, "the receiver answered 500");
      // Beyond what was read it filled what lies between.
      assert.isBelow(poured, 16 * 2 ** 20);
    }).pipe(Effect.scoped),
  );

  it.live.each([301, 401, 404, 408, 429, 500, 503])(
    "leaves a receiver alone that answered %d ten times in a row",
    (status) =>
      Effect.gen(function* () {
        const { received, url } = yield* receiver((_, response) => {
          response.writeHead(status).end();
        });
        const fulfilment = yield* fulfilmentAt(url);
        for (let attempt = 0; attempt < 10; attempt++) {
          const error = yield* Effect.flip(fulfilment.fulfil(order()));
          assert.isFalse("pause" in error);
        }
        const error = yield* Effect.flip(fulfilment.fulfil(order()));
        assert.instanceOf(error, FulfilmentUnavailable);
        assert.isAbove(
          Duration.toMillis((error as FulfilmentUnavailable).pause ?? 0),
          0,
        );
        assert.strictEqual(received.length, 10);
      }).pipe(Effect.scoped),
  );

  it.live("keeps on calling a receiver that refuses orders", () =>
    Effect.gen(function* () {
      const { received, url } = yield* receiver((_, response) => {
        response.writeHead(422).end();
      });
      const fulfilment = yield* fulfilmentAt(url);
      for (let attempt = 0; attempt < 30; attempt++) {
        yield* Effect.flip(fulfilment.fulfil(order()));
      }
      assert.strictEqual(received.length, 30);
    }).pipe(Effect.scoped),
  );

  it.live("calls for orders whose ids no header can carry", () =>
    Effect.gen(function* () {
      const { received, url } = yield* receiver((_, response) => {
        response.writeHead(200).end();
      });
      const fulfilment = yield* fulfilmentAt(url);
      for (const id of ["Bestellung 1", "注文😀", "100%", "100%25"]) {
        yield* fulfilment.fulfil(order(id));
      }
      const keys = received.map((_) => _.request.headers["idempotency-key"]);
      assert.strictEqual(new Set(keys).size, 4);
      assert.deepStrictEqual(
        keys.map((key) => decodeURIComponent(String(key))),
        ["Bestellung 1", "注文😀", "100%", "100%25"],
      );
    }).pipe(Effect.scoped),
  );
});
