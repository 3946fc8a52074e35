/**
 * How many requests are worked on at once. More are refused at once, with the
 * time after which, at the rate of the last busy second, there will be room: so
 * overload costs callers a wait they can plan, not a time-out.
 *
 * A request counts from when it has been read, so that clients that send
 * slowly take no room from others.
 */
import { Clock, Context, Effect, Layer, Metric } from "effect";
import { UnavailableProblem } from "../api/Problems.ts";
import { RepositoryUnavailable } from "../persistence/OrderRepository.ts";

const inFlightGauge = Metric.gauge("http_requests_in_flight", {
  description: "Requests being worked on.",
});

/** The longest wait that is asked for. */
const retryAfterSecondsMax = 30;

/** Over so long the rate is measured. */
const windowMillis = 1000;

/** Seconds after which a caller should ask again while the database is away. */
const outageSeconds = 1;

export const unavailableOf = ({ reason }: RepositoryUnavailable) =>
  new UnavailableProblem({
    detail: `Ask again in ${outageSeconds} s: ${reason}.`,
    retry_after_seconds: outageSeconds,
  });

type Admitted<A, E, R> = Effect.Effect<
  A,
  Exclude<E, RepositoryUnavailable> | UnavailableProblem,
  R
>;

/** Says when to ask again where the database is away. */
export const orUnavailable = <A, E, R>(
  work: Effect.Effect<A, E, R>,
): Admitted<A, E, R> =>
  Effect.catchIf(
    work,
    (error): error is E & RepositoryUnavailable =>
      error instanceof RepositoryUnavailable,
    (error) => Effect.fail(unavailableOf(error)),
  ) as Admitted<A, E, R>;

export class Admission extends Context.Service<
  Admission,
  {
    /** Runs the work of a request that has been read, or says when to ask again. */
    admit<A, E, R>(work: Effect.Effect<A, E, R>): Admitted<A, E, R>;
  }
>()("http/Admission") {
  /** Admits `max` requests at once. */
  static readonly layer = (max: number) =>
    Layer.effect(
      Admission,
      Effect.gen(function* () {
        const clock = yield* Clock.Clock;
        const context = yield* Effect.context<never>();
        let inFlight = 0;
        /** Requests ended in this window. */
        let ended = 0;
        let windowStart = 0;
        /** Requests ended per second, once there was a second to measure. */
        let rate = Number.POSITIVE_INFINITY;

        const begin = () => {
          if (inFlight === 0) {
            // Time without work says nothing about how fast work is done.
            ended = 0;
            windowStart = clock.currentTimeMillisUnsafe();
          }
          inFlight += 1;
          inFlightGauge.updateUnsafe(inFlight, context);
        };

        const end = Effect.sync(() => {
          inFlight -= 1;
          ended += 1;
          inFlightGauge.updateUnsafe(inFlight, context);
          const now = clock.currentTimeMillisUnsafe();
          if (now - windowStart < windowMillis) return;
          rate = (ended * 1000) / (now - windowStart);
          ended = 0;
          windowStart = now;
        });

        /** By their seconds, kept: making an error is most of refusing. */
        const refusals = new Map<number, UnavailableProblem>();
        const refusalOf = (seconds: number): UnavailableProblem => {
          const kept = refusals.get(seconds);
          if (kept !== undefined) return kept;
          const refusal = new UnavailableProblem({
            detail: `${max} requests are being worked on: ask again in ${seconds} s.`,
            retry_after_seconds: seconds,
          });
          refusals.set(seconds, refusal);
          return refusal;
        };

        const refuse = Effect.suspend(() => {
          const seconds = Math.max(1, Math.ceil(inFlight / rate));
          return Effect.fail(
            refusalOf(Math.min(retryAfterSecondsMax, seconds)),
          );
        });

        return Admission.of({
          admit: <A, E, R>(work: Effect.Effect<A, E, R>) =>
            Effect.suspend((): Admitted<A, E, R> => {
              if (inFlight >= max) return refuse;
              begin();
              return orUnavailable(Effect.ensuring(work, end));
            }),
        });
      }),
    );
}
