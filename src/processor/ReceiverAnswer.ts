/** What the status of a receiver's answer means for an order. Pure. */

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

/** Of 4xx, those that are "not now", and those of a wrong route. */
const retryable: ReadonlySet<number> = new Set([401, 403, 404, 408, 425]);

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
