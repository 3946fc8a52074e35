/**
 * The work is somebody else's: each attempt is one POST of the order to a
 * receiver, signed as Standard Webhooks says. The receiver is called at least
 * once for each order, and tells repeats by `Idempotency-Key`.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks
 */
import {
  ByteSize,
  Cause,
  Clock,
  Data,
  Duration,
  Effect,
  Layer,
  Redacted,
  Result,
  Schedule,
  Schema,
  Stream,
} from "effect";
import { Mac, SecureRandom } from "effect/crypto";
import { Base64 } from "effect/encoding";
import {
  FetchHttpClient,
  Headers,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse,
} from "effect/http";
import { CircuitBreaker } from "effect/persistence";
import { Order } from "../domain/Order.ts";
import {
  Fulfilment,
  FulfilmentFailed,
  FulfilmentUnavailable,
} from "./Fulfilment.ts";

export interface FulfilmentWebhookOptions {
  readonly url: URL;
  /** `whsec_` and the key in base64; left out, nothing is signed. */
  readonly secret: Redacted.Redacted | undefined;
  /** The longest the receiver may take: less than an attempt may. */
  readonly timeout: Duration.Duration;
}

/** The secret is not what Standard Webhooks says it is. */
export class BadSecret extends Schema.TaggedError<BadSecret>()("BadSecret", {
  message: Schema.String,
}) {}

/**
 * The receiver did not answer, or says that it cannot. Other failures are about
 * the one order: whoever answers 500 to an order is there.
 */
class ReceiverAway extends Data.TaggedError("ReceiverAway")<{
  readonly message: string;
  readonly retryAfter?: Duration.Duration | undefined;
}> {}

const isAway = (status: number) =>
  status === 429 || (status >= 502 && status <= 504);

/** Answers that say "not now" rather than "no". */
const isRetryable = (status: number) =>
  status === 408 || status === 425 || status === 429 || status >= 500;

/** So much of an answer's body is read at most. */
const bodySizeMax = ByteSize.kibibytes(64);

/** So much of a refusal's body is kept for `last_error`. */
const reasonCharactersMax = 500;

/** So many failures on end, and the receiver is left alone for a while. */
const failuresInARow = 10;

/** For how long: a second at first, a quarter of a minute when it stays away. */
const openDuration = Schedule.min([
  Schedule.exponential("1 second"),
  Schedule.spaced("15 seconds"),
]);

const encodeOrder = Schema.encodeSync(Order);
const utf8 = new TextEncoder();

/** Signs `id.timestamp.body`: the value of `webhook-signature`. */
export type Sign = (
  id: string,
  timestamp: number,
  body: string,
) => Effect.Effect<string>;

export const makeSign = Effect.fnUntraced(function* (
  secret: Redacted.Redacted,
): Effect.fn.Return<Sign, BadSecret, Mac.Mac> {
  const mac = yield* Mac.Mac;
  const bytes = Base64.decode(Redacted.value(secret).replace(/^whsec_/, ""));
  if (Result.isFailure(bytes) || bytes.success.length === 0) {
    return yield* new BadSecret({
      message:
        'FULFILLMENT_SECRET must be "whsec_" followed by the key in base64.',
    });
  }
  const key = yield* Effect.orDie(Mac.key(Mac.hmacSha256, bytes.success));
  return (id, timestamp, body) =>
    mac.sign(key, utf8.encode(`${id}.${timestamp}.${body}`)).pipe(
      Effect.map((tag) => `v1,${Base64.encode(tag)}`),
      Effect.orDie,
    );
});

/**
 * An id as a header can carry it. Header values are ASCII, ids are not: what
 * is not is percent-encoded, and `%` with it, so that no two ids look alike.
 */
export const headerOf = (order_id: string): string =>
  /^[!-$&-~]+$/.test(order_id) ? order_id : encodeURIComponent(order_id);

const make = Effect.fnUntraced(function* (options: FulfilmentWebhookOptions) {
  const client = yield* HttpClient.HttpClient;
  const breaker = yield* CircuitBreaker.make({
    tripPolicy: CircuitBreaker.consecutive(failuresInARow),
    openDuration,
    maxOpenDuration: "5 minutes",
  });
  const sign =
    options.secret === undefined ? undefined : yield* makeSign(options.secret);

  const post = Effect.fnUntraced(function* (order: Order) {
    const id = headerOf(order.order_id);
    const body = JSON.stringify({
      ...encodeOrder(order),
      attempt: order.attempts,
    });
    const now = yield* Clock.currentTimeMillis;
    const timestamp = Math.floor(now / 1000);
    const request = HttpClientRequest.post(options.url).pipe(
      HttpClientRequest.bodyText(body, "application/json"),
      HttpClientRequest.setHeaders({
        "idempotency-key": id,
        "webhook-id": id,
        "webhook-timestamp": String(timestamp),
        ...(sign === undefined
          ? {}
          : { "webhook-signature": yield* sign(id, timestamp, body) }),
      }),
    );
    return yield* client.execute(request).pipe(
      Effect.mapError(
        (error: HttpClientError.HttpClientError) =>
          new ReceiverAway({
            message: `the receiver cannot be reached: ${rootMessage(error)}`,
          }),
      ),
      Effect.flatMap(outcomeOf),
      Effect.scoped,
      Effect.timeoutOrElse({
        duration: options.timeout,
        orElse: () =>
          new ReceiverAway({
            message: `the receiver did not answer within ${Duration.format(options.timeout)}`,
          }),
      }),
    );
  });

  return Fulfilment.of({
    fulfil: (order) =>
      breaker
        .execute(post(order), {
          key: "receiver",
          classify: (exit) => {
            if (exit._tag === "Success") return CircuitBreaker.success;
            const error = Cause.squash(exit.cause);
            return error instanceof ReceiverAway
              ? CircuitBreaker.failure({ retryAfter: error.retryAfter })
              : CircuitBreaker.success;
          },
        })
        .pipe(
          Effect.catchTags({
            ReceiverAway: ({ message, retryAfter }) =>
              Effect.fail(failed(message, retryAfter)),
            CircuitBreakerError: ({ reason }) =>
              Effect.fail(
                new FulfilmentUnavailable({
                  message: "the receiver is away and is left alone for a while",
                  retryAfter:
                    reason._tag === "CircuitOpen"
                      ? Duration.max(reason.retryAfter, Duration.millis(200))
                      : Duration.seconds(1),
                }),
              ),
          }),
        ),
  });
});

/** What an answer means: nothing, when it is done. */
const outcomeOf = Effect.fnUntraced(function* (
  response: HttpClientResponse.HttpClientResponse,
) {
  const { status } = response;
  // Read in any case: a connection can be used again once its answer is read.
  const text = yield* beginning(response);
  if (status >= 200 && status < 300) return;
  const message = `the receiver answered ${status}${text === "" ? "" : `: ${text}`}`;
  if (!isRetryable(status)) {
    return yield* new FulfilmentFailed({ message, final: true });
  }
  const asked = Headers.parseRetryAfter(response.headers["retry-after"] ?? "");
  const now = yield* Clock.currentTimeMillis;
  const retryAfter = Result.isSuccess(asked)
    ? Headers.retryAfterDelay(asked.success, now)
    : undefined;
  return yield* isAway(status)
    ? new ReceiverAway({ message, retryAfter })
    : failed(message, retryAfter);
});

const failed = (message: string, retryAfter: Duration.Duration | undefined) =>
  new FulfilmentFailed({
    message,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });

/** The first words of a body of any length, without control characters. */
const beginning = (response: HttpClientResponse.HttpClientResponse) =>
  Stream.limitBytes(response.stream, bodySizeMax, () => Stream.empty).pipe(
    Stream.decodeText,
    Stream.mkString,
    Effect.map((text) =>
      text
        .slice(0, reasonCharactersMax)
        .replace(/\p{Cc}+/gu, " ")
        .trim(),
    ),
    Effect.timeout("1 second"),
    Effect.orElseSucceed(() => ""),
  );

const rootMessage = (error: unknown): string => {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error
    ? rootMessage(cause)
    : error instanceof Error
      ? error.message
      : String(error);
};

/** Needs an `HttpClient` that follows no redirects. */
export const layerNoDeps = (options: FulfilmentWebhookOptions) =>
  Layer.effect(Fulfilment, make(options)).pipe(
    Layer.provide(CircuitBreaker.layerStoreMemory()),
    Layer.provide(
      Mac.layerWebCrypto.pipe(Layer.provide(SecureRandom.layerWebCrypto)),
    ),
  );

/** Over the runtime's own `fetch`. A redirect is an answer like any other. */
export const layer = (options: FulfilmentWebhookOptions) =>
  layerNoDeps(options).pipe(
    Layer.provide(FetchHttpClient.layer),
    Layer.provide(
      Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" }),
    ),
  );
