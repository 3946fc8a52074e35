/**
 * The keys, as they are kept: never a key itself, but its SHA-256 in hex.
 * Times are the store's own.
 */
import { Context, type Effect, type Option, Schema } from "effect";
import type { KeyEntry, NewKey } from "../domain/ApiKey.ts";
import type { Scope } from "../domain/Scope.ts";
import type { RepositoryUnavailable } from "./OrderRepository.ts";

/** Why a key is not added. */
export class KeyRefused extends Schema.TaggedError<KeyRefused>()("KeyRefused", {
  reason: Schema.Literals(["name taken", "too many"]),
}) {}

/** What is kept of the key itself. */
export interface KeyTrace {
  /** SHA-256, in hex. */
  readonly digest: string;
  /** The first characters. */
  readonly start: string;
}

/** What is known of a key that somebody has shown. */
export interface FoundKey {
  readonly id: string;
  readonly name: string;
  readonly scopes: ReadonlyArray<Scope>;
  readonly rate_limit: string | null;
  /** As in the store; compare it with what was asked for. */
  readonly digest: string;
  /** "rolled": another has taken its place, and its grace is over. */
  readonly state: "good" | "expired" | "revoked" | "rolled";
  /** Milliseconds for which it is good; infinity if nothing ends it. */
  readonly goodMillis: number;
}

/** Days for which a key is listed, and its name found, after its end. */
export const endedDays = 30;

type Answer<A, E = never> = Effect.Effect<A, E | RepositoryUnavailable>;

export class KeyStore extends Context.Service<
  KeyStore,
  {
    /** Adds a key, unless a good one has its name or there are too many. */
    add(
      key: NewKey & KeyTrace & { readonly id: string },
    ): Answer<KeyEntry, KeyRefused>;
    /** Keys that are good, and those that ended lately; the newest first. */
    readonly list: Answer<ReadonlyArray<KeyEntry>>;
    /** How many are good. */
    readonly count: Answer<number>;
    /** Looks for a key, or the one before it, by its digest. */
    find(digest: string): Answer<Option.Option<FoundKey>>;
    /** Gives a good key another digest; the one before is good for a while. */
    roll(
      id: string,
      trace: KeyTrace,
      graceSeconds: number,
    ): Answer<Option.Option<KeyEntry>>;
    /** Ends a key; says whether there is one, ended or not. */
    revoke(id: string): Answer<boolean>;
  }
>()("persistence/KeyStore") {}
