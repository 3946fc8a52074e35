/**
 * The key that a request shows: in `Authorization`, or in the cookie that a
 * browser got for it. No script can read that cookie and no other site can make
 * a browser send it, so it stands for the key itself; the service remembers no
 * sessions, and a key that is revoked is signed out everywhere.
 */
import type { Headers } from "effect/http";

const name = "orders_key";

const attributes = "Path=/; HttpOnly; SameSite=Strict";

/** Seconds for which a browser keeps it. */
const keptSeconds = 30 * 24 * 60 * 60;

/** The key in `Authorization: Bearer <key>`; the scheme's case is any. */
const bearerIn = (authorization: string): string | undefined =>
  authorization.startsWith("Bearer ")
    ? authorization.slice(7).trim()
    : /^bearer +(.*)$/i.exec(authorization)?.[1]?.trim();

const inCookie = new RegExp(`(?:^|;)\\s*${name}=([^;]*)`);

/** The key that is shown: what a program says goes before what a browser keeps. */
export const keyIn = ({
  authorization,
  cookie,
}: Headers.Headers): string | undefined => {
  if (authorization !== undefined) return bearerIn(authorization);
  const given = cookie && inCookie.exec(cookie)?.[1]?.trim();
  if (given === undefined) return undefined;
  try {
    return decodeURIComponent(given);
  } catch {
    return given;
  }
};

/** Behind TLS, where a browser says so, the cookie is sent over TLS only. */
const isSecure = (headers: Headers.Headers) =>
  headers.origin?.startsWith("https:") === true;

/** The header that has a browser keep the key it has shown. */
export const given = (headers: Headers.Headers) => ({
  "set-cookie": `${name}=${encodeURIComponent(keyIn(headers) ?? "")}; ${attributes}; Max-Age=${keptSeconds}${isSecure(headers) ? "; Secure" : ""}`,
});

/** The header that has a browser forget it. */
export const takenBack = {
  "set-cookie": `${name}=; ${attributes}; Max-Age=0`,
};
