/** The one conformance suite, over every store of keys there is. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Clock, Context, Duration, Effect, Layer } from "effect";
import { SqlClient } from "effect/sql";
import { TestClock } from "effect/testing";
import { Connections } from "../../src/persistence/Connections.ts";
import { Database } from "../../src/persistence/Database.ts";
import { KeyStore } from "../../src/persistence/KeyStore.ts";
import * as KeyStoreMemory from "../../src/persistence/KeyStoreMemory.ts";
import * as KeyStoreSql from "../../src/persistence/KeyStoreSql.ts";
import * as Embedded from "../../src/platform/Embedded.ts";
import * as TestDatabase from "../support/testDatabase.ts";
import { KeySubject, keyStoreSuite } from "./keyStoreSuite.ts";

const memory = Layer.succeed(KeySubject, {
  fresh: Effect.scoped(
    Effect.map(
      Layer.build(Layer.fresh(KeyStoreMemory.layer)),
      Context.get(KeyStore),
    ),
  ),
  pass: TestClock.adjust,
  now: Clock.currentTimeMillis,
});

const sqlSubject = Layer.effect(
  KeySubject,
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient;
    const database = yield* Database;
    const store = yield* KeyStore;
    yield* database.migrated;
    return KeySubject.of({
      fresh: Effect.orDie(Effect.as(sql`TRUNCATE access_keys`, store)),
      pass: (time) =>
        Effect.orDie(
          sql`SELECT pg_sleep(${Duration.toSeconds(Duration.fromInputUnsafe(time))}::float8)`,
        ),
      now: Effect.sync(() => Date.now()),
    });
  }),
).pipe(Layer.provide(KeyStoreSql.layer), Layer.provide(Database.layer));

const embedded = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "orders-keys-"))),
      (dataDir) => Effect.promise(() => rm(dataDir, { recursive: true })),
    ),
    (dataDir) =>
      Layer.provideMerge(Connections.layerShared, Embedded.layer({ dataDir })),
  ),
);

keyStoreSuite("KeyStoreMemory", memory);

keyStoreSuite(
  "KeyStoreSql on PostgreSQL",
  Layer.provide(sqlSubject, TestDatabase.layerSql),
);

keyStoreSuite(
  "KeyStoreSql on the embedded database",
  Layer.provide(sqlSubject, embedded),
);
