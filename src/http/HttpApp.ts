/** Everything the service answers over HTTP, as routes. */
import { type ByteSize, Effect, Layer } from "effect";
import {
  HttpIncomingMessage,
  HttpMiddleware,
  HttpRouter,
  HttpServerRespondable,
  HttpServerResponse,
  UrlParams,
} from "effect/http";
import {
  HttpApiBuilder,
  HttpApiMiddleware,
  HttpApiScalar,
} from "effect/http-api";
import { PrometheusMetrics } from "effect/observability";
import { pages } from "../api/Access.ts";
import { Api } from "../api/Api.ts";
import { MethodNotAllowed } from "../api/Problems.ts";
import { withoutKeys } from "../domain/ApiKey.ts";
import { Readiness } from "../orders/Readiness.ts";
import {
  AccessCheck,
  type AccessOptions,
  layerKeyAccess,
} from "./AccessCheck.ts";
import { Admission } from "./Admission.ts";
import { Answers } from "./Answers.ts";
import * as Bodies from "./Bodies.ts";
import { ReadChunks } from "./BodyChunks.ts";
import { Browsers } from "./Browsers.ts";
import * as Edge from "./Edge.ts";
import * as EventsHttp from "./EventsHttp.ts";
import * as HealthHttp from "./HealthHttp.ts";
import { KeptPages } from "./KeptPages.ts";
import * as KeysHttp from "./KeysHttp.ts";
import * as OrdersHttp from "./OrdersHttp.ts";
import { Placing } from "./Placing.ts";
import * as ProcessingHttp from "./ProcessingHttp.ts";
import { RequestCheck } from "./RequestCheck.ts";
import * as SessionHttp from "./SessionHttp.ts";
import * as SubscriptionsHttp from "./SubscriptionsHttp.ts";

export interface HttpAppOptions extends AccessOptions {
  /** Bytes; larger bodies are answered 413. */
  readonly maxBodySize: ByteSize.ByteSize;
  /** Bytes of bodies in memory at once; more wait, and then are answered 503. */
  readonly maxBodies: ByteSize.ByteSize;
  /** Requests worked on at once; more are answered 503. */
  readonly maxInFlight: number;
  /** The names it answers to; left out, they go by where it listens. */
  readonly allowedHosts: ReadonlyArray<string> | undefined;
  /** How bodies are read, if not by Effect's stream. */
  readonly readChunks: ReadChunks | undefined;
  /** Routes of pages beside the API. */
  readonly pages: Layer.Layer<never, never, HttpRouter.HttpRouter>;
}

const api = (access: AccessOptions["access"]) =>
  HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(
    Layer.provide([
      OrdersHttp.layer,
      EventsHttp.layer,
      KeysHttp.layer,
      SessionHttp.layer(access),
      SubscriptionsHttp.layer,
      ProcessingHttp.layer,
      HealthHttp.layer,
    ]),
    Layer.provide(
      HttpApiMiddleware.layerProblemDetails({ includeDetails: true }),
    ),
  );

/** Its script is in the page; its fonts would be fetched from the internet. */
const docs = HttpApiScalar.layer(Api, {
  path: "/docs",
  // An icon of no bytes: else browsers ask for one that is not there.
  scalar: { withDefaultFonts: false, favicon: "data:," },
});

const prometheus = PrometheusMetrics.layerHttp({ path: "/metrics" });

/** The router answers HEAD as it would GET. */
const routedMethods = [
  "GET",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "TRACE",
  "QUERY",
] as const;

/** Which methods each path answers. */
const methodsByPath = () => {
  const methods = new Map<string, Set<string>>();
  const add = (path: string, method: string) =>
    methods.set(path, (methods.get(path) ?? new Set()).add(method));
  for (const group of Object.values(Api.groups)) {
    for (const endpoint of Object.values(group.endpoints)) {
      add(endpoint.path, endpoint.method);
    }
  }
  for (const path of Object.keys(pages)) add(path, "GET");
  return methods;
};

/** Says 405, not 404, where the path is right and the method is not. */
const otherMethods = HttpRouter.use((router) =>
  Effect.forEach(
    methodsByPath(),
    ([path, methods]) => {
      if (methods.has("GET")) methods.add("HEAD");
      const allow = Array.from(methods).sort().join(", ");
      const refuse = HttpServerRespondable.toResponse(
        new MethodNotAllowed({
          detail: `${path.replace(/:(\w+)/g, "{$1}")} answers ${allow}.`,
        }),
      ).pipe(Effect.map(HttpServerResponse.setHeader("allow", allow)));
      return router.addAll(
        routedMethods
          .filter((method) => !methods.has(method))
          .map((method) =>
            HttpRouter.route(method, path as HttpRouter.PathInput, refuse),
          ),
      );
    },
    { discard: true },
  ),
);

const edge = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const { isDraining } = yield* Readiness;
    const browsers = yield* Browsers;
    const access = yield* AccessCheck;
    const kept = yield* KeptPages;
    const placing = yield* Placing;
    const requests = yield* RequestCheck;
    const edge = Edge.make(isDraining);
    yield* router.addGlobalMiddleware((app) =>
      edge(
        browsers.before(
          access.before(placing.before(requests.before(kept.before(app)))),
        ),
      ),
    );
  }),
);

/**
 * Every path answers with and without its trailing slash. An order may be
 * called "Metrics", so case tells paths apart.
 */
const routerConfig = {
  caseSensitive: true,
  ignoreTrailingSlash: true,
  ignoreDuplicateSlashes: false,
  // No header, and so no path, is longer than Node's 16 KiB.
  maxParamLength: 16_384,
};

/**
 * What traces do not tell: whatever callers write in a query (there may be a key
 * in it, by mistake), and requests with a key in their path. Headers that carry
 * keys are hidden by Effect.
 */
const untold = Layer.mergeAll(
  Layer.succeed(UrlParams.CurrentRedactedNames, [/^/]),
  Layer.succeed(
    HttpMiddleware.TracerDisabledWhen,
    ({ url }) => withoutKeys(url) !== url,
  ),
);

/** Serves all of it with the `HttpServer` at hand. */
export const layer = (options: HttpAppOptions) =>
  HttpRouter.serve(
    Layer.mergeAll(
      api(options.access),
      docs,
      prometheus,
      options.pages,
      otherMethods,
      edge,
    ).pipe(
      Layer.provide([
        Browsers.layer(options.allowedHosts),
        AccessCheck.layer(options, routerConfig),
        layerKeyAccess(options.access),
        KeptPages.layer,
        RequestCheck.layer(routerConfig),
        Placing.layer,
      ]),
      Layer.provide([Admission.layer(options.maxInFlight), Answers.layer]),
    ),
    { routerConfig, disableLogger: true, disableListenLog: true },
  ).pipe(
    Layer.provide([
      untold,
      Layer.succeed(HttpIncomingMessage.MaxBodySize, options.maxBodySize),
      Layer.sync(Bodies.Bodies, () => Bodies.make(Number(options.maxBodies))),
      options.readChunks === undefined
        ? Layer.empty
        : Layer.succeed(ReadChunks, options.readChunks),
    ]),
  );
