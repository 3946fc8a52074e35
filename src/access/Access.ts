/**
 * Who shows a key, and what it may do. What the database said of a key is kept
 * for 10 s, in each instance: so long a revoked key may still be taken, and so
 * long keys are good while the database is away.
 *
 * Bad keys cost the database and the memory little. A mistyped key is known by
 * its checksum, and a wrong one is remembered. All callers together share a
 * budget of lookups of unknown keys. `ADMIN_KEY`, malformed keys and keys that
 * were good a moment ago are decided before that budget. There is no limit for
 * each address: where many callers share one, a stranger would lock them out.
 */
import {
  Clock,
  Context,
  Duration,
  Effect,
  Fiber,
  FiberSet,
  Layer,
  Option,
  Redacted,
} from "effect";
import { Digest, Mac } from "effect/crypto";
import { Hex } from "effect/encoding";
import { adminName, isKey } from "../domain/ApiKey.ts";
import { parseRateLimit, type RateLimit } from "../domain/RateLimit.ts";
import { allScopes, type Scope } from "../domain/Scope.ts";
import { type FoundKey, KeyStore } from "../persistence/KeyStore.ts";
import { RepositoryUnavailable } from "../persistence/OrderRepository.ts";
import * as SteadyClock from "../processor/SteadyClock.ts";
import { RecentMap } from "./RecentMap.ts";
import { TokenBuckets } from "./TokenBuckets.ts";

/** Whoever shows a good key. */
export interface Caller {
  readonly _tag: "Caller";
  /** The key's id; that of `ADMIN_KEY` is "admin". */
  readonly id: string;
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
  readonly rateLimit: RateLimit | undefined;
}

/** A key that is not good, and why. */
export interface BadKey {
  readonly _tag: "BadKey";
  readonly reason: "malformed" | "unknown" | Exclude<FoundKey["state"], "good">;
  /** The id of the key that it was. */
  readonly id: string | undefined;
}

export type Verdict = Caller | BadKey;

/** How long an answer of the database is kept. */
export const keptMillis = 10_000;

/** How often it is looked whether whoever listens still may. */
const lookInterval = Duration.seconds(1);

/** Good keys that are kept: of all there can be, and those before them. */
const goodMax = 2_000;
/** Bad ones; each takes about 200 bytes. */
const badMax = 5_000;

/** Lookups of keys that are unknown here, of all callers together. */
export const lookupsLimit: RateLimit = { limit: 500, windowSeconds: 5 };

const malformed: BadKey = {
  _tag: "BadKey",
  reason: "malformed",
  id: undefined,
};
const unknown: BadKey = { _tag: "BadKey", reason: "unknown", id: undefined };

const admin: Caller = {
  _tag: "Caller",
  id: adminName,
  name: adminName,
  scopes: new Set(allScopes),
  rateLimit: undefined,
};

/** Kept: making an error is most of refusing. */
const tooManyLookups = new RepositoryUnavailable({
  reason: "too many keys that are not known here are looked for",
});

interface Kept<A> {
  readonly verdict: A;
  /** In milliseconds of the steady clock. */
  until: number;
}

const verdictOf = ({
  id,
  name,
  rate_limit,
  scopes,
  state,
}: FoundKey): Verdict =>
  state === "good"
    ? {
        _tag: "Caller",
        id,
        name,
        scopes: new Set(scopes),
        rateLimit: parseRateLimit(rate_limit ?? ""),
      }
    : { _tag: "BadKey", reason: state, id };

export class Access extends Context.Service<
  Access,
  {
    /** The caller of a key that was found good lately; at no cost. */
    known(key: string): Caller | undefined;
    /** Finds out about a key. */
    verify(key: string): Effect.Effect<Verdict, RepositoryUnavailable>;
    /**
     * Waits until a key that was good is good no more: for answers that go on.
     * While the database is away, they do.
     */
    untilBad(key: string): Effect.Effect<void>;
    /** Looks anew at a key, as it has changed. */
    forget(id: string): Effect.Effect<void>;
    /** How much is remembered, of all kinds. */
    readonly remembered: () => number;
  }
>()("access/Access") {
  /** @param adminKey has all scopes; left out, there is none */
  static readonly layer = (adminKey: Redacted.Redacted | undefined) =>
    Layer.effect(
      Access,
      Effect.gen(function* () {
        const store = yield* KeyStore;
        const { digest } = yield* Digest.Digest;
        const clock = SteadyClock.of(yield* Clock.Clock);
        // Whoever asked first may go away: others wait for the same answer.
        const run = yield* FiberSet.makeRuntime<
          never,
          Verdict,
          RepositoryUnavailable
        >();
        const nowMillis = () => clock.currentTimeMillisUnsafe();
        const utf8 = new TextEncoder();
        const digestOf = (key: string) =>
          digest(Digest.sha256, utf8.encode(key));
        // ASCII (`AppConfig`), so it has as many bytes as characters.
        const adminBytes = adminKey && utf8.encode(Redacted.value(adminKey));

        const good = new RecentMap<Kept<Caller>>(goodMax);
        const bad = new RecentMap<Kept<BadKey>>(badMax);
        const underWay = new Map<
          string,
          Fiber.Fiber<Verdict, RepositoryUnavailable>
        >();
        const lookups = new TokenBuckets(1, nowMillis);

        const known = (key: string): Caller | undefined => {
          const kept = good.get(key);
          return kept !== undefined && kept.until > nowMillis()
            ? kept.verdict
            : undefined;
        };

        const keep = (
          key: string,
          verdict: Verdict,
          until: number,
        ): Verdict => {
          if (verdict._tag === "Caller") good.set(key, { verdict, until });
          else {
            good.delete(key);
            // What is no key at all is known as such, however long it is.
            if (isKey(key)) bad.set(key, { verdict, until });
          }
          return verdict;
        };

        const isAdmins = (key: string): boolean =>
          key.length === adminBytes?.length &&
          Mac.timingSafeEqual(utf8.encode(key), adminBytes);

        /** Asks the database, once for all who show the same key. */
        const ask = Effect.fnUntraced(function* (key: string) {
          const asked = nowMillis();
          if (isAdmins(key)) {
            return keep(key, admin, asked + keptMillis);
          }
          const sum = yield* digestOf(key);
          const found = yield* store.find(Hex.encode(sum));
          const isSame =
            Option.isSome(found) &&
            Mac.timingSafeEqual(
              utf8.encode(found.value.digest),
              utf8.encode(Hex.encode(sum)),
            );
          if (!isSame) return keep(key, unknown, asked + keptMillis);
          const millis = Math.min(keptMillis, found.value.goodMillis);
          const verdict = verdictOf(found.value);
          return keep(
            key,
            verdict,
            asked + (verdict._tag === "Caller" ? millis : keptMillis),
          );
        });

        const lookUp = (key: string) =>
          Effect.suspend(() => {
            const other = underWay.get(key);
            if (other !== undefined) return Fiber.join(other);
            const fiber = run(
              Effect.ensuring(
                ask(key),
                Effect.sync(() => underWay.delete(key)),
              ),
            );
            if (fiber.pollUnsafe() === undefined) underWay.set(key, fiber);
            return Fiber.join(fiber);
          });

        /** Looks for a key that nobody here knows, as often as that may be. */
        const lookUpUnknown = (key: string) =>
          Effect.suspend(() => {
            if (!underWay.has(key) && !lookups.take("", lookupsLimit).isTaken) {
              return Effect.fail(tooManyLookups);
            }
            return Effect.tap(lookUp(key), ({ _tag }) =>
              Effect.sync(() => {
                if (_tag === "Caller") lookups.giveBack("", lookupsLimit);
              }),
            );
          });

        const verify = (key: string) =>
          Effect.suspend((): Effect.Effect<Verdict, RepositoryUnavailable> => {
            const caller = known(key);
            if (caller !== undefined) return Effect.succeed(caller);
            // Good a moment ago.
            if (good.get(key) !== undefined) return lookUp(key);
            const kept = bad.get(key);
            if (kept !== undefined && kept.until > nowMillis()) {
              return Effect.succeed(kept.verdict);
            }
            if (isAdmins(key)) {
              return Effect.succeed(keep(key, admin, nowMillis() + keptMillis));
            }
            return isKey(key) ? lookUpUnknown(key) : Effect.succeed(malformed);
          });

        return Access.of({
          known,
          verify,
          untilBad: (key) =>
            Effect.suspend(() =>
              known(key) === undefined
                ? Effect.catch(
                    Effect.map(lookUp(key), ({ _tag }) => _tag === "BadKey"),
                    () => Effect.succeed(false),
                  )
                : Effect.succeed(false),
            ).pipe(
              Effect.delay(lookInterval),
              Effect.repeat({ until: (isBad) => isBad }),
              Effect.asVoid,
            ),
          forget: (id) =>
            Effect.sync(() => {
              for (const kept of good.values()) {
                if (kept.verdict.id === id) kept.until = 0;
              }
            }),
          remembered: () => good.size + bad.size + underWay.size,
        });
      }),
    );
}
