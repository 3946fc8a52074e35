/**
 * An `HttpServer` without a socket: what it serves is a function from `Request`
 * to `Response`, for those who have a server of their own.
 */
import { type Duration, Effect, Layer, type Scope } from "effect";
import {
  HttpEffect,
  HttpServer,
  type HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse,
} from "effect/http";
import { NetAddress } from "effect/net";
import { UnavailableProblem } from "../api/Problems.ts";
import * as Browsers from "./Browsers.ts";

export type Fetch = (request: Request) => Promise<Response>;

/** Seconds after which whoever serves the caller may be there again. */
const retryAfterSeconds = 1;

/** What is answered while nothing is served, before and after. */
const refuse: Fetch = () =>
  HttpServerRespondable.toResponse(
    new UnavailableProblem({
      detail: `The service is not running here: ask again in ${retryAfterSeconds} s.`,
      retry_after_seconds: retryAfterSeconds,
    }),
  ).pipe(
    // The header comes with the contract, which nobody keeps here now.
    Effect.map((response) =>
      HttpServerResponse.toWeb(
        HttpServerResponse.setHeader(
          Browsers.guarded("", response),
          "retry-after",
          String(retryAfterSeconds),
        ),
      ),
    ),
    Effect.runPromise,
  );

export const make = () => {
  let answer = refuse;
  const served = Promise.withResolvers<void>();

  const layer = ({
    shutdownTimeout,
  }: {
    /** How long requests under way may go on once the server is to stop. */
    readonly shutdownTimeout: Duration.Duration;
  }) => {
    const server = HttpServer.make({
      // It listens nowhere.
      address: NetAddress.unixPathAddress(""),
      serve: Effect.fnUntraced(function* (app, middleware) {
        const context = yield* Effect.context<never>();
        const handle = HttpEffect.toWebHandlerWith<
          never,
          HttpServerRequest.HttpServerRequest | Scope.Scope
        >(context)(app, middleware);
        const underWay = new Set<Promise<Response>>();
        yield* Effect.addFinalizer(() => {
          answer = refuse;
          return Effect.timeoutOption(
            Effect.promise(() => Promise.allSettled(underWay)),
            shutdownTimeout,
          );
        });
        answer = (request) => {
          const response = handle(request).finally(() =>
            underWay.delete(response),
          );
          underWay.add(response);
          return response;
        };
        served.resolve();
      }),
    });
    return Layer.merge(
      Layer.succeed(HttpServer.HttpServer, server),
      HttpServer.layerServices,
    );
  };

  return {
    layer,
    /** Resolves once requests are answered. */
    served: served.promise,
    fetch: ((request) => answer(request)) satisfies Fetch,
  };
};
