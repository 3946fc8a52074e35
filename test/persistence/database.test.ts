/** Bringing the database to its schema, and telling whether it can be used. */
import { assert, describe, it } from "@effect/vitest";
import { Clock, Effect, Exit, Layer, Option, Redacted } from "effect";
import { SqlClient } from "effect/sql";
import { Partition } from "../../src/domain/Partition.ts";
import {
  Database,
  type DatabaseRefused,
} from "../../src/persistence/Database.ts";
import {
  migrationsTable,
  newestMigration,
} from "../../src/persistence/Migrations.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as Postgres from "../../src/platform/Postgres.ts";
import { freePort, startPostgres } from "../support/postgresServer.ts";
import { until } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { assertTallyIsCount, newOrder } from "./orderRepositorySuite.ts";

/** An instance of the service, as far as it concerns the database. */
const instance = (url: string) =>
  OrderRepositorySql.layer.pipe(
    Layer.provideMerge(Database.layer),
    Layer.provideMerge(
      Postgres.layer({ url: Redacted.make(url), poolSize: 2 }),
    ),
  );

const started = (url: string) => Layer.build(Layer.fresh(instance(url)));

const succeeds =
  <A, E>(effect: Effect.Effect<A, E>) =>
  async () =>
    Exit.isSuccess(await Effect.runPromiseExit(effect));

const partition = Partition.make(1);

describe("the schema", () => {
  it.live("is made once by instances that start together", () =>
    Effect.gen(function* () {
      const { url } = yield* TestDatabase;
      const databases = yield* Effect.forEach(
        Array.from({ length: 5 }),
        () =>
          Effect.gen(function* () {
            const context = yield* started(url);
            const database = yield* Effect.provide(Database, context);
            yield* database.migrated;
            yield* database.check;
            return yield* Effect.provide(OrderRepository, context);
          }),
        { concurrency: "unbounded" },
      );
      assert.strictEqual(databases.length, 5);
      for (const [index, repository] of databases.entries()) {
        yield* repository.insert(newOrder(`A${index}`), partition);
        assert.strictEqual((yield* repository.tally).accepted, index + 1);
        yield* assertTallyIsCount(repository);
      }
      const context = yield* started(url);
      const sql = yield* Effect.provide(SqlClient.SqlClient, context);
      const rows = yield* sql<{ migration_id: number }>`
        SELECT migration_id FROM ${sql(migrationsTable)} ORDER BY migration_id`;
      assert.deepStrictEqual(
        rows.map((row) => row.migration_id),
        Array.from({ length: newestMigration }, (_, index) => index + 1),
      );
      const slots = yield* sql`SELECT slot FROM order_statistics`;
      assert.strictEqual(slots.length, 64);
    }).pipe(Effect.provide(TestDatabase.layer)),
  );

  it.live("is refused when what this code needs was taken away", () =>
    Effect.gen(function* () {
      const { url } = yield* TestDatabase;
      yield* Effect.scoped(
        Effect.gen(function* () {
          const context = yield* started(url);
          const database = yield* Effect.provide(Database, context);
          const sql = yield* Effect.provide(SqlClient.SqlClient, context);
          yield* database.migrated;
          yield* sql`INSERT INTO ${sql(migrationsTable)}
            ${sql.insert([
              { migration_id: 4711, name: "drop_notes_needs_4700" },
              { migration_id: 4712, name: "more_notes" },
            ])}`;
        }),
      );
      const context = yield* started(url);
      const database = yield* Effect.provide(Database, context);
      const repository = yield* Effect.provide(OrderRepository, context);
      const refused: DatabaseRefused = yield* Effect.flip(database.refused);
      assert.strictEqual(refused._tag, "DatabaseRefused");
      assert.include(refused.message, "is at migration 4712");
      assert.include(refused.message, "have to know 4700");
      assert.include(refused.message, `up to ${newestMigration}`);
      for (const effect of [
        database.isMigrated,
        database.check,
        repository.insert(newOrder("A"), partition),
      ]) {
        const error = yield* Effect.flip<
          unknown,
          { _tag: string; message: string },
          never
        >(effect);
        assert.strictEqual(error._tag, "RepositoryUnavailable");
        assert.include(error.message, "is at migration 4712");
      }
    }).pipe(Effect.provide(TestDatabase.layer)),
  );
});

describe("the disk of the database", () => {
  it.live("takes readiness away while placing fails for it, in words", () =>
    Effect.gen(function* () {
      const { url } = yield* TestDatabase;
      const context = yield* started(url);
      const database = yield* Effect.provide(Database, context);
      const repository = yield* Effect.provide(OrderRepository, context);
      const sql = yield* Effect.provide(SqlClient.SqlClient, context);
      yield* database.migrated;
      // What PostgreSQL answers where a table cannot grow.
      yield* sql`
        CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE 'could not extend file "base/1/2": No space left on device'
            USING ERRCODE = '53100';
        END $$`;
      yield* sql`CREATE TRIGGER full_disk BEFORE INSERT ON orders
        FOR EACH ROW EXECUTE FUNCTION full_disk()`;
      const written = Effect.map(
        sql<{ bytes: number }>`
          SELECT temp_bytes::float8 AS bytes FROM pg_stat_database
          WHERE datname = current_database()`,
        ([row]) => row?.bytes ?? 0,
      );
      yield* database.check;
      assert.strictEqual(yield* written, 0);
      const refusal = yield* Effect.flip(
        repository.insert(newOrder("A"), partition),
      );
      assert.match(refusal.message, /^the disk of the database is full, so/);
      assert.notInclude(refusal.message, "53100");
      // It has to write each time: its own reading would succeed.
      yield* Effect.promise(() =>
        until("it writes", async () => {
          const ready = await Effect.runPromise(Effect.flip(database.check));
          assert.strictEqual(ready.reason, refusal.message);
          return (await Effect.runPromise(written)) > 3_000_000;
        }),
      );
      yield* sql`DROP TRIGGER full_disk ON orders`;
      yield* repository.insert(newOrder("A"), partition);
      const clock = yield* Clock.Clock;
      const later: Clock.Clock = Object.create(clock, {
        monotonicTimeNanos: {
          value: Effect.map(
            clock.monotonicTimeNanos,
            (nanos) => nanos + 11_000_000_000n,
          ),
        },
      });
      yield* Effect.provideService(database.check, Clock.Clock, later);
      yield* database.check;
    }).pipe(Effect.provide(TestDatabase.layer)),
  );
});

describe("the database", () => {
  it.live(
    "is waited for when it is away at the start, and again later",
    () =>
      Effect.gen(function* () {
        const port = yield* Effect.promise(freePort);
        const url = `postgres://postgres:password@127.0.0.1:${port}/postgres`;
        const context = yield* started(url);
        const database = yield* Effect.provide(Database, context);
        const repository = yield* Effect.provide(OrderRepository, context);
        const assertAway = Effect.gen(function* () {
          for (const effect of [
            database.check,
            repository.find("A"),
            repository.insert(newOrder("A"), partition),
            repository.tally,
          ]) {
            const error = yield* Effect.flip<
              unknown,
              { _tag: string; message: string },
              never
            >(effect);
            assert.strictEqual(error._tag, "RepositoryUnavailable");
            assert.notInclude(error.message, "password");
          }
        });

        yield* assertAway;
        const { reason } = yield* Effect.flip(database.isMigrated);
        assert.include(reason, "ECONNREFUSED");

        const postgres = yield* Effect.acquireRelease(
          Effect.promise(() => startPostgres([], port)),
          (postgres) => Effect.promise(() => postgres.stop()),
        );
        yield* database.migrated;
        yield* database.isMigrated;
        yield* database.check;
        const placement = yield* repository.insert(newOrder("A"), partition);
        assert.isTrue(placement.isNew);

        // The server dies under its clients; a new one takes its place.
        yield* Effect.promise(() => postgres.crash());
        yield* assertAway;
        yield* database.isMigrated;
        yield* Effect.promise(() => postgres.start());
        yield* Effect.promise(() =>
          until("the database is back", succeeds(database.check)),
        );
        yield* Effect.promise(() =>
          until("orders are found", succeeds(repository.find("A"))),
        );
        assert.isTrue(Option.isSome(yield* repository.find("A")));
        yield* assertTallyIsCount(repository);
      }),
    60_000,
  );
});
