/** Bringing the database to its schema, and telling whether it can be used. */
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";
import {
  Clock,
  Context,
  Duration,
  Effect,
  Exit,
  Layer,
  Logger,
  Option,
  Redacted,
} from "effect";
import { SqlClient } from "effect/sql";
import * as PgProxy from "../../load/chaos/PgProxy.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { Connections } from "../../src/persistence/Connections.ts";
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

describe("the leases' client", () => {
  it.live("keeps a connection for statements, whatever is reserved", () =>
    Effect.gen(function* () {
      const { url } = yield* TestDatabase;
      const context = yield* Layer.build(
        Postgres.layer({ url: Redacted.make(url), poolSize: 5 }),
      );
      const sql = Context.get(context, SqlClient.SqlClient);
      yield* sql.reserve;
      yield* Effect.forkScoped(sql.reserve, { startImmediately: true });
      yield* sql`SELECT 1`;
      yield* sql.withTransaction(sql`SELECT 1`);
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
  it.live("is refused when it was moved in part, or into another", () =>
    Effect.gen(function* () {
      const { url } = yield* TestDatabase;
      const context = yield* started(url);
      yield* (yield* Effect.provide(Database, context)).migrated;
      const sql = yield* Effect.provide(SqlClient.SqlClient, context);
      const refusal = Effect.gen(function* () {
        const database = yield* Effect.provide(Database, yield* started(url));
        return (yield* Effect.flip(database.refused)).message;
      });
      yield* sql`DELETE FROM event_log`;
      assert.include(yield* refusal, "event_log has 0 rows");
      yield* sql`INSERT INTO event_log (dropped_to) VALUES (0)`;
      yield* sql`DELETE FROM partition_owners WHERE partition = 3`;
      assert.include(yield* refusal, "partition_owners has 31 rows");
    }).pipe(Effect.provide(TestDatabase.layer)),
  );

  for (const encoding of ["SQL_ASCII", "LATIN1"]) {
    it.live(
      `is refused, and left as it is, with the encoding ${encoding}`,
      () =>
        Effect.gen(function* () {
          const { url } = yield* TestDatabase;
          const context = yield* started(url);
          yield* (yield* Effect.provide(Database, context)).migrated;
          const admin = yield* Effect.provide(SqlClient.SqlClient, context);
          const other = `${new URL(url).pathname.slice(1)}_${encoding.toLowerCase()}`;
          yield* Effect.acquireRelease(
            admin`CREATE DATABASE ${admin(other)} ENCODING ${admin.literal(`'${encoding}'`)}
            LOCALE 'C' TEMPLATE template0`,
            () =>
              Effect.ignore(admin`DROP DATABASE ${admin(other)} WITH (FORCE)`),
          );
          const there = yield* started(url.replace(/[^/]*$/, other));
          const database = yield* Effect.provide(Database, there);
          const { message } = yield* Effect.flip(database.refused);
          assert.include(message, encoding);
          assert.include(message, "ENCODING 'UTF8'");
          const sql = yield* Effect.provide(SqlClient.SqlClient, there);
          assert.lengthOf(
            yield* sql`SELECT FROM pg_class
            WHERE relnamespace = 'public'::regnamespace`,
            0,
          );
        }).pipe(Effect.provide(TestDatabase.layer)),
    );
  }

  it.live(
    "is silent: readiness says so in 2 s, and its connections end after 10 s",
    () =>
      Effect.gen(function* () {
        const { url } = yield* TestDatabase;
        const database = new URL(url);
        const proxy = yield* Effect.acquireRelease(
          Effect.promise(() => PgProxy.open(Number(database.port))),
          (proxy) => Effect.promise(() => proxy.close()),
        );
        database.port = String(proxy.port);
        const context = yield* Layer.build(
          Database.layer.pipe(
            Layer.provideMerge(
              Postgres.layer({
                url: Redacted.make(database.href),
                poolSize: 5,
              }),
            ),
          ),
        );
        const { check, migrated } = Context.get(context, Database);
        const { working } = Context.get(context, Connections);
        yield* migrated;
        yield* check;
        proxy.vanish();
        const [took] = yield* Effect.timed(Effect.flip(check));
        assert.isBelow(Duration.toSeconds(took), 4);
        // A shared connection is not interrupted: only its end ends this.
        const [lasted] = yield* Effect.timed(
          Effect.flip(working`SELECT pg_backend_pid()`),
        );
        assert.isBelow(Duration.toSeconds(lasted), 14);
        yield* Effect.promise(() => until("it answers", succeeds(check)));
      }).pipe(Effect.provide(TestDatabase.layer)),
    60_000,
  );

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

  it.live(
    "says why it refuses a password that SASLprep changes, and takes the changed one",
    () =>
      Effect.gen(function* () {
        const folder = yield* Effect.acquireRelease(
          Effect.promise(() => mkdtemp(join(tmpdir(), "orders-hba-"))),
          (path) => Effect.promise(() => rm(path, { recursive: true })),
        );
        const hba = join(folder, "pg_hba.conf");
        yield* Effect.promise(async () => {
          // The server runs as another user when the tests run as root.
          await chmod(folder, 0o755);
          await writeFile(hba, "host all all 127.0.0.1/32 scram-sha-256\n");
        });
        const postgres = yield* Effect.acquireRelease(
          Effect.promise(() => startPostgres(["-c", `hba_file=${hba}`])),
          (postgres) => Effect.promise(() => postgres.stop()),
        );
        const admin = yield* Layer.build(
          Postgres.layer({
            url: Redacted.make(`${postgres.url}/postgres`),
            poolSize: 2,
          }),
        );
        const sql = Context.get(admin, SqlClient.SqlClient);
        yield* sql`CREATE ROLE prepared SUPERUSER LOGIN PASSWORD ${sql.literal("'no\u00a0break'")}`;
        const urlWith = (password: string) => {
          const url = new URL(`${postgres.url}/postgres`);
          url.username = "prepared";
          url.password = password;
          return url.href;
        };

        const lines: Array<string> = [];
        const log = Logger.layer([
          Logger.make(({ message }) => lines.push(JSON.stringify(message))),
        ]);
        const refused = yield* Effect.provide(
          started(urlWith("no\u00a0break")),
          log,
        );
        const { isMigrated } = Context.get(refused, Database);
        assert.include((yield* Effect.flip(isMigrated)).reason, "(28P01)");
        yield* Effect.promise(() =>
          until("it is in the log", async () =>
            lines.some((line) => /28P01.*SASLprep.*ASCII/.test(line)),
          ),
        );
        assert.notInclude(lines.join(), "break'");

        const taken = yield* started(urlWith("no break"));
        yield* Context.get(taken, Database).migrated;

        // Another password that is wrong is only that.
        lines.length = 0;
        yield* Effect.provide(started(urlWith("wrong")), log);
        yield* Effect.promise(() =>
          until("it is in the log", async () =>
            lines.some((line) => line.includes("28P01")),
          ),
        );
        assert.notInclude(lines.join(), "SASLprep");
      }),
    60_000,
  );
});
