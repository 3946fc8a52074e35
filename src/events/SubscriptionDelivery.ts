/**
 * Posts events to a receiver, once, signed as Standard Webhooks says. What it
 * says of a failure is in fixed words, with a status or an error's code: never
 * the receiver's own, nor its address.
 */
import {
  ByteSize,
  Clock,
  Context,
  Duration,
  Effect,
  Layer,
  Redacted,
  Stream,
} from "effect";
import { Mac, SecureRandom } from "effect/crypto";
import {
  HttpClient,
  HttpClientRequest,
  type HttpClientResponse,
} from "effect/http";
import { cloudEventsBatch } from "../api/EventsApi.ts";
import {
  codeOf,
  meaningOf,
  retryAfterOf,
} from "../processor/ReceiverAnswer.ts";
import { makeSign } from "../processor/WebhookSignature.ts";

export interface Receiver {
  readonly url: string;
  readonly secret: string;
}

/** What is posted: CloudEvents in a JSON array. */
export interface Posted {
  /** The same whenever the same events are posted again. */
  readonly id: string;
  readonly body: string;
}

export interface DeliveryOutcome {
  /** The answer's; null where there was none. */
  readonly status: number | null;
  /** Why it was not taken; null when it was. */
  readonly error: string | null;
  /** So long the receiver wants to be left alone. */
  readonly retryAfter: Duration.Duration | undefined;
}

/** The longest a receiver may take. */
export const deliveryTimeout = Duration.seconds(30);

/** So much of an answer is read, for so long: then its connection is closed. */
const answerMax = ByteSize.kibibytes(64);
const answerTime = Duration.seconds(1);

/** A refusal of ours (`platform/ReceiverClient`). */
const wordsOf = (code: string): string =>
  code === "EPRIVATE"
    ? "the receiver is at a private address, which is not allowed here (SUBSCRIPTIONS_TO)"
    : `the receiver did not answer: ${code}`;

const noAnswer = (error: string): DeliveryOutcome => ({
  status: null,
  error,
  retryAfter: undefined,
});

/** A connection can be used again once its answer is read. */
const readAll = (response: HttpClientResponse.HttpClientResponse) =>
  Stream.limitBytes(response.stream, answerMax, () => Stream.empty).pipe(
    Stream.runDrain,
    Effect.timeout(answerTime),
    Effect.ignore,
  );

export class SubscriptionDelivery extends Context.Service<
  SubscriptionDelivery,
  {
    /** Gives what posts to a receiver; the secret is one that was checked. */
    to(
      receiver: Receiver,
    ): Effect.Effect<(posted: Posted) => Effect.Effect<DeliveryOutcome>>;
  }
>()("events/SubscriptionDelivery") {
  /** Needs an `HttpClient` that follows no redirects. */
  static readonly layer = Layer.effect(
    SubscriptionDelivery,
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient;
      const mac = yield* Mac.Mac;

      return SubscriptionDelivery.of({
        to: Effect.fnUntraced(function* ({ secret, url }) {
          const sign = yield* makeSign(Redacted.make(secret)).pipe(
            Effect.provideService(Mac.Mac, mac),
            Effect.orDie,
          );

          const requestOf = Effect.fnUntraced(function* ({ body, id }: Posted) {
            const now = yield* Clock.currentTimeMillis;
            const timestamp = Math.floor(now / 1000);
            return HttpClientRequest.post(url).pipe(
              HttpClientRequest.bodyText(body, cloudEventsBatch),
              HttpClientRequest.setHeaders({
                "webhook-id": id,
                "webhook-timestamp": String(timestamp),
                "webhook-signature": yield* sign(id, timestamp, body),
              }),
            );
          });

          const answerTo = Effect.fnUntraced(function* (posted: Posted) {
            const response = yield* client.execute(yield* requestOf(posted));
            yield* readAll(response);
            const { headers, status } = response;
            const now = yield* Clock.currentTimeMillis;
            const outcome: DeliveryOutcome = {
              status,
              error:
                meaningOf(status) === "done"
                  ? null
                  : `the receiver answered ${status}`,
              retryAfter: retryAfterOf(headers, now),
            };
            return outcome;
          });

          return (posted) =>
            answerTo(posted).pipe(
              Effect.scoped,
              Effect.catch((error) =>
                Effect.succeed(noAnswer(wordsOf(codeOf(error)))),
              ),
              Effect.timeoutOrElse({
                duration: deliveryTimeout,
                orElse: () =>
                  Effect.succeed(
                    noAnswer(
                      `the receiver did not answer within ${Duration.format(deliveryTimeout)}`,
                    ),
                  ),
              }),
              // A span of the client's own would tell the address.
              Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
            );
        }),
      });
    }),
  ).pipe(
    Layer.provide(
      Mac.layerWebCrypto.pipe(Layer.provide(SecureRandom.layerWebCrypto)),
    ),
  );
}
