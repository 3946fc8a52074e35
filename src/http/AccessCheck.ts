/**
 * Whether a request may pass: who sends it (`access/Access`), whether the key
 * has the scope (`api/Access`), and whether there were too many. One step before
 * the router and all that answers beside it, and closed: what is in no table
 * needs a key, too.
 *
 * Behind the router each endpoint of the API is looked at once more (`layer` of
 * `KeyAccess`), so that no way of writing a path leads past the table.
 */
import { Context, Effect, Layer, Stream } from "effect";
import {
  type FindMyWay,
  HttpBody,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse,
} from "effect/http";
import type { IpNetwork } from "effect/net";
import { Access, type Caller, type Verdict } from "../access/Access.ts";
import { type Taken, TokenBuckets } from "../access/TokenBuckets.ts";
import {
  isScope,
  KeyAccess,
  type Needed,
  neededBy,
  pages,
  type Rule,
} from "../api/Access.ts";
import { rules } from "../api/Api.ts";
import {
  KeyRequired,
  ScopeMissing,
  TooManyRequests,
  type UnavailableProblem,
} from "../api/Problems.ts";
import type { RateLimit } from "../domain/RateLimit.ts";
import type { Scope } from "../domain/Scope.ts";
import { Actor } from "../persistence/EventLog.ts";
import * as SteadyClock from "../processor/SteadyClock.ts";
import { orUnavailable } from "./Admission.ts";
import * as Askers from "./Askers.ts";
import * as ClientAddress from "./ClientAddress.ts";
import * as KeyCookie from "./KeyCookie.ts";
import * as RouteTable from "./RouteTable.ts";

export interface AccessOptions {
  readonly access: "open" | "keys";
  /** Of each key without one of its own, or address; left out, there is none. */
  readonly rateLimit: RateLimit | undefined;
  /** Whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: ReadonlyArray<IpNetwork.IpNetwork>;
}

type Request = HttpServerRequest.HttpServerRequest;
type Response = HttpServerResponse.HttpServerResponse;

/** What requests need. */
export const tableOf = (
  rules: ReadonlyArray<Pick<Rule, "method" | "path" | "needed">>,
  config: Partial<FindMyWay.RouterConfig>,
) =>
  RouteTable.make<Needed>(
    [
      ...rules.map((rule) => ({ ...rule, value: rule.needed })),
      ...Object.entries(pages).map(([path, value]) => ({
        method: "GET",
        path,
        value,
      })),
    ],
    config,
  );

type Refusal =
  | KeyRequired
  | ScopeMissing
  | TooManyRequests
  | UnavailableProblem;

const refuse = (
  refusal: Refusal,
  headers: Readonly<Record<string, string>> = {},
): Effect.Effect<Response> =>
  Effect.map(HttpServerRespondable.toResponse(refusal), (response) =>
    HttpServerResponse.setHeaders(response, {
      ...headers,
      ...("retry_after_seconds" in refusal
        ? { "retry-after": String(refusal.retry_after_seconds) }
        : {}),
    }),
  );

const noKey = new KeyRequired({
  detail:
    "Send a key of this service, as `Authorization: Bearer osk_...`; whoever runs it makes them (POST /api/keys/).",
});

/** The same for each bad key: what it was before is not told. */
const badKey = new KeyRequired({
  detail:
    "This is no key of this service, or none that is good any more. Look whether all of it was sent.",
});

const scopeMissing = (scope: Scope) =>
  new ScopeMissing({
    detail: `This needs a key with the scope ${scope}.`,
    scope,
  });

const tooMany = (
  { limit, windowSeconds }: RateLimit,
  { retryAfterSeconds }: Taken,
) =>
  new TooManyRequests({
    detail: `More than ${limit} requests in ${windowSeconds} s: ask again in ${retryAfterSeconds} s.`,
    retry_after_seconds: retryAfterSeconds,
  });

/** draft-ietf-httpapi-ratelimit-headers-10. */
const limitHeaders = (
  { limit, windowSeconds }: RateLimit,
  { remaining, resetSeconds }: Taken,
) => ({
  "ratelimit-policy": `"default";q=${limit};w=${windowSeconds}`,
  ratelimit: `"default";r=${remaining};t=${resetSeconds}`,
});

/**
 * An answer to a key that a browser kept. Caches know that an answer to
 * `Authorization` is for nobody else; of cookies they have to be told.
 */
const unkept = (response: Response): Response =>
  response.headers["cache-control"] === undefined
    ? HttpServerResponse.setHeader(response, "cache-control", "no-store")
    : response;

/** Callers, and addresses, whose limits are remembered. */
const limitedMax = 10_000;

export class AccessCheck extends Context.Service<
  AccessCheck,
  {
    /** Answers what is refused; `app` answers all else. */
    before<E, R>(
      app: Effect.Effect<Response, E, R>,
    ): Effect.Effect<Response, E, R | Request>;
  }
>()("http/AccessCheck") {
  static readonly layer = (
    { access: mode, rateLimit, trustedProxies }: AccessOptions,
    routerConfig: Partial<FindMyWay.RouterConfig>,
  ) =>
    Layer.effect(
      AccessCheck,
      Effect.gen(function* () {
        const access = yield* Access;
        const clock = yield* SteadyClock.current;
        const find = tableOf(rules, routerConfig);
        const addressOf = ClientAddress.make(trustedProxies);
        const buckets = new TokenBuckets(limitedMax, () =>
          clock.currentTimeMillisUnsafe(),
        );

        /** Lets it pass if it keeps to the limit, and says how much is left. */
        const within = <E, R>(
          limit: RateLimit,
          who: string,
          app: Effect.Effect<Response, E, R>,
        ): Effect.Effect<Response, E, R> => {
          const taken = buckets.take(who, limit);
          const headers = limitHeaders(limit, taken);
          return taken.isTaken
            ? Effect.map(app, (response) =>
                HttpServerResponse.setHeaders(response, headers),
              )
            : refuse(tooMany(limit, taken), headers);
        };

        const refused = (
          request: Request,
          why: string,
          key_id: string | undefined,
          answer: Effect.Effect<Response>,
        ) => {
          Askers.remember(request, {
            actor: undefined,
            key_id,
            scopes: undefined,
            refused: why,
          });
          return answer;
        };

        /** An answer that goes on ends when its key is not good any more. */
        const whileGood =
          (key: string) =>
          (response: Response): Response =>
            response.body._tag === "Stream"
              ? HttpServerResponse.setBody(
                  response,
                  HttpBody.stream(
                    Stream.interruptWhen(
                      response.body.stream,
                      access.untilBad(key),
                    ),
                    response.body.contentType,
                    response.body.contentLength,
                  ),
                )
              : response;

        /** A good key was shown. */
        const admit = <E, R>(
          request: Request,
          key: string,
          caller: Caller,
          needed: Needed | undefined,
          app: Effect.Effect<Response, E, R>,
        ): Effect.Effect<Response, E, R> => {
          const { id, name, scopes } = caller;
          const lacks =
            needed !== undefined && isScope(needed) && !scopes.has(needed)
              ? needed
              : undefined;
          Askers.remember(request, {
            actor: name,
            key_id: lacks && id,
            scopes,
            refused: lacks && "scope missing",
          });
          const answered: Effect.Effect<Response, E, R> =
            lacks === undefined
              ? needed === "orders:operate" || needed === "admin"
                ? Effect.provideService(app, Actor, name)
                : needed === "orders:read"
                  ? Effect.map(app, whileGood(key))
                  : app
              : refuse(scopeMissing(lacks));
          const limit = caller.rateLimit ?? rateLimit;
          return limit === undefined ? answered : within(limit, id, answered);
        };

        const judge = <E, R>(
          request: Request,
          key: string,
          verdict: Verdict,
          needed: Needed | undefined,
          app: Effect.Effect<Response, E, R>,
        ) =>
          verdict._tag === "Caller"
            ? admit(request, key, verdict, needed, app)
            : refused(
                request,
                `key ${verdict.reason}`,
                verdict.id,
                refuse(badKey, {
                  "www-authenticate": 'Bearer error="invalid_token"',
                }),
              );

        const withKey = <E, R>(
          all: Effect.Effect<Response, E, R>,
        ): Effect.Effect<Response, E, R | Request> =>
          Effect.flatMap(
            HttpServerRequest.HttpServerRequest,
            (request): Effect.Effect<Response, E, R> => {
              const needed = find(request.method, request.url);
              if (needed === "anybody") return all;
              const app = KeyCookie.isKept(request.headers)
                ? Effect.map(all, unkept)
                : all;
              const key = KeyCookie.keyIn(request.headers);
              if (key === undefined || key === "") {
                return refused(
                  request,
                  "no key",
                  undefined,
                  refuse(noKey, { "www-authenticate": "Bearer" }),
                );
              }
              const caller = access.known(key);
              if (caller !== undefined) {
                return admit(request, key, caller, needed, app);
              }
              return Effect.matchEffect(orUnavailable(access.verify(key)), {
                onSuccess: (verdict) =>
                  judge(request, key, verdict, needed, app),
                onFailure: refuse,
              });
            },
          );

        const withinLimit = <E, R>(
          limit: RateLimit,
          app: Effect.Effect<Response, E, R>,
        ): Effect.Effect<Response, E, R | Request> =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
            if (find(request.method, request.url) === "anybody") return app;
            const address = addressOf(request);
            return address === undefined ? app : within(limit, address, app);
          });

        return AccessCheck.of({
          before: (app) => {
            if (mode === "keys") return withKey(app);
            return rateLimit === undefined ? app : withinLimit(rateLimit, app);
          },
        });
      }),
    );
}

/** Looks once more, when the endpoint is known. */
export const layerKeyAccess = (mode: AccessOptions["access"]) =>
  Layer.succeed(KeyAccess, {
    key: (answer, { endpoint, group }) =>
      mode === "open"
        ? answer
        : Effect.flatMap(
            HttpServerRequest.HttpServerRequest,
            (request): typeof answer => {
              const needed = neededBy(endpoint, group);
              if (needed === "anybody") return answer;
              const scopes = Askers.askerOf(request)?.scopes;
              if (!isScope(needed)) return scopes ? answer : refuse(noKey);
              return scopes?.has(needed)
                ? answer
                : refuse(scopeMissing(needed));
            },
          ),
  });
