/**
 * The work is somebody else's: each attempt is one POST of the order to a
 * receiver, signed as Standard Webhooks says. The receiver is called at least
 * once for each order, and tells repeats by `Idempotency-Key`.
 *
 * An order waits for a receiver that is away, however long, and becomes a dead
 * letter only by answers. Neither the receiver's address nor its words reach a
 * caller: an error is in fixed words, with a status or an error's code.
 */
import {
  ByteSize,
  Clock,
  DateTime,
  Duration,
  Effect,
  Layer,
  Option,
  Redacted,
  Schema,
  Stream,
  Tracer,
} from "effect";
import { Mac, SecureRandom } from "effect/crypto";
import {
  HttpClient,
  HttpClientRequest,
  type HttpClientResponse,
  HttpTraceContext,
} from "effect/http";
import { Order } from "../domain/Order.ts";
import { Fulfilment, FulfilmentFailed } from "./Fulfilment.ts";
import {
  codeOf,
  isNotHttp,
  meaningOf,
  retryAfterOf,
  withoutAddress,
} from "./ReceiverAnswer.ts";
import * as ReceiverCircuit from "./ReceiverCircuit.ts";
import { NotDone } from "./ReceiverCircuit.ts";
import { makeSign } from "./WebhookSignature.ts";

export interface FulfilmentWebhookOptions {
  /** It may hold a token. */
  readonly url: Redacted.Redacted<URL>;
  /** One or two secrets; left out, nothing is signed. */
  readonly secret: Redacted.Redacted | undefined;
  /** The longest the receiver may take: less than an attempt may. */
  readonly timeout: Duration.Duration;
}

/** So much of an answer's body is read at most. */
const bodySizeMax = ByteSize.kibibytes(64);

/** So much of it is logged. */
const wordsCharactersMax = 500;

const encodeOrder = Schema.encodeSync(Order);

/**
 * An id as a header can carry it. Header values are ASCII, ids are not: what
 * is not is percent-encoded, and `%` with it, so that no two ids look alike.
 */
export const headerOf = (order_id: string): string =>
  /^[!-$&-~]+$/.test(order_id) ? order_id : encodeURIComponent(order_id);

const make = Effect.fnUntraced(function* (options: FulfilmentWebhookOptions) {
  const client = yield* HttpClient.HttpClient;
  const url = Redacted.value(options.url);
  const outcomeOf = outcomeAt(url);
  const circuit = yield* ReceiverCircuit.make;
  const sign =
    options.secret === undefined ? undefined : yield* makeSign(options.secret);
  if (sign === undefined) {
    yield* Effect.logWarning(
      "the receiver is called without a signature, and cannot tell who calls: set FULFILLMENT_SECRET",
    );
  }

  const requestOf = Effect.fnUntraced(function* (
    order: Order,
    span: Tracer.Span | undefined,
  ) {
    const id = headerOf(order.order_id);
    const body = JSON.stringify({
      ...encodeOrder(order),
      attempt: order.attempts,
    });
    const now = yield* Clock.currentTimeMillis;
    const timestamp = Math.floor(now / 1000);
    return HttpClientRequest.post(url).pipe(
      HttpClientRequest.bodyText(body, "application/json"),
      HttpClientRequest.setHeaders({
        ...(span === undefined ? {} : HttpTraceContext.toHeaders(span)),
        "idempotency-key": id,
        "webhook-id": id,
        "webhook-timestamp": String(timestamp),
        ...(sign === undefined
          ? {}
          : { "webhook-signature": yield* sign(id, timestamp, body) }),
      }),
    );
  });

  const answerTo = Effect.fnUntraced(function* (order: Order) {
    const span = yield* spanInForce;
    const now = yield* Clock.currentTimeMillis;
    const response = yield* Effect.mapError(
      client.execute(yield* requestOf(order, span)),
      (error) => {
        const code = codeOf(error);
        return isNotHttp(code)
          ? notHttp(order, code, now)
          : noAnswer(`the receiver did not answer: ${code}`);
      },
    );
    span?.attribute("http.response.status_code", response.status);
    return yield* outcomeOf(response, order);
  });

  const post = (order: Order) =>
    answerTo(order).pipe(
      Effect.scoped,
      Effect.timeoutOrElse({
        duration: options.timeout,
        orElse: () =>
          noAnswer(
            `the receiver did not answer within ${Duration.format(options.timeout)}`,
          ),
      }),
      // A span of the client's own would tell the address.
      Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
    );

  return Fulfilment.of({
    fulfil: (order) => circuit.call(order.order_id, post(order)),
  });
});

/** The attempt's span, if spans are made. */
const spanInForce = Effect.map(
  Effect.serviceOption(Tracer.ParentSpan),
  (span): Tracer.Span | undefined =>
    Option.isSome(span) && span.value._tag === "Span" ? span.value : undefined,
);

const noAnswer = (message: string) =>
  new NotDone({ message, isAnswered: false });

const notHttpWords = "the receiver's answer is not HTTP";

/** An answer that is not HTTP may come from something in between, for so long. */
const notHttpMax = Duration.days(1);

/**
 * What an answer that is not HTTP comes to. The order waits at first. Once it
 * is a day old, a second such answer in a row is the order's or the receiver's
 * fault, and spends an attempt.
 */
const notHttp = (
  { created_at, last_error }: Order,
  code: string,
  now: number,
) => {
  const isOld =
    now - DateTime.toEpochMillis(created_at) > Duration.toMillis(notHttpMax);
  return new NotDone({
    message: `${notHttpWords} (${code})`,
    isAnswered: isOld && last_error?.startsWith(notHttpWords) === true,
  });
};

/** What an answer comes to: nothing, when the work is done. */
const outcomeAt = (url: URL) => {
  const clean = withoutAddress(url);
  return Effect.fnUntraced(function* (
    response: HttpClientResponse.HttpClientResponse,
    { order_id }: Order,
  ) {
    const { status } = response;
    // Read in any case: a connection can be used again once its answer is read.
    const text = yield* textOf(response);
    const meaning = meaningOf(status);
    if (meaning === "done") return;
    const words = clean(text).slice(0, wordsCharactersMax).trim();
    if (words !== "") {
      yield* Effect.logWarning("the receiver did not take the order", {
        order_id,
        status,
        answer: words,
      });
    }
    const message = `the receiver answered ${status}`;
    if (meaning === "final") {
      return yield* new FulfilmentFailed({ message, final: true });
    }
    return yield* new NotDone({
      message,
      isAnswered: meaning === "retryable",
      retryAfter: retryAfterOf(
        response.headers,
        yield* Clock.currentTimeMillis,
      ),
    });
  });
};

/** The beginning of a body of any length, without control characters. */
const textOf = (response: HttpClientResponse.HttpClientResponse) =>
  Stream.limitBytes(response.stream, bodySizeMax, () => Stream.empty).pipe(
    Stream.decodeText,
    Stream.mkString,
    Effect.map((text) => text.replace(/\p{Cc}+/gu, " ")),
    Effect.timeout("1 second"),
    Effect.orElseSucceed(() => ""),
  );

/** Needs an `HttpClient` that follows no redirects and passes interim answers. */
export const layer = (options: FulfilmentWebhookOptions) =>
  Layer.effect(Fulfilment, make(options)).pipe(
    Layer.provide(ReceiverCircuit.layerSteadyStore),
    Layer.provide(
      Mac.layerWebCrypto.pipe(Layer.provide(SecureRandom.layerWebCrypto)),
    ),
  );
