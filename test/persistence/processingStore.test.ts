/** The one conformance suite, over every store of processing there is. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Context, DateTime, Duration, Effect, Layer, Redacted } from "effect";
import { SqlClient } from "effect/sql";
import { TestClock } from "effect/testing";
import { Connections } from "../../src/persistence/Connections.ts";
import { Database } from "../../src/persistence/Database.ts";
import { ProcessingStore } from "../../src/persistence/ProcessingStore.ts";
import * as ProcessingStoreMemory from "../../src/persistence/ProcessingStoreMemory.ts";
import * as ProcessingStoreSql from "../../src/persistence/ProcessingStoreSql.ts";
import * as Embedded from "../../src/platform/Embedded.ts";
import * as Postgres from "../../src/platform/Postgres.ts";
import * as TestDatabase from "../support/testDatabase.ts";
import { processingStoreSuite, StoreSubject } from "./processingStoreSuite.ts";

const memory = Layer.succeed(StoreSubject, {
  fresh: Effect.map(
    Layer.build(Layer.fresh(ProcessingStoreMemory.layer)),
    (context) => {
      const store = Context.get(context, ProcessingStore);
      return { store, other: store };
    },
  ),
  pass: TestClock.adjust,
  now: DateTime.now,
});

/** Its clock is the server's: what is stored is made older instead. */
const older = (sql: SqlClient.SqlClient, time: Duration.Duration) => {
  const seconds = Duration.toSeconds(time);
  const by = sql`make_interval(secs => ${seconds}::float8)`;
  return Effect.all(
    [
      sql`UPDATE processing_instances SET reported_at = reported_at - ${by}`,
      // In two steps: no two samples may have one slot, not even on the way.
      sql`UPDATE metrics_samples SET at = at - ${by},
        slot = -(slot - ${seconds}::integer)`,
      sql`UPDATE metrics_samples SET slot = -slot`,
    ],
    { discard: true },
  ).pipe(Effect.orDie);
};

/** @param elsewhere connections of another instance to the same database */
const sqlWith = <R>(
  elsewhere: Layer.Layer<Connections | SqlClient.SqlClient, unknown, R>,
) =>
  Layer.effect(
    StoreSubject,
    Effect.gen(function* () {
      const client = yield* SqlClient.SqlClient;
      const context = yield* Effect.context<ProcessingStore | Database | R>();
      yield* (yield* Database).migrated;
      return {
        fresh: Effect.gen(function* () {
          yield* client`UPDATE processing_control
            SET state = 'RUNNING', paused_at = NULL, paused_by = NULL`;
          yield* client`TRUNCATE processing_changes, processing_instances,
            processing_times, metrics_samples`;
          const other = yield* Layer.build(
            Layer.fresh(ProcessingStoreSql.layer).pipe(
              Layer.provide(Layer.fresh(elsewhere)),
            ),
          );
          return {
            store: Context.get(context, ProcessingStore),
            other: Context.get(other, ProcessingStore),
          };
        }).pipe(Effect.provideContext(context), Effect.orDie),
        pass: (time) => older(client, time),
        now: client<{ now: Date }>`SELECT now() AS now`.pipe(
          Effect.map(([row]) => DateTime.makeUnsafe(row?.now ?? 0)),
          Effect.orDie,
        ),
      };
    }),
  ).pipe(
    Layer.provide(ProcessingStoreSql.layer),
    Layer.provide(Database.layer),
  );

const onPostgres = Layer.unwrap(
  Effect.map(TestDatabase.TestDatabase, ({ url }) =>
    Postgres.layer({ url: Redacted.make(url), poolSize: 5 }),
  ),
);

const embedded = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "processing-"))),
      (dataDir) => Effect.promise(() => rm(dataDir, { recursive: true })),
    ),
    (dataDir) =>
      Layer.provideMerge(Connections.layerShared, Embedded.layer({ dataDir })),
  ),
);

/** The embedded database has one client: there is no other instance. */
const sameClient = Layer.effectContext(
  Effect.map(
    Effect.all([Connections, SqlClient.SqlClient]),
    ([connections, client]) =>
      Context.make(Connections, connections).pipe(
        Context.add(SqlClient.SqlClient, client),
      ),
  ),
);

processingStoreSuite("ProcessingStoreMemory", memory, { isOnTestClock: true });

processingStoreSuite(
  "ProcessingStoreSql on PostgreSQL",
  Layer.provide(sqlWith(onPostgres), TestDatabase.layerSql),
  { isOnTestClock: false },
);

processingStoreSuite(
  "ProcessingStoreSql on the embedded database",
  Layer.provide(sqlWith(sameClient), embedded),
  { isOnTestClock: false },
);
