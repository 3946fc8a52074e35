/**
 * What a receiver's answer means, or that there is none; and what may be told
 * of it. Pure.
 */
import { type Duration, Result } from "effect";
import { Headers } from "effect/http";

export type Meaning =
  /** The work is done. */
  | "done"
  /** About the receiver, not the order: it cannot now. Spends no attempt. */
  | "away"
  /** Not done, and perhaps the next time. Spends an attempt. */
  | "retryable"
  /** The receiver will not do it. */
  | "final";

const away: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/**
 * Of 4xx, those that are "not now" (409: an earlier call with the same
 * `Idempotency-Key` is still being worked on), and those of a wrong route.
 */
const retryable: ReadonlySet<number> = new Set([401, 403, 404, 408, 409, 425]);

export const meaningOf = (status: number): Meaning => {
  if (status >= 200 && status < 300) return "done";
  if (away.has(status)) return "away";
  const isRetryable =
    retryable.has(status) ||
    (status >= 300 && status < 400) ||
    (status >= 500 && status < 600);
  return isRetryable ? "retryable" : "final";
};

/** Shorter words are not looked for: they stand in any text. */
const partLengthMin = 4;

/** What of an address tells where it leads, or opens it; the longest first. */
const tellingParts = (url: URL): ReadonlyArray<string> => {
  const pairs = url.search.slice(1).split("&");
  const values = pairs.map((pair) => pair.replace(/^[^=]*=/, ""));
  return [
    url.href,
    url.host,
    url.hostname,
    url.pathname + url.search,
    url.pathname,
    url.search,
    ...pairs,
    ...values,
    ...url.searchParams.values(),
  ]
    .filter((part) => part.length >= partLengthMin)
    .sort((one, other) => other.length - one.length);
};

/**
 * A text of the receiver without its address. Many a 404 repeats the path that
 * was asked for, token and all.
 */
export const withoutAddress = (url: URL): ((text: string) => string) => {
  const parts = tellingParts(url);
  return (text) =>
    parts.reduce((left, part) => left.replaceAll(part, "..."), text);
};

/**
 * The wait that an answer asks for (`Retry-After`).
 *
 * @param now in milliseconds since 1970
 */
export const retryAfterOf = (
  headers: Headers.Headers,
  now: number,
): Duration.Duration | undefined => {
  const asked = Headers.parseRetryAfter(headers["retry-after"] ?? "");
  return Result.isSuccess(asked)
    ? Headers.retryAfterDelay(asked.success, now)
    : undefined;
};

/** What Deno has instead of a code, in the midst of words with the address. */
const denoCode =
  /os error \d+|dns error|certificate|(?:invalid|unexpected) [\w -]{1,30} parsed/;

/** Whether the code is that of an answer that is not HTTP, on Node or Deno. */
export const isNotHttp = (code: string): boolean => /^HPE_| parsed$/.test(code);

/** The code of what is at the root of it, or its name: words may tell more. */
export const codeOf = (error: Error): string => {
  const { code } = error as { readonly code?: unknown };
  if (typeof code === "string" && /^[A-Z][A-Z0-9_]{2,63}$/.test(code)) {
    return code;
  }
  const found = denoCode.exec(error.message)?.[0];
  if (found !== undefined) return found;
  return error.cause instanceof Error ? codeOf(error.cause) : error.name;
};
