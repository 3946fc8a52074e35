/** One delivery: how it is signed, and what is told of its end. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { assert, describe, it } from "@effect/vitest";
import { Duration, Effect, Fiber, Layer } from "effect";
import { HttpClient, HttpClientError } from "effect/http";
import { TestClock } from "effect/testing";
import { Webhook } from "standardwebhooks";
import {
  deliveryTimeout,
  SubscriptionDelivery,
} from "../../src/events/SubscriptionDelivery.ts";
import * as ReceiverClient from "../../src/platform/ReceiverClient.ts";

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const posted = { id: "sub_1_a_b", body: '[{"type":"order.placed"}]' };

const deliver = (url: string) =>
  Effect.gen(function* () {
    const delivery = yield* SubscriptionDelivery;
    const post = yield* delivery.to({ url, secret });
    return yield* post(posted);
  });

/** A receiver that checks what it gets, as any receiver would. */
const receiver = (answer: {
  status: number;
  headers?: Record<string, string>;
}) =>
  Effect.acquireRelease(
    Effect.callback<{
      readonly url: string;
      readonly got: Array<{ type: string | undefined; events: unknown }>;
      readonly close: () => void;
    }>((resume) => {
      const got: Array<{ type: string | undefined; events: unknown }> = [];
      const server = createServer((request, response) => {
        let body = "";
        request.on("data", (chunk) => {
          body += chunk;
        });
        request.on("end", () => {
          const { headers } = request;
          got.push({
            type: headers["content-type"],
            events: new Webhook(secret).verify(
              body,
              headers as Record<string, string>,
            ),
          });
          assert.strictEqual(headers["webhook-id"], posted.id);
          response.writeHead(answer.status, answer.headers);
          response.end("words of the receiver, at /hook?token=t0ken");
        });
      });
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo;
        resume(
          Effect.succeed({
            url: `http://127.0.0.1:${port}/hook?token=t0ken`,
            got,
            close: () => {
              server.closeAllConnections();
              server.close();
            },
          }),
        );
      });
    }),
    ({ close }) => Effect.sync(close),
  );

const toAny = SubscriptionDelivery.layer.pipe(
  Layer.provide(ReceiverClient.layer("any")),
);

describe("a delivery", () => {
  it.live("is a batch of CloudEvents that a receiver can verify", () =>
    Effect.gen(function* () {
      const { got, url } = yield* receiver({ status: 204 });
      assert.deepStrictEqual(yield* deliver(url), {
        status: 204,
        error: null,
        retryAfter: undefined,
      });
      assert.deepStrictEqual(got, [
        {
          type: "application/cloudevents-batch+json",
          events: [{ type: "order.placed" }],
        },
      ]);
    }).pipe(Effect.provide(toAny)),
  );

  it.live.each([301, 400, 410, 429, 500, 503])(
    "that is answered %i has failed, in words that tell nothing else",
    (status) =>
      Effect.gen(function* () {
        const headers = { "retry-after": "7", location: "/elsewhere" };
        const { got, url } = yield* receiver({ status, headers });
        const { error, retryAfter, ...rest } = yield* deliver(url);
        assert.strictEqual(error, `the receiver answered ${status}`);
        assert.strictEqual(rest.status, status);
        assert.strictEqual(Duration.toSeconds(retryAfter ?? 0), 7);
        assert.strictEqual(got.length, 1);
      }).pipe(Effect.provide(toAny)),
  );

  it.live("that nobody answers has failed with a code", () =>
    Effect.gen(function* () {
      const { close, url } = yield* receiver({ status: 200 });
      close();
      const { error, status } = yield* deliver(url);
      assert.strictEqual(error, "the receiver did not answer: ECONNREFUSED");
      assert.isNull(status);
    }).pipe(Effect.provide(toAny)),
  );

  it.live("to a private address is refused where that is not allowed", () =>
    Effect.gen(function* () {
      const { got, url } = yield* receiver({ status: 200 });
      const { error } = yield* deliver(url);
      assert.match(error ?? "", /private address.*SUBSCRIPTIONS_TO/);
      assert.deepStrictEqual(got, []);
    }).pipe(
      Effect.provide(
        SubscriptionDelivery.layer.pipe(
          Layer.provide(ReceiverClient.layer("public")),
        ),
      ),
    ),
  );

  it.effect("is given up after 30 s", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.forkChild(
        deliver("https://receiver.example/"),
      );
      yield* TestClock.adjust(deliveryTimeout);
      const { error } = yield* Fiber.join(waiting);
      assert.strictEqual(error, "the receiver did not answer within 30s");
    }).pipe(
      Effect.provide(
        SubscriptionDelivery.layer.pipe(
          Layer.provide(
            Layer.succeed(
              HttpClient.HttpClient,
              HttpClient.make(() => Effect.never),
            ),
          ),
        ),
      ),
    ),
  );

  it.live("that fails in other words tells none of them", () =>
    Effect.gen(function* () {
      const { error } = yield* deliver("https://receiver.example/?token=t0ken");
      assert.strictEqual(error, "the receiver did not answer: Error");
    }).pipe(
      Effect.provide(
        SubscriptionDelivery.layer.pipe(
          Layer.provide(
            Layer.succeed(
              HttpClient.HttpClient,
              HttpClient.make((request) =>
                Effect.fail(
                  new HttpClientError.HttpClientError({
                    reason: new HttpClientError.TransportError({
                      request,
                      cause: new Error("at https://receiver.example/?token"),
                    }),
                  }),
                ),
              ),
            ),
          ),
        ),
      ),
    ),
  );
});
