/** What a store of keys promises, for every one there is. */
import { assert, layer } from "@effect/vitest";
import {
  Context,
  DateTime,
  type Duration,
  Effect,
  type Layer,
  Option,
} from "effect";
import { keysMax, type NewKey } from "../../src/domain/ApiKey.ts";
import type { KeyStore } from "../../src/persistence/KeyStore.ts";

export class KeySubject extends Context.Service<
  KeySubject,
  {
    /** A store without keys. */
    readonly fresh: Effect.Effect<KeyStore["Service"]>;
    /** Lets time pass, as the store counts it. */
    readonly pass: (time: Duration.Input) => Effect.Effect<void>;
    /** The time of the store. */
    readonly now: Effect.Effect<number>;
  }
>()("test/KeySubject") {}

const newKey = (
  name: string,
  given: Partial<NewKey> = {},
): NewKey & {
  readonly id: string;
  readonly digest: string;
  readonly start: string;
} => ({
  id: `id-${name}`,
  digest: `digest-${name}`,
  start: "osk_abcdef",
  name,
  scopes: ["orders:place", "orders:read"],
  expires_at: null,
  rate_limit: null,
  ...given,
});

export const keyStoreSuite = <E>(
  name: string,
  subject: Layer.Layer<KeySubject, E>,
) =>
  layer(subject, { timeout: "60 seconds" })(name, (it) => {
    const refusal = (
      added: ReturnType<KeyStore["Service"]["add"]>,
    ): Effect.Effect<string> =>
      Effect.match(added, {
        onSuccess: () => "added",
        onFailure: (error) => error.reason,
      });
    const stateOf = (store: KeyStore["Service"], digest: string) =>
      Effect.map(
        store.find(digest),
        Option.match({ onNone: () => "none", onSome: ({ state }) => state }),
      );

    it.effect("finds a key by its digest, and by nothing else", () =>
      Effect.gen(function* () {
        const store = yield* (yield* KeySubject).fresh;
        const added = yield* store.add(
          newKey("shop", { rate_limit: "10/second" }),
        );
        assert.include(added, {
          id: "id-shop",
          name: "shop",
          start: "osk_abcdef",
          rate_limit: "10/second",
          expires_at: null,
          revoked_at: null,
          rolled_at: null,
          old_key_until: null,
        });
        assert.notProperty(added, "digest");
        const found = Option.getOrThrow(yield* store.find("digest-shop"));
        assert.deepStrictEqual(found, {
          id: "id-shop",
          name: "shop",
          scopes: ["orders:place", "orders:read"],
          rate_limit: "10/second",
          digest: "digest-shop",
          state: "good",
          goodMillis: Number.POSITIVE_INFINITY,
        });
        assert.isTrue(Option.isNone(yield* store.find("digest-other")));
        assert.isTrue(Option.isNone(yield* store.find("' OR 1 = 1 --")));
      }),
    );

    it.effect("answers many who ask at the same time, each its own", () =>
      Effect.gen(function* () {
        const store = yield* (yield* KeySubject).fresh;
        const names = Array.from({ length: 40 }, (_, index) => `k${index}`);
        // Adding is a transaction, and finding goes on beside it.
        const found = yield* Effect.forEach(
          names,
          (one) =>
            Effect.andThen(store.add(newKey(one)), store.find(`digest-${one}`)),
          { concurrency: 10 },
        );
        assert.deepStrictEqual(
          found.map((one) => Option.getOrThrow(one).name),
          names,
        );
        assert.strictEqual(yield* store.count, 40);
      }),
    );

    it.effect("refuses a name that a good key has, whoever is first", () =>
      Effect.gen(function* () {
        const store = yield* (yield* KeySubject).fresh;
        const outcomes = yield* Effect.forEach(
          ["1", "2", "3"],
          (number) =>
            refusal(
              store.add({
                ...newKey("same"),
                id: `id-${number}`,
                digest: `digest-${number}`,
              }),
            ),
          { concurrency: "unbounded" },
        );
        assert.sameMembers(outcomes, ["added", "name taken", "name taken"]);
        const [{ id = "" } = {}] = yield* store.list;
        assert.isTrue(yield* store.revoke(id));
        assert.strictEqual(yield* refusal(store.add(newKey("same"))), "added");
      }),
    );

    it.effect("knows why a key is not good any more", () =>
      Effect.gen(function* () {
        const { fresh, now, pass } = yield* KeySubject;
        const store = yield* fresh;
        const soon = DateTime.makeUnsafe((yield* now) + 1_500);
        yield* store.add(newKey("short", { expires_at: soon }));
        yield* store.add(newKey("revoked"));
        const short = Option.getOrThrow(yield* store.find("digest-short"));
        assert.isAtMost(short.goodMillis, 1_500);
        assert.isAbove(short.goodMillis, 0);
        assert.isTrue(yield* store.revoke("id-revoked"));
        assert.isTrue(yield* store.revoke("id-revoked"), "again");
        assert.isFalse(yield* store.revoke("id-none"));
        yield* pass("1600 millis");
        assert.strictEqual(yield* stateOf(store, "digest-short"), "expired");
        assert.strictEqual(yield* stateOf(store, "digest-revoked"), "revoked");
        assert.strictEqual(yield* store.count, 0);
        assert.strictEqual((yield* store.list).length, 2);
        assert.strictEqual(yield* refusal(store.add(newKey("other"))), "added");
        assert.isTrue(
          Option.isNone(
            yield* store.roll("id-short", { digest: "d", start: "s" }, 0),
          ),
        );
      }),
    );

    it.effect("rolls a key, and the one before it is good for its grace", () =>
      Effect.gen(function* () {
        const { fresh, pass } = yield* KeySubject;
        const store = yield* fresh;
        yield* store.add(newKey("shop"));
        const rolled = Option.getOrThrow(
          yield* store.roll(
            "id-shop",
            { digest: "digest-2", start: "osk_second" },
            2,
          ),
        );
        assert.include(rolled, { id: "id-shop", start: "osk_second" });
        assert.isNotNull(rolled.rolled_at);
        assert.isNotNull(rolled.old_key_until);
        assert.strictEqual(yield* stateOf(store, "digest-2"), "good");
        const old = Option.getOrThrow(yield* store.find("digest-shop"));
        assert.strictEqual(old.state, "good");
        assert.isAtMost(old.goodMillis, 2_000);
        yield* pass("2100 millis");
        assert.strictEqual(yield* stateOf(store, "digest-shop"), "rolled");
        assert.strictEqual(yield* stateOf(store, "digest-2"), "good");
        const [entry] = yield* store.list;
        assert.isNull(entry?.old_key_until);

        yield* store.roll("id-shop", { digest: "digest-3", start: "s" }, 60);
        yield* store.roll("id-shop", { digest: "digest-4", start: "s" }, 60);
        assert.strictEqual(yield* stateOf(store, "digest-2"), "none");
        assert.strictEqual(yield* stateOf(store, "digest-3"), "good");
        yield* store.revoke("id-shop");
        assert.strictEqual(yield* stateOf(store, "digest-3"), "revoked");
        assert.strictEqual(yield* stateOf(store, "digest-4"), "revoked");
      }),
    );

    it.effect("has so many keys and no more", () =>
      Effect.gen(function* () {
        const store = yield* (yield* KeySubject).fresh;
        yield* Effect.forEach(
          Array.from({ length: keysMax }, (_, index) => index),
          (index) => store.add(newKey(`k${index}`)),
          { discard: true },
        );
        assert.strictEqual(
          yield* refusal(store.add(newKey("one more"))),
          "too many",
        );
        yield* store.revoke("id-k0");
        assert.strictEqual(yield* refusal(store.add(newKey("x"))), "added");
        assert.strictEqual((yield* store.list).length, keysMax + 1);
      }),
    );
  });
