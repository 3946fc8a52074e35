/**
 * An `HttpClient` that sees a request through: it is given a time to be
 * answered in, and sent again when what went wrong may pass. Every request is
 * sent a bounded number of times with bounded waits in between.
 *
 * Effect's `HttpClient.retryTransient` would also send again after a 500, wait
 * for as long as any `Retry-After` asks, and count failures and refusals apart.
 *
 * It retries requests of any method, so it suits only services where asking
 * twice does no harm; `OrderClient` says why it does none to orders.
 */
import { Clock, Duration, Effect, Option, Random, Result } from "effect";
import {
  Headers,
  HttpClient,
  HttpClientError,
  type HttpClientRequest,
  type HttpClientResponse,
  UrlParams,
} from "effect/http";
import { HiddenAnswer } from "./ForeignAnswer.ts";

/** How often a request is sent again, and after which waits. */
export interface RequestRetryPolicy {
  /** How often it is sent again at most; 0 sends it once. */
  readonly times: number;
  /** The wait before the first time; it doubles with each further one. */
  readonly base: Duration.Input;
  /** The longest of these waits. */
  readonly cap: Duration.Input;
  /**
   * The longest `Retry-After` that is waited for. When more is asked for, the
   * answer is handed to the caller at once: coming back sooner than asked
   * would be rude, and waiting longer than the caller expects no better.
   */
  readonly retryAfterMax: Duration.Input;
}

/** In all about 6 s of waiting when the service stays away. */
export const defaultPolicy: RequestRetryPolicy = {
  times: 5,
  base: "200 millis",
  cap: "5 seconds",
  retryAfterMax: "30 seconds",
};

/**
 * Answers that may be another the next time: time-outs, too many requests, and
 * a gateway or service that is away. A 500 is a fault, which asking again does
 * not mend.
 */
const transientStatuses: ReadonlySet<number> = new Set([
  408, 425, 429, 502, 503, 504,
]);

type Outcome = Result.Result<
  HttpClientResponse.HttpClientResponse,
  HttpClientError.HttpClientError
>;

/** A `TransportError` is all that kept an answer from arriving whole. */
const isTransient = (outcome: Outcome): boolean =>
  Result.isSuccess(outcome)
    ? transientStatuses.has(outcome.success.status)
    : outcome.failure.reason._tag === "TransportError" &&
      !(outcome.failure.reason instanceof HiddenAnswer);

/** What `Retry-After` asks for, as seconds or as a date; 0 if nothing. */
const retryAfterMillis = (outcome: Outcome, now: number): number => {
  const header = Result.isSuccess(outcome)
    ? outcome.success.headers["retry-after"]
    : undefined;
  if (header === undefined) return 0;
  const asked = Headers.parseRetryAfter(header);
  return Result.isSuccess(asked)
    ? Duration.toMillis(Headers.retryAfterDelay(asked.success, now))
    : 0;
};

/**
 * The wait before a request is sent again, or `undefined` when it is not. It
 * is base x 2^sent, at most `cap`, of which a random half is taken off so that
 * callers turned away together do not return together; it comes on top of what
 * `Retry-After` asks for.
 *
 * @param resent how often it has been sent again already
 * @param random evenly spread over 0..1
 */
export const waitBefore = (
  outcome: Outcome,
  resent: number,
  policy: RequestRetryPolicy,
  now: number,
  random: number,
): Duration.Duration | undefined => {
  if (resent >= policy.times || !isTransient(outcome)) return undefined;
  const asked = retryAfterMillis(outcome, now);
  if (asked > Duration.toMillis(policy.retryAfterMax)) return undefined;
  const full = Math.min(
    Duration.toMillis(policy.cap),
    Duration.toMillis(policy.base) * 2 ** resent,
  );
  return Duration.millis(asked + full * (1 - random / 2));
};

/** Sends requests again that failed in a way that may pass. */
export const retryTransient = (policy: RequestRetryPolicy) =>
  HttpClient.transformResponse<
    HttpClientError.HttpClientError,
    never,
    HttpClientError.HttpClientError,
    never
  >((send) => {
    const sendFrom = (
      resent: number,
    ): Effect.Effect<
      HttpClientResponse.HttpClientResponse,
      HttpClientError.HttpClientError
    > =>
      Effect.gen(function* () {
        const outcome = yield* Effect.result(send);
        const wait = waitBefore(
          outcome,
          resent,
          policy,
          yield* Clock.currentTimeMillis,
          yield* Random.next,
        );
        if (wait === undefined) return yield* Effect.fromResult(outcome);
        yield* Effect.sleep(wait);
        return yield* sendFrom(resent + 1);
      });
    return sendFrom(0);
  });

const noAnswer = (
  request: HttpClientRequest.HttpClientRequest,
  description: string,
  cause?: unknown,
) =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({ request, description, cause }),
  });

const within = (
  timeout: Duration.Duration,
  request: HttpClientRequest.HttpClientRequest,
) =>
  Effect.timeoutOrElse({
    duration: timeout,
    orElse: () =>
      Effect.fail(
        noAnswer(request, `no answer within ${Duration.format(timeout)}`),
      ),
  });

/** How long a request asks the service to wait before it answers. */
const askedToWait = ({
  urlParams,
}: HttpClientRequest.HttpClientRequest): Duration.Duration => {
  const seconds = Number(
    Option.getOrElse(UrlParams.getFirst(urlParams, "wait"), () => "0"),
  );
  return Duration.seconds(Number.isFinite(seconds) ? seconds : 0);
};

/**
 * Gives each request a time in which its answer must have arrived, to the last
 * byte; an answer that stalls or breaks off is as good as none. What it asks
 * the service to wait comes on top.
 */
export const answeredWithin = (timeout: Duration.Input) =>
  HttpClient.transform<
    HttpClientError.HttpClientError,
    never,
    HttpClientError.HttpClientError,
    never
  >((send, request) =>
    send.pipe(
      // The body is kept by the response, so that it is read once only.
      Effect.tap((response) =>
        Effect.mapError(response.arrayBuffer, (error) =>
          noAnswer(request, "the answer broke off", error),
        ),
      ),
      within(
        Duration.sum(Duration.fromInputUnsafe(timeout), askedToWait(request)),
        request,
      ),
    ),
  );

/** Gives each request a time in which its answer must have begun. */
export const begunWithin = (timeout: Duration.Input) =>
  HttpClient.transform<
    HttpClientError.HttpClientError,
    never,
    HttpClientError.HttpClientError,
    never
  >((send, request) =>
    within(Duration.fromInputUnsafe(timeout), request)(send),
  );
