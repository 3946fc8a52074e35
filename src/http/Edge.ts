/**
 * What every request meets on its way in and out: one line of log, its
 * measurements, failures turned into problems, and what browsers are told.
 */
import { Cause, Clock, Context, Effect, Metric, Option } from "effect";
import {
  type HttpServerError,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse,
} from "effect/http";
import { HttpApiError } from "effect/http-api";
import { PathNotFound } from "../api/Problems.ts";
import { withoutKeys } from "../domain/ApiKey.ts";
import { reservedOrderIds } from "../domain/Order.ts";
import { askerOf } from "./Askers.ts";
import * as Browsers from "./Browsers.ts";

const requestSeconds = Metric.histogram("http_request_seconds", {
  description: "Requests, from their headers to their answer.",
  boundaries: [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
  ],
});
const requestsTotal = Metric.counter("http_requests_total", {
  description: "Requests answered, by status.",
  incremental: true,
});
/** The counter of each status, kept: making one costs more than counting. */
const counters = new Map<number, Metric.Counter<number>>();
const counterOf = (status: number): Metric.Counter<number> => {
  const kept = counters.get(status);
  if (kept !== undefined) return kept;
  const counter = Metric.withAttributes(requestsTotal, {
    status: String(status),
  });
  counters.set(status, counter);
  return counter;
};

type RequestService = HttpServerRequest.HttpServerRequest;

type App<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>;

/** The answer to a request that failed in no way the contract names. */
const problemOf = (
  request: HttpServerRequest.HttpServerRequest,
  cause: Cause.Cause<unknown>,
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause));
  const reason = (error as HttpServerError.HttpServerError | undefined)?.reason
    ?._tag;
  if (reason === "RouteNotFound") {
    return HttpServerRespondable.toResponse(
      new PathNotFound({
        detail: `There is nothing at ${withoutKeys(pathOf(request))}: see /docs for what there is.`,
      }),
    );
  }
  if (reason === "RequestParseError") {
    return HttpServerRespondable.toResponse(
      new HttpApiError.BadRequestProblem({
        detail: "The request could not be read to its end.",
      }),
    );
  }
  return Effect.andThen(
    Effect.logError("request failed", cause),
    HttpServerRespondable.toResponse(
      new HttpApiError.InternalServerErrorProblem({
        detail: "The fault is ours and has been logged; asking again is safe.",
      }),
    ),
  );
};

const pathOf = (request: HttpServerRequest.HttpServerRequest) =>
  request.url.split("?", 1)[0] ?? "/";

/**
 * A ";" may stand in a path, as in the order_id "a;b", and a "#" is sent by
 * mistake. The router would take either for the end of the path, and answer
 * for the order "a".
 */
const withWholePath = (request: HttpServerRequest.HttpServerRequest) => {
  const path = pathOf(request);
  return /[;#]/.test(path)
    ? request.modify({
        url:
          path.replaceAll(";", "%3B").replaceAll("#", "%23") +
          request.url.slice(path.length),
      })
    : request;
};

/**
 * The order that a request was about, so that it can be followed in the logs:
 * a path names it, or the answer's Location, which is of our own making.
 */
const orderIdIn = (path: string): string | undefined => {
  const id = /^\/api\/orders\/([^/]+)/.exec(path)?.[1];
  if (id === undefined || reservedOrderIds.has(id)) return undefined;
  try {
    return withoutKeys(decodeURIComponent(id));
  } catch {
    return id;
  }
};

/** Probes are asked every few seconds and answered by machines. */
const isProbe = (path: string) => /^\/(health|metrics)/.test(path);

const levelOf = (status: number, path: string) => {
  if (isProbe(path)) return "Debug" as const;
  if (status >= 500 && status !== 503) return "Error" as const;
  return status >= 400 ? ("Warn" as const) : ("Info" as const);
};

/** @param isDraining whether connections are to end after their request */
export const make =
  (isDraining: Effect.Effect<boolean>) =>
  // The router wants its own failures to stay in the type; none is left.
  <E, R>(app: App<E, R>): App<E, R | RequestService> =>
    Effect.contextWith((context: Context.Context<RequestService>) => {
      const request = Context.get(context, HttpServerRequest.HttpServerRequest);
      const clock = Context.get(context, Clock.Clock);
      const start = clock.currentTimeMillisUnsafe();
      const routed = withWholePath(request);
      return Effect.flatMap(
        Effect.catchCause(
          routed === request
            ? app
            : Effect.provideService(
                app,
                HttpServerRequest.HttpServerRequest,
                routed,
              ),
          (cause) =>
            Cause.hasInterruptsOnly(cause)
              ? Effect.failCause(cause as Cause.Cause<never>)
              : problemOf(request, cause),
        ),
        (given) => {
          const took = clock.currentTimeMillisUnsafe() - start;
          const path = pathOf(request);
          const asker = askerOf(request);
          const response = Browsers.guarded(path, given);
          const { status } = response;
          requestSeconds.updateUnsafe(took / 1000, context);
          counterOf(status).updateUnsafe(1, context);
          return Effect.andThen(
            Effect.logWithLevel(levelOf(status, path))("request", {
              method: request.method,
              path: withoutKeys(path),
              order_id: orderIdIn(response.headers.location ?? path),
              status,
              ms: took,
              actor: asker?.actor,
              key_id: asker?.key_id,
              refused: asker?.refused,
            }),
            Effect.map(isDraining, (draining) =>
              draining
                ? HttpServerResponse.setHeader(response, "connection", "close")
                : response,
            ),
          );
        },
      );
    });
