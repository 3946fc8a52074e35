/**
 * A receiver of the webhook without a socket, so that its tests can run on the
 * test's clock: it answers as `answer` says at that moment.
 */
import { Effect, Layer } from "effect";
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http";

/** A status, no connection, or no answer at all. */
export type Answer = number | "refused" | "hangs";

export interface StubReceiver {
  /** What it says from now on; `Retry-After` in seconds. */
  answer: Answer;
  retryAfter: number | undefined;
  /** Orders whose ids begin so are answered 500, always. */
  ill: string | undefined;
  /** The calls it got, by their `Idempotency-Key`. */
  readonly calls: Array<string>;
}

export const stubReceiver = (answer: Answer = 200) => {
  const receiver: StubReceiver = {
    answer,
    retryAfter: undefined,
    ill: undefined,
    calls: [],
  };
  const client = HttpClient.make((request) =>
    Effect.suspend(() => {
      const order_id = String(request.headers["idempotency-key"]);
      receiver.calls.push(order_id);
      const isIll = receiver.ill && order_id.startsWith(receiver.ill);
      if (receiver.answer === "hangs") return Effect.never;
      if (receiver.answer === "refused") {
        return Effect.fail(
          new HttpClientError.HttpClientError({
            reason: new HttpClientError.TransportError({
              request,
              cause: Object.assign(new Error("at 127.0.0.1:1"), {
                code: "ECONNREFUSED",
              }),
            }),
          }),
        );
      }
      const headers: Record<string, string> =
        receiver.retryAfter === undefined
          ? {}
          : { "retry-after": String(receiver.retryAfter) };
      const status = isIll ? 500 : receiver.answer;
      const response = new Response(null, { status, headers });
      return Effect.succeed(HttpClientResponse.fromWeb(request, response));
    }),
  );
  return { receiver, layer: Layer.succeed(HttpClient.HttpClient, client) };
};
