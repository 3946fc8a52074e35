/**
 * The key that a request shows: in `Authorization`, or in the cookie that a
 * browser got for it. No script can read that cookie and no other site can make
 * a browser send it, so it stands for the key itself; the service remembers no
 * sessions, and a key that is revoked is signed out everywhere.
 *
 * All that listens on one host shares its cookies, whatever the port, so the
 * cookie's name has the port in it: two services on one machine do not sign each
 * other's readers out. Behind TLS its name has the prefix `__Host-`, under which
 * a browser takes no cookie from another host of the same domain.
 */
import { Duration } from "effect";
import type { Headers } from "effect/http";
import { HttpServerResponse } from "effect/http";
import { authorityOf, isLoopbackName } from "./Browsers.ts";

const attributes = { path: "/", httpOnly: true, sameSite: "strict" } as const;

/** How long a browser keeps it. */
const keptFor = Duration.days(30);

/** The key in `Authorization: Bearer <key>`; the scheme's case is any. */
const bearerIn = (authorization: string): string | undefined =>
  authorization.startsWith("Bearer ")
    ? authorization.slice(7).trim()
    : /^bearer +(.*)$/i.exec(authorization)?.[1]?.trim();

/** The name of the cookie, by the address that the browser asked. */
const nameFor = ({ host = "" }: Headers.Headers): string => {
  const port = /:(\d+)$/.exec(host)?.[1];
  return port === undefined ? "orders_key" : `orders_key_${port}`;
};

/**
 * Whether the cookie has to have the prefix. Browsers send `Sec-Fetch-Site` to
 * secure addresses alone: with TLS, or on loopback. Without the prefix a cookie
 * may be one that a neighbouring name has planted.
 */
const needsPrefix = ({ host = "", "sec-fetch-site": from }: Headers.Headers) =>
  from !== undefined && !isLoopbackName(authorityOf(host)?.name ?? "");

const decoded = (value: string): string => {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
};

const valueIn = (cookie: string, name: string): string | undefined => {
  for (const pair of cookie.split(";")) {
    const at = pair.indexOf("=");
    if (at > 0 && pair.slice(0, at).trim() === name) {
      return decoded(pair.slice(at + 1).trim());
    }
  }
  return undefined;
};

/**
 * The key in the cookie. A page of another port or name can make a browser send
 * it, too (to a browser that is "same site"): to that it is no key.
 */
const inCookie = (headers: Headers.Headers): string | undefined => {
  const { cookie, "sec-fetch-site": from } = headers;
  if (cookie === undefined) return undefined;
  if (from !== undefined && from !== "same-origin" && from !== "none") {
    return undefined;
  }
  const name = nameFor(headers);
  const prefixed = valueIn(cookie, `__Host-${name}`);
  return prefixed !== undefined || needsPrefix(headers)
    ? prefixed
    : valueIn(cookie, name);
};

/** The key that is shown: what a program says goes before what a browser keeps. */
export const keyIn = (headers: Headers.Headers): string | undefined =>
  headers.authorization === undefined
    ? inCookie(headers)
    : bearerIn(headers.authorization);

/** Whether the key that is shown is one that a browser kept. */
export const isKept = (headers: Headers.Headers): boolean =>
  headers.authorization === undefined;

/** Behind TLS a browser says so, with each request that changes something. */
const isSecure = (headers: Headers.Headers) =>
  headers.origin?.startsWith("https:") === true;

type Change = (
  response: HttpServerResponse.HttpServerResponse,
) => HttpServerResponse.HttpServerResponse;

/** Has a browser keep the key it has shown. */
export const given = (headers: Headers.Headers): Change => {
  const name = nameFor(headers);
  const secure = isSecure(headers);
  return HttpServerResponse.setCookieUnsafe(
    secure ? `__Host-${name}` : name,
    keyIn(headers) ?? "",
    { ...attributes, maxAge: keptFor, secure },
  );
};

/** Has a browser forget it, under either name. */
export const takenBack =
  (headers: Headers.Headers): Change =>
  (response) => {
    const name = nameFor(headers);
    return response.pipe(
      HttpServerResponse.expireCookieUnsafe(name, attributes),
      HttpServerResponse.expireCookieUnsafe(`__Host-${name}`, {
        ...attributes,
        secure: true,
      }),
    );
  };
