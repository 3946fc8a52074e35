/** How many requests in a length of time, written as `600/minute`. */
import { Schema } from "effect";

export interface RateLimit {
  /** Requests; as many may come at once. */
  readonly limit: number;
  /** Seconds in which as many come back. */
  readonly windowSeconds: number;
}

export const rateLimitMax = 1_000_000;

const secondsOf: Readonly<Record<string, number>> = {
  second: 1,
  minute: 60,
  hour: 3600,
};

/** Why a text is no limit, for whoever wrote it. */
export const rateLimitFault = `must be a limit such as 600/minute (1 to ${rateLimitMax}, in a second, minute or hour)`;

/** Reads `10/second`, `600/minute`, `1000/hour`; `undefined` for all else. */
export const parseRateLimit = (text: string): RateLimit | undefined => {
  const [, digits = "", unit = ""] =
    /^(\d{1,7})\/(second|minute|hour)$/.exec(text) ?? [];
  const limit = Number(digits);
  const windowSeconds = secondsOf[unit];
  return windowSeconds === undefined || limit < 1 || limit > rateLimitMax
    ? undefined
    : { limit, windowSeconds };
};

/** A limit as it is written and kept. */
export const RateLimitText = Schema.String.annotate({
  message: rateLimitFault,
}).check(
  Schema.makeFilter<string>(
    (text) => (parseRateLimit(text) === undefined ? rateLimitFault : undefined),
    {
      toJsonSchema: () => ({ pattern: "^[0-9]{1,7}/(second|minute|hour)$" }),
    },
  ),
);
