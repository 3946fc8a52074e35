/**
 * A subscription: somebody who gets events posted, in their order, each at
 * least once. A new one begins with the events that come after it was made.
 *
 *     ACTIVE    <-- resume --  PAUSED    by somebody's hand
 *       |  \------- pause ----->
 *       \---------------------> DISABLED  its receiver failed for too long, or
 *                                         what it should get is gone
 *
 * `resume` makes it ACTIVE again from either, and its place is kept.
 */
import { type DateTime, Duration, Result, Schema } from "effect";
import { Base64 } from "effect/encoding";
import type { EventPlace, EventType } from "./OrderEvent.ts";
import { growingWait } from "./OrderLifecycle.ts";
import { Partition, partitionCount } from "./Partition.ts";

/** Subscriptions at most: each has a dispatcher, and a place in every list. */
export const subscriptionsMax = 100;

export const subscriptionUrlCharactersMax = 2000;

export const SubscriptionStatus = Schema.Literals([
  "ACTIVE",
  "PAUSED",
  "DISABLED",
]);
export type SubscriptionStatus = typeof SubscriptionStatus.Type;

export interface Subscription {
  readonly id: string;
  /** It may hold a token, but no user and no password. */
  readonly url: string;
  /** Only these types of events; all when empty. */
  readonly types: ReadonlyArray<EventType>;
  readonly status: SubscriptionStatus;
  /** Why it is DISABLED. */
  readonly reason: string | null;
  readonly created_at: DateTime.Utc;
  /** Events that its receiver took. */
  readonly delivered: number;
  /** When it last took some. */
  readonly delivered_at: DateTime.Utc | null;
  /** Failed deliveries since it last took some. */
  readonly failures: number;
  readonly failing_since: DateTime.Utc | null;
  readonly next_attempt_at: DateTime.Utc | null;
  /** In fixed words: neither the receiver's nor its address. */
  readonly last_error: string | null;
  /**
   * How long the oldest event after its place has been in the log, in seconds;
   * 0 when there is none. It may be of a type that is not wanted: such are
   * passed over within a second, while it is ACTIVE.
   */
  readonly lag_seconds: number;
}

/** What is given by whoever makes one. */
export interface NewSubscription {
  readonly id: string;
  readonly url: string;
  readonly types: ReadonlyArray<EventType>;
  /** `whsec_` and the key in base64. */
  readonly secret: string;
  /** Events after this place are for it. */
  readonly place: EventPlace;
}

/**
 * Whose instance dispatches it: the owner of this partition.
 *
 * @param slot the number of the subscription, 0..99; no two have the same
 */
export const partitionOf = (slot: number): Partition =>
  Partition.make(slot % partitionCount);

/** Bytes of a key, as Standard Webhooks wants them. */
const keyBytesMin = 24;
const keyBytesMax = 64;

const prefix = "whsec_";

export const secretOf = (key: Uint8Array): string =>
  `${prefix}${Base64.encode(key)}`;

/** Why a text is no secret; `undefined` when it is one. */
export const secretFault = (secret: string): string | undefined => {
  const key = secret.startsWith(prefix)
    ? Result.getOrUndefined(Base64.decode(secret.slice(prefix.length)))
    : undefined;
  return key !== undefined &&
    key.length >= keyBytesMin &&
    key.length <= keyBytesMax &&
    secretOf(key) === secret
    ? undefined
    : `must be "whsec_" followed by ${keyBytesMin} to ${keyBytesMax} bytes in base64; leave it out to be given one`;
};

/** Why a text is no address of a receiver; `undefined` when it is one. */
export const urlFault = (text: string): string | undefined => {
  if (text.length > subscriptionUrlCharactersMax) {
    return `must be at most ${subscriptionUrlCharactersMax} characters long`;
  }
  const url = URL.parse(text);
  if (!/^https?:$/.test(url?.protocol ?? "") || text.includes("\0")) {
    return "must be a URL such as https://host/path";
  }
  return url?.username === "" && url.password === ""
    ? undefined
    : "must hold no user or password: deliveries are signed with the secret";
};

/** A receiver may fail for so long without taking anything. */
export const failingMax = Duration.days(5);

const waitBase = Duration.seconds(1);
const waitCap = Duration.minutes(5);

/**
 * How long to wait after a failed delivery.
 *
 * @param failures deliveries that failed in a row, at least 1
 * @param asked the receiver's `Retry-After`, kept up to an hour
 * @param random evenly spread over 0..1, from the caller
 */
export const waitAfter = (
  failures: number,
  asked: Duration.Duration | undefined,
  random: number,
): Duration.Duration => growingWait(failures, waitBase, waitCap, asked, random);
