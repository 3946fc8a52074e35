/** The keys in memory, by the clock at hand: for tests, and to say what is meant. */
import { Clock, DateTime, Duration, Effect, Layer, Option } from "effect";
import { type KeyEntry, keysMax } from "../domain/ApiKey.ts";
import {
  endedDays,
  type FoundKey,
  KeyRefused,
  KeyStore,
  type KeyTrace,
} from "./KeyStore.ts";

interface Kept extends KeyTrace {
  readonly entry: Omit<KeyEntry, "start" | "old_key_until">;
  readonly old: { readonly digest: string; readonly until: number } | undefined;
}

const millisOf = (time: KeyEntry["expires_at"]): number =>
  time === null ? Number.POSITIVE_INFINITY : DateTime.toEpochMillis(time);

/** When a key ends, or has ended. */
const endOf = ({ entry }: Kept): number =>
  Math.min(millisOf(entry.revoked_at), millisOf(entry.expires_at));

export const layer = Layer.sync(KeyStore, () => {
  const keys = new Map<string, Kept>();

  const isGood = (key: Kept, now: number) =>
    key.entry.revoked_at === null && millisOf(key.entry.expires_at) > now;

  const entryOf = (key: Kept, now: number): KeyEntry => ({
    ...key.entry,
    start: key.start,
    old_key_until:
      key.old === undefined || key.old.until <= now
        ? null
        : DateTime.makeUnsafe(key.old.until),
  });

  const stateOf = (key: Kept, digest: string, now: number) => {
    if (key.entry.revoked_at !== null) return "revoked";
    if (millisOf(key.entry.expires_at) <= now) return "expired";
    return digest !== key.digest && (key.old?.until ?? 0) <= now
      ? "rolled"
      : "good";
  };

  /** At the time of the clock; no other goes between. */
  const atOnce = <A>(run: (now: number) => A) =>
    Effect.map(Clock.currentTimeMillis, run);

  const goodKeys = (now: number) =>
    Array.from(keys.values()).filter((key) => isGood(key, now));

  return KeyStore.of({
    add: ({ digest, id, start, ...given }) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const good = goodKeys(now);
        if (good.some(({ entry }) => entry.name === given.name)) {
          return Effect.fail(new KeyRefused({ reason: "name taken" }));
        }
        if (good.length >= keysMax) {
          return Effect.fail(new KeyRefused({ reason: "too many" }));
        }
        const key: Kept = {
          digest,
          start,
          old: undefined,
          entry: {
            ...given,
            id,
            created_at: DateTime.makeUnsafe(now),
            rolled_at: null,
            revoked_at: null,
          },
        };
        keys.set(id, key);
        return Effect.succeed(entryOf(key, now));
      }),
    list: atOnce((now) => {
      const listedFrom = now - Duration.toMillis(Duration.days(endedDays));
      const all = Array.from(keys.values()).reverse();
      const ended = all.filter(
        (key) => !isGood(key, now) && endOf(key) > listedFrom,
      );
      const listed = new Set([...goodKeys(now), ...ended.slice(0, keysMax)]);
      return all
        .filter((key) => listed.has(key))
        .map((key) => entryOf(key, now));
    }),
    count: atOnce((now) => goodKeys(now).length),
    find: (digest) =>
      atOnce((now): Option.Option<FoundKey> => {
        for (const key of keys.values()) {
          if (key.digest !== digest && key.old?.digest !== digest) continue;
          const { id, name, rate_limit, scopes } = key.entry;
          const until =
            key.digest === digest
              ? Number.POSITIVE_INFINITY
              : (key.old?.until ?? 0);
          return Option.some({
            id,
            name,
            scopes,
            rate_limit,
            digest,
            state: stateOf(key, digest, now),
            goodMillis: Math.min(endOf(key), until) - now,
          });
        }
        return Option.none();
      }),
    roll: (id, { digest, start }, graceSeconds) =>
      atOnce((now) => {
        const key = keys.get(id);
        if (key === undefined || !isGood(key, now)) return Option.none();
        const rolled: Kept = {
          digest,
          start,
          old: { digest: key.digest, until: now + graceSeconds * 1000 },
          entry: { ...key.entry, rolled_at: DateTime.makeUnsafe(now) },
        };
        keys.set(id, rolled);
        return Option.some(entryOf(rolled, now));
      }),
    revoke: (id) =>
      atOnce((now) => {
        const key = keys.get(id);
        if (key === undefined) return false;
        if (key.entry.revoked_at === null) {
          keys.set(id, {
            ...key,
            entry: { ...key.entry, revoked_at: DateTime.makeUnsafe(now) },
          });
        }
        return true;
      }),
  });
});
