/** Who is let in, for how long, and what it costs, on the test's clock. */
import { assert, describe, it } from "@effect/vitest";
import { Context, Effect, Fiber, Layer, Redacted } from "effect";
import { Digest, SecureRandom } from "effect/crypto";
import { TestClock } from "effect/testing";
import { Access, lookupsLimit } from "../../src/access/Access.ts";
import { Keys } from "../../src/access/Keys.ts";
import { keyOf } from "../../src/domain/ApiKey.ts";
import { KeyStore } from "../../src/persistence/KeyStore.ts";
import * as KeyStoreMemory from "../../src/persistence/KeyStoreMemory.ts";
import { RepositoryUnavailable } from "../../src/persistence/OrderRepository.ts";

const adminKey = "an admin key of more than 32 characters".replaceAll(" ", "-");

/** A key that nobody has made. */
const wrongKey = (number: number): string => {
  const bytes = new Uint8Array(20);
  new DataView(bytes.buffer).setUint32(0, number);
  return keyOf(bytes);
};

const shop = {
  name: "shop",
  scopes: ["orders:place"],
  expires_at: null,
  rate_limit: null,
} as const;

/** A store that counts what it is asked for, and can be away. */
const makeStore = Effect.gen(function* () {
  const store = Context.get(
    yield* Layer.build(Layer.fresh(KeyStoreMemory.layer)),
    KeyStore,
  );
  const state = { finds: 0, isAway: false };
  return {
    state,
    store: KeyStore.of({
      ...store,
      find: (digest) =>
        Effect.suspend(() => {
          state.finds += 1;
          // A turn, as a query takes: others come meanwhile.
          return Effect.andThen(
            Effect.yieldNow,
            state.isAway
              ? Effect.fail(new RepositoryUnavailable({ reason: "away" }))
              : store.find(digest),
          );
        }),
    }),
  };
});

/** An instance on a store. */
const instance = (store: KeyStore["Service"]) =>
  Layer.build(
    Layer.fresh(
      Keys.layer.pipe(
        Layer.provideMerge(Access.layer(Redacted.make(adminKey))),
        Layer.provide([Digest.layerWebCrypto, SecureRandom.layerWebCrypto]),
        Layer.provide(Layer.succeed(KeyStore, store)),
      ),
    ),
  ).pipe(
    Effect.map((context) => ({
      access: Context.get(context, Access),
      keys: Context.get(context, Keys),
    })),
  );

const make = Effect.gen(function* () {
  const { state, store } = yield* makeStore;
  return { state, store, ...(yield* instance(store)) };
});

/** What came of showing a key, in a word. */
const outcome = (access: Access["Service"], key: string) =>
  Effect.match(access.verify(key), {
    onSuccess: (verdict) =>
      verdict._tag === "Caller" ? verdict.name : verdict.reason,
    onFailure: ({ _tag }) => _tag,
  });

describe("Access", () => {
  it.effect("asks the store once in 10 s for a good key", () =>
    Effect.gen(function* () {
      const { access, keys, state } = yield* make;
      const { key } = yield* keys.make(shop);
      assert.isUndefined(access.known(key));
      assert.strictEqual(yield* outcome(access, key), "shop");
      assert.strictEqual(access.known(key)?.name, "shop");
      yield* TestClock.adjust("9999 millis");
      assert.strictEqual(access.known(key)?.name, "shop");
      assert.strictEqual(yield* outcome(access, key), "shop");
      assert.strictEqual(state.finds, 1);
      yield* TestClock.adjust("1 millis");
      assert.isUndefined(access.known(key));
      assert.strictEqual(yield* outcome(access, key), "shop");
      assert.strictEqual(state.finds, 2);
    }),
  );

  it.effect("asks once for all who show the same key at the same time", () =>
    Effect.gen(function* () {
      const { access, keys, state } = yield* make;
      const { key } = yield* keys.make(shop);
      const outcomes = yield* Effect.all(
        Array.from({ length: 100 }, () => outcome(access, key)),
        { concurrency: "unbounded" },
      );
      assert.deepStrictEqual(Array.from(new Set(outcomes)), ["shop"]);
      assert.strictEqual(state.finds, 1);
    }),
  );

  it.effect("goes on asking when whoever asked first goes away", () =>
    Effect.gen(function* () {
      const { access, keys } = yield* make;
      const { key } = yield* keys.make(shop);
      const [first, second] = yield* Effect.all([
        Effect.forkChild(outcome(access, key), { startImmediately: true }),
        Effect.forkChild(outcome(access, key), { startImmediately: true }),
      ]);
      yield* Fiber.interrupt(first);
      assert.strictEqual(yield* Fiber.join(second), "shop");
    }),
  );

  it.effect("lets the admin's key in, and asks nobody", () =>
    Effect.gen(function* () {
      const { access, state } = yield* make;
      assert.strictEqual(yield* outcome(access, adminKey), "admin");
      assert.strictEqual(access.known(adminKey)?.scopes.size, 4);
      assert.strictEqual(yield* outcome(access, `${adminKey}x`), "malformed");
      assert.strictEqual(yield* outcome(access, ""), "malformed");
      assert.strictEqual(state.finds, 0);
    }),
  );

  it.effect("knows a mistyped key without asking", () =>
    Effect.gen(function* () {
      const { access, keys, state } = yield* make;
      const { key } = yield* keys.make(shop);
      const mistyped = [
        key.slice(0, -1),
        `${key}0`,
        key.toUpperCase(),
        // Each digit in turn, another one.
        ...Array.from({ length: key.length - 4 }, (_, index) => {
          const at = index + 4;
          const other = key[at] === "0" ? "1" : "0";
          return key.slice(0, at) + other + key.slice(at + 1);
        }),
        // Two neighbours changed about.
        ...Array.from({ length: key.length - 5 }, (_, index) => {
          const at = index + 4;
          return (
            key.slice(0, at) +
            key.charAt(at + 1) +
            key.charAt(at) +
            key.slice(at + 2)
          );
        }).filter((changed) => changed !== key),
      ];
      for (const one of mistyped) {
        assert.strictEqual(yield* outcome(access, one), "malformed", one);
      }
      assert.strictEqual(state.finds, 0);
    }),
  );

  it.effect("refuses a revoked key on another instance within 10 s", () =>
    Effect.gen(function* () {
      const { access, keys, store } = yield* make;
      const other = yield* instance(store);
      const { id, key } = yield* keys.make(shop);
      assert.strictEqual(yield* outcome(access, key), "shop");
      yield* TestClock.adjust("1 second");
      assert.strictEqual(yield* outcome(other.access, key), "shop");
      yield* keys.revoke(id);
      assert.isUndefined(access.known(key), "here, at once");
      assert.strictEqual(yield* outcome(access, key), "revoked");
      yield* TestClock.adjust("9 seconds");
      assert.strictEqual(yield* outcome(other.access, key), "shop");
      yield* TestClock.adjust("1 second");
      assert.isUndefined(other.access.known(key));
      assert.strictEqual(yield* outcome(other.access, key), "revoked");
    }),
  );

  it.effect("takes a key as long as it is good, to the millisecond", () =>
    Effect.gen(function* () {
      const { access, keys } = yield* make;
      const made = yield* keys.make(shop);
      yield* outcome(access, made.key);
      const rolled = yield* keys.roll(made.id, 4);
      assert.strictEqual(yield* outcome(access, made.key), "shop");
      assert.strictEqual(yield* outcome(access, rolled.key), "shop");
      yield* TestClock.adjust("3999 millis");
      assert.strictEqual(access.known(made.key)?.name, "shop");
      yield* TestClock.adjust("1 millis");
      assert.isUndefined(access.known(made.key));
      assert.strictEqual(yield* outcome(access, made.key), "rolled");
      assert.strictEqual(yield* outcome(access, rolled.key), "shop");
    }),
  );

  it.effect("says that it does not know, while the database is away", () =>
    Effect.gen(function* () {
      const { access, keys, state } = yield* make;
      const { key } = yield* keys.make(shop);
      yield* outcome(access, key);
      state.isAway = true;
      yield* TestClock.adjust("9 seconds");
      assert.strictEqual(yield* outcome(access, key), "shop");
      yield* TestClock.adjust("1 second");
      assert.strictEqual(yield* outcome(access, key), "RepositoryUnavailable");
      assert.strictEqual(yield* outcome(access, adminKey), "admin");
      state.isAway = false;
      assert.strictEqual(yield* outcome(access, key), "shop");
    }),
  );

  it.effect("lets no stranger hold up good keys, whatever keys it shows", () =>
    Effect.gen(function* () {
      const { access, keys, state } = yield* make;
      const late = yield* keys.make({ ...shop, name: "late" });
      for (let number = 0; number < lookupsLimit.limit - 1; number += 1) {
        assert.strictEqual(yield* outcome(access, "x"), "malformed");
        assert.strictEqual(yield* outcome(access, wrongKey(number)), "unknown");
      }
      assert.strictEqual(yield* outcome(access, late.key), "late");
      assert.strictEqual(yield* outcome(access, wrongKey(-1)), "unknown");
      // The budget is used up: only keys that need no lookup are decided.
      const { finds } = state;
      assert.strictEqual(
        yield* outcome(access, wrongKey(-2)),
        "RepositoryUnavailable",
      );
      assert.strictEqual(yield* outcome(access, "x"), "malformed");
      assert.strictEqual(yield* outcome(access, adminKey), "admin");
      assert.strictEqual(state.finds, finds);
      yield* TestClock.adjust("10 seconds");
      assert.strictEqual(yield* outcome(access, late.key), "late");
    }),
  );

  it.effect(
    "asks little and remembers little for a million wrong keys",
    () =>
      Effect.gen(function* () {
        const { access, keys, state } = yield* make;
        const { key } = yield* keys.make(shop);
        assert.strictEqual(yield* outcome(access, key), "shop");
        state.finds = 0;
        const total = 1_000_000;
        const seconds = 20;
        let remembered = 0;
        for (let number = 0; number < total; number += 1) {
          yield* outcome(access, wrongKey(number));
          if (number % (total / seconds) === 0) {
            yield* TestClock.adjust("1 second");
            assert.strictEqual(yield* outcome(access, key), "shop");
            remembered = Math.max(remembered, access.remembered());
          }
        }
        const perSecond = lookupsLimit.limit / lookupsLimit.windowSeconds;
        assert.isAtMost(
          state.finds,
          // And two looks at the good key, whose 10 s are over.
          lookupsLimit.limit + perSecond * seconds + 2,
        );
        assert.isAtMost(remembered, 40_000);
        assert.isAtMost(access.remembered(), 40_000);
      }),
    120_000,
  );
});
