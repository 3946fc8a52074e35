/**
 * What a browser may not do here on behalf of another site. A page from
 * anywhere can send requests to any address its reader can reach, also to a
 * service on the reader's own machine. So what changes something is refused if
 * another site sends it, and so is a name this service does not go by: with a
 * name of its own that points here, a page would count as this same site.
 *
 * Programs that are no browsers send neither `Sec-Fetch-Site` nor `Origin`, and
 * are not concerned.
 */
import { Context, Effect, Layer, Result } from "effect";
import {
  HttpServer,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse,
} from "effect/http";
import { NetAddress } from "effect/net";
import { CrossSite, Misdirected } from "../api/Problems.ts";

/** What is asked about a request, and by whom, as far as its headers say so. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  /** The `Host`, or the authority of the target where that names one. */
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly fetchSite: string | undefined;
}

/** Whether a `Host` is a name of this service. */
export type IsOwnHost = (host: string) => boolean;

interface Authority {
  /** In lower case, without the final dot; addresses in their usual form. */
  readonly name: string;
  /** As it was written; left out, it is the scheme's own. */
  readonly port: string | undefined;
}

export const authorityOf = (host: string): Authority | undefined => {
  if (/[\s/\\?#@]/.test(host)) return undefined;
  const name = URL.parse(`http://${host}`)?.hostname;
  return name === undefined
    ? undefined
    : { name: name.replace(/\.$/, ""), port: /:(\d+)$/.exec(host)?.[1] };
};

export const isLoopbackName = (name: string): boolean =>
  name === "localhost" ||
  Result.match(NetAddress.ipFromString(name.replace(/^\[|\]$/g, "")), {
    onFailure: () => false,
    onSuccess: NetAddress.isLoopback,
  });

/** Ports that no browser writes: which of them is meant, the scheme says. */
const isUsualPort = (port: string) => port === "80" || port === "443";

/** Whether `given` is what `allowed` names: any port, unless that has one. */
const covers = (allowed: Authority, given: Authority): boolean =>
  allowed.name === given.name &&
  (allowed.port === undefined ||
    allowed.port === given.port ||
    (given.port === undefined && isUsualPort(allowed.port)));

/**
 * The names of a service: those it was given ("*" is any), else those of
 * loopback where it can be reached by no others, else any.
 */
export const ownHosts = (
  allowed: ReadonlyArray<string> | undefined,
  listensOnLoopback: boolean,
): IsOwnHost => {
  if (allowed === undefined) {
    return listensOnLoopback
      ? (host) => isLoopbackName(authorityOf(host)?.name ?? "")
      : () => true;
  }
  if (allowed.includes("*")) return () => true;
  const names = allowed.flatMap((name) => authorityOf(name) ?? []);
  return (host) => {
    const given = authorityOf(host);
    return given !== undefined && names.some((name) => covers(name, given));
  };
};

/** Methods that change nothing (RFC 9110, section 9.2.1), and QUERY. */
const safeMethods: ReadonlySet<string> = new Set([
  ...["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"],
]);

/** Probes ask by the address of a container, and are told nothing secret. */
const isProbe = (path: string) => path.startsWith("/health/");

/**
 * Another port of this host is another site here: what else listens on the
 * machine is not this service's, and `same-site` would let it in. A browser
 * says where a request comes from by `Sec-Fetch-Site`, which a proxy that
 * changes `Host` does not spoil; to an address without TLS that is not
 * loopback it sends `Origin` alone.
 */
const isFromAnotherSite = ({ fetchSite, host, origin }: Asked): boolean => {
  if (fetchSite !== undefined) {
    return fetchSite !== "same-origin" && fetchSite !== "none";
  }
  if (origin === undefined) return false;
  const from = URL.parse(origin);
  // The port that is not written is the same for both: that of the page.
  const own = from && URL.parse(`${from.protocol}//${host ?? ""}`);
  return !own || own.host === "" || own.host !== from.host;
};

/** Why a request is refused, if it is. */
export const refusalOf = (
  asked: Asked,
  isOwnHost: IsOwnHost,
): Misdirected | CrossSite | undefined => {
  const { host = "", method, path } = asked;
  // Browsers always send a `Host`; a probe by HTTP/1.0 may send none.
  if (host !== "" && !isOwnHost(host) && !isProbe(path)) {
    return new Misdirected({
      detail: `${JSON.stringify(host.slice(0, 100))} is no name of this service: its setting ALLOWED_HOSTS says which are.`,
    });
  }
  return !safeMethods.has(method) && isFromAnotherSite(asked)
    ? new CrossSite({
        detail: `A page of another site may not send ${method} here: ask from a page of this service, or from a program.`,
      })
    : undefined;
};

const everywhere = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
} as const;

/** What is no page loads nothing and stands in no frame. */
const dataHeaders = {
  ...everywhere,
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
} as const;

/**
 * The docs are one page with its script in it, and nothing in it is a caller's.
 * They ask this service alone, and make styles and pictures of their own.
 */
const docsHeaders = {
  ...everywhere,
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'unsafe-inline'",
    "style-src 'unsafe-inline'",
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
} as const;

/**
 * The console's page: scripts and styles of this service alone, none of them in
 * the page, so that nothing in an order can become one. Its files are bound by
 * the policy of the page.
 */
const consoleHeaders = {
  ...everywhere,
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
} as const;

const isConsole = (path: string) => path === "/";

const isDocs = (path: string) => path === "/docs" || path === "/docs/";

/** An answer with what it says to a browser that shows it. */
export const guarded = (
  path: string,
  response: HttpServerResponse.HttpServerResponse,
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.setHeaders(
    response,
    isConsole(path) ? consoleHeaders : isDocs(path) ? docsHeaders : dataHeaders,
  );

const askedBy = (request: HttpServerRequest.HttpServerRequest): Asked => {
  const { headers, method, url } = request;
  return {
    method,
    path: url,
    host: headers.host ?? URL.parse(request.originalUrl)?.host,
    origin: headers.origin,
    fetchSite: headers["sec-fetch-site"],
  };
};

/** Most callers use one name: looking at it takes 1.4 microseconds. */
const remembering = (isOwnHost: IsOwnHost): IsOwnHost => {
  let last: string | undefined;
  return (host) => {
    if (host === last) return true;
    const isOwn = isOwnHost(host);
    if (isOwn) last = host;
    return isOwn;
  };
};

type Response = HttpServerResponse.HttpServerResponse;

export class Browsers extends Context.Service<
  Browsers,
  {
    /** Answers what is refused; `app` answers all else. */
    before<E, R>(
      app: Effect.Effect<Response, E, R>,
    ): Effect.Effect<Response, E, R | HttpServerRequest.HttpServerRequest>;
  }
>()("http/Browsers") {
  /** @param allowedHosts names, with or without a port, or "*" */
  static readonly layer = (allowedHosts: ReadonlyArray<string> | undefined) =>
    Layer.effect(
      Browsers,
      Effect.map(HttpServer.HttpServer, ({ address }) => {
        const isOwnHost = remembering(
          ownHosts(allowedHosts, isLoopback(address)),
        );
        return Browsers.of({
          before: (app) =>
            Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
              const refusal = refusalOf(askedBy(request), isOwnHost);
              return refusal === undefined
                ? app
                : HttpServerRespondable.toResponse(refusal);
            }),
        });
      }),
    );
}

/** Whether only this machine can reach an address. */
const isLoopback = (address: NetAddress.SocketAddress): boolean =>
  NetAddress.isInetAddress(address) && NetAddress.isLoopback(address.address);
