/** What can be done with keys: make, list, roll, revoke. */
import { Context, Effect, Layer, Option } from "effect";
import { Digest, SecureRandom } from "effect/crypto";
import {
  isKeyId,
  type KeyEntry,
  keyBytes,
  keyIdBytes,
  keyOf,
  keysMax,
  type NewKey,
  shownOf,
  toDigits,
} from "../domain/ApiKey.ts";
import {
  KeyNameTaken,
  KeyNotFound,
  TooManyKeys,
} from "../domain/KeyRefusals.ts";
import { KeyStore } from "../persistence/KeyStore.ts";
import type { RepositoryUnavailable } from "../persistence/OrderRepository.ts";
import { Access } from "./Access.ts";

/** A key that was made now; it is shown to whoever asked, and never again. */
export type MadeKey = KeyEntry & { readonly key: string };

type Answer<A, E = never> = Effect.Effect<A, E | RepositoryUnavailable>;

export class Keys extends Context.Service<
  Keys,
  {
    make(key: NewKey): Answer<MadeKey, KeyNameTaken | TooManyKeys>;
    readonly list: Answer<ReadonlyArray<KeyEntry>>;
    /** The old key is good for `graceSeconds` more. */
    roll(id: string, graceSeconds: number): Answer<MadeKey, KeyNotFound>;
    revoke(id: string): Answer<void, KeyNotFound>;
  }
>()("access/Keys") {
  static readonly layer = Layer.effect(
    Keys,
    Effect.gen(function* () {
      const access = yield* Access;
      const store = yield* KeyStore;
      const { digestHex } = yield* Digest.Digest;
      const { randomBytes } = yield* SecureRandom.SecureRandom;

      const create = Effect.gen(function* () {
        const key = keyOf(yield* randomBytes(keyBytes));
        const digest = yield* digestHex(
          Digest.sha256,
          new TextEncoder().encode(key),
        );
        return { key, trace: { digest, start: shownOf(key) } };
      });

      const notFound = (id: string, detail: string) =>
        new KeyNotFound({ id, detail });

      return Keys.of({
        make: Effect.fn("Keys.make")(function* (given) {
          const { key, trace } = yield* create;
          const id = toDigits(yield* randomBytes(keyIdBytes));
          const entry = yield* Effect.catchTag(
            store.add({ ...given, ...trace, id }),
            "KeyRefused",
            ({ reason }) =>
              Effect.fail(
                reason === "too many"
                  ? new TooManyKeys({
                      detail: `There are ${keysMax} keys: revoke one that is not used any more.`,
                    })
                  : new KeyNameTaken({
                      detail:
                        "A key that is good has this name: roll it, revoke it, or choose another name.",
                    }),
              ),
          );
          return { ...entry, key };
        }),
        list: store.list,
        roll: Effect.fn("Keys.roll")(function* (id, graceSeconds) {
          const { key, trace } = yield* create;
          const rolled = isKeyId(id)
            ? yield* store.roll(id, trace, graceSeconds)
            : Option.none();
          if (Option.isNone(rolled)) {
            return yield* notFound(id, "No key that is good has this id.");
          }
          yield* access.forget(id);
          return { ...rolled.value, key };
        }),
        revoke: Effect.fn("Keys.revoke")(function* (id) {
          if (!(isKeyId(id) && (yield* store.revoke(id)))) {
            return yield* notFound(id, "No key has this id.");
          }
          yield* access.forget(id);
        }),
      });
    }),
  );
}
