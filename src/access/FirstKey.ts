/** Says in the log, once, how somebody gets in, where that needs saying. */
import { Effect, Layer } from "effect";
import { Database } from "../persistence/Database.ts";
import { KeyStore } from "../persistence/KeyStore.ts";

export interface FirstKeyOptions {
  readonly access: "open" | "keys";
  /** Whether only this machine can reach the service. */
  readonly isLocal: boolean;
  readonly hasAdminKey: boolean;
}

export const layer = ({ access, hasAdminKey, isLocal }: FirstKeyOptions) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      if (access === "open") {
        if (isLocal) return;
        return yield* Effect.logWarning(
          "access is open: whoever can reach this address may place, read, cancel and retry orders, and make keys. ACCESS=keys closes it.",
        );
      }
      if (hasAdminKey) return;
      const database = yield* Database;
      const store = yield* KeyStore;
      yield* database.migrated.pipe(
        Effect.andThen(store.count),
        Effect.flatMap((count) =>
          count > 0
            ? Effect.void
            : Effect.logWarning(
                "nobody gets in: access needs a key, and none was made yet. Start it with ADMIN_KEY (at least 32 characters, such as `openssl rand -hex 32`), make keys with POST /api/keys/, and take it away again if you like; or ACCESS=open lets everybody in.",
              ),
        ),
        // It answers 401 all the same.
        Effect.ignore,
        Effect.forkScoped,
      );
    }),
  );
