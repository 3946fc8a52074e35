/**
 * Limits of rate, each a bucket of tokens for a key or an address: a request
 * takes one, and they come back evenly. In this process's memory.
 *
 * Effect's `RateLimiter` counts the same way, but its store in memory never
 * forgets a bucket, and who chooses addresses chooses how many there are.
 * Here the buckets that were used least lately are forgotten, which fills them.
 */
import type { RateLimit } from "../domain/RateLimit.ts";
import { RecentMap } from "./RecentMap.ts";

/** What came of taking a token. */
export interface Taken {
  readonly isTaken: boolean;
  /** Whole tokens that are left. */
  readonly remaining: number;
  /** Seconds until there is a token; 0 if there is one. */
  readonly retryAfterSeconds: number;
  /** Seconds until all tokens are back. */
  readonly resetSeconds: number;
}

interface Bucket {
  tokens: number;
  /** When `tokens` was right, in milliseconds. */
  at: number;
}

export class TokenBuckets {
  readonly #buckets: RecentMap<Bucket>;
  readonly #nowMillis: () => number;

  /**
   * @param max buckets that are remembered at least; twice as many at most
   * @param nowMillis a clock that never steps back
   */
  constructor(max: number, nowMillis: () => number) {
    this.#buckets = new RecentMap(max);
    this.#nowMillis = nowMillis;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Takes a token from a bucket, if there is one. */
  take(key: string, limit: RateLimit): Taken {
    const bucket = this.#filled(key, limit);
    const isTaken = bucket.tokens >= 1;
    if (isTaken) bucket.tokens -= 1;
    return this.#told(bucket, limit, isTaken);
  }

  /** What taking a token would come to. */
  look(key: string, limit: RateLimit): Taken {
    const bucket = this.#filled(key, limit);
    return this.#told(bucket, limit, bucket.tokens >= 1);
  }

  /** Gives a token back that was taken for nothing. */
  giveBack(key: string, limit: RateLimit): void {
    const bucket = this.#filled(key, limit);
    bucket.tokens = Math.min(limit.limit, bucket.tokens + 1);
  }

  #filled(key: string, { limit, windowSeconds }: RateLimit): Bucket {
    const now = this.#nowMillis();
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      const full = { tokens: limit, at: now };
      this.#buckets.set(key, full);
      return full;
    }
    const back = ((now - bucket.at) * limit) / (windowSeconds * 1000);
    bucket.tokens = Math.min(limit, bucket.tokens + back);
    bucket.at = now;
    return bucket;
  }

  #told(
    { tokens }: Bucket,
    { limit, windowSeconds }: RateLimit,
    isTaken: boolean,
  ): Taken {
    const secondsFor = (missing: number) =>
      Math.ceil((Math.max(0, missing) * windowSeconds) / limit);
    return {
      isTaken,
      remaining: Math.floor(tokens),
      retryAfterSeconds: secondsFor(1 - tokens),
      resetSeconds: secondsFor(limit - tokens),
    };
  }
}
