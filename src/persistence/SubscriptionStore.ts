/**
 * Remembers subscriptions, and where each stands in the log of events.
 *
 * Whoever dispatches one claims it first, which fences whoever did before: what
 * that one would still write changes nothing, and it is told so.
 */
import { Context, type Duration, type Effect, type Option } from "effect";
import type { EventPlace } from "../domain/OrderEvent.ts";
import type { NewSubscription, Subscription } from "../domain/Subscription.ts";
import type { RepositoryUnavailable } from "./OrderRepository.ts";

/** An ACTIVE subscription, as all instances look at it once a second. */
export interface ActiveSubscription {
  readonly id: string;
  /** Its number, 0..99. */
  readonly slot: number;
  /** How often somebody had it resumed. */
  readonly resumed: number;
  /** The latest claim. */
  readonly epoch: number;
}

/** What its dispatcher has to know. */
export interface ClaimedSubscription {
  readonly id: string;
  readonly url: string;
  readonly types: Subscription["types"];
  readonly secret: string;
  readonly epoch: number;
  readonly place: EventPlace;
  /** Failed deliveries in a row. */
  readonly failures: number;
  /** So long nothing is to be delivered yet. */
  readonly wait: Duration.Duration;
}

/** A dispatcher's right to write: its claim. */
export interface Claimed {
  readonly id: string;
  readonly epoch: number;
}

type Answer<A> = Effect.Effect<A, RepositoryUnavailable>;

export class SubscriptionStore extends Context.Service<
  SubscriptionStore,
  {
    /** None when there are as many as there may be (`subscriptionsMax`). */
    insert(given: NewSubscription): Answer<Option.Option<Subscription>>;
    /** All of them, oldest first. */
    readonly list: Answer<ReadonlyArray<Subscription>>;
    find(id: string): Answer<Option.Option<Subscription>>;
    /** What to sign with, and where to post to. */
    receiver(
      id: string,
    ): Answer<Option.Option<{ readonly url: string; readonly secret: string }>>;
    /** Whether there was one. */
    remove(id: string): Answer<boolean>;
    /** Makes an ACTIVE one PAUSED; any other stays as it is. */
    pause(id: string): Answer<Option.Option<Subscription>>;
    /** Makes it ACTIVE, as if its receiver had never failed. */
    resume(id: string): Answer<Option.Option<Subscription>>;

    readonly active: Answer<ReadonlyArray<ActiveSubscription>>;
    /** None unless it is ACTIVE. */
    claim(id: string): Answer<Option.Option<ClaimedSubscription>>;
    /**
     * All up to there is delivered, or not wanted. Where some was delivered,
     * its receiver does not fail any more.
     *
     * @returns false where the claim no longer holds
     */
    keepPlace(
      claimed: Claimed,
      place: EventPlace,
      delivered: number,
    ): Answer<boolean>;
    /**
     * A delivery failed, and there is another one after `wait`.
     *
     * @returns for how long its receiver has failed; none where the claim no
     *   longer holds, or it is not ACTIVE any more
     */
    fail(
      claimed: Claimed,
      failure: { readonly error: string; readonly wait: Duration.Duration },
    ): Answer<Option.Option<Duration.Duration>>;
    /** @returns false where the claim no longer holds, or it is not ACTIVE */
    disable(claimed: Claimed, reason: string): Answer<boolean>;
  }
>()("persistence/SubscriptionStore") {}
