/**
 * Brings the database to the schema this code needs, and says whether it can
 * be used. While it is away this waits, retries and tells; a database that can
 * never be used (what this code needs was taken away) is a failure for the
 * process.
 */
import {
  Context,
  Deferred,
  Duration,
  Effect,
  Layer,
  Schedule,
  Schema,
} from "effect";
import { Migrator, SqlClient } from "effect/sql";
import { Connections } from "./Connections.ts";
import { describe } from "./DatabaseFault.ts";
import * as DetachedStatement from "./DetachedStatement.ts";
import * as DiskRoom from "./DiskRoom.ts";
import {
  migrations,
  migrationsTable,
  neededBy,
  newestMigration,
} from "./Migrations.ts";
import { RepositoryUnavailable } from "./OrderRepository.ts";
import * as Outage from "./Outage.ts";
import * as Sequences from "./Sequences.ts";

/** The database exists but this release must not use it. */
export class DatabaseRefused extends Schema.TaggedError<DatabaseRefused>()(
  "DatabaseRefused",
  { message: Schema.String },
) {}

/** The login was refused, and there is a likely reason. */
class LoginRefused extends Schema.TaggedError<LoginRefused>()("LoginRefused", {
  message: Schema.String,
  cause: Schema.Defect(),
}) {}

/** How long others wait for the first try to bring the schema in place. */
const firstTryTimeout = Duration.seconds(5);

/** How long one look at the database may take. */
const checkTimeout = Duration.seconds(2);

const retrySchedule = Schedule.min([
  Schedule.exponential(Duration.millis(250)),
  Schedule.spaced(Duration.seconds(5)),
]);

export class Database extends Context.Service<
  Database,
  {
    /** Waits until the schema is in place. */
    readonly migrated: Effect.Effect<void>;
    /** Fails at once while the schema is not known to be in place. */
    readonly isMigrated: Effect.Effect<void, RepositoryUnavailable>;
    /** Asks the database whether it answers, and its disk takes writes. */
    readonly check: Effect.Effect<void, RepositoryUnavailable>;
    /** Tells the log, in few lines, what somebody asked the database in vain. */
    readonly failed: Outage.Outage["failed"];
    /** Never succeeds; fails when the database must not be used. */
    readonly refused: Effect.Effect<never, DatabaseRefused>;
  }
>()("persistence/Database") {
  static readonly layer = Layer.effect(
    Database,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient;
      const migrated = yield* Deferred.make<void>();
      const refused = yield* Deferred.make<never, DatabaseRefused>();
      const tried = yield* Deferred.make<void>();
      let state = "the database has not been reached yet";
      const { isReadOnly, loginHint, working } = yield* Connections;
      const explained = <E>(cause: E) =>
        loginHint !== undefined && describe(cause).isLogin
          ? new LoginRefused({ message: loginHint, cause })
          : cause;
      // Also on the connections that orders are placed on: they may be silent
      // where a newer one is not.
      const clients = new Set([sql, working]);
      const answers = Effect.forEach(
        clients,
        (client) => answersWithin(client, checkTimeout),
        { concurrency: "unbounded", discard: true },
      ).pipe(
        Effect.tapErrorTag("TakesNoChanges", () => isReadOnly),
        Effect.mapError(explained),
      );
      const outage = yield* Outage.make(answers);
      const room = yield* DiskRoom.make;
      const failed = (error: unknown) =>
        Effect.andThen(
          room.failed(error),
          describe(error).kind === "read-only"
            ? Effect.andThen(isReadOnly, outage.failed(error))
            : outage.failed(explained(error)),
        );

      yield* migrate.pipe(
        Effect.provideService(SqlClient.SqlClient, sql),
        Effect.tapError((error) => {
          if (error._tag === "DatabaseRefused") {
            state = error.message;
            return Deferred.succeed(tried, undefined);
          }
          state = describe(error).reason;
          return Effect.andThen(
            Deferred.succeed(tried, undefined),
            failed(error),
          );
        }),
        Effect.retry({
          schedule: retrySchedule,
          while: (error) => error._tag !== "DatabaseRefused",
        }),
        Effect.matchEffect({
          onSuccess: () => Deferred.succeed(migrated, undefined),
          onFailure: (error) =>
            error._tag === "DatabaseRefused"
              ? Deferred.fail(refused, error)
              : Effect.die(error),
        }),
        Effect.forkScoped,
      );
      // Whoever needs a database that is there does not start before it is
      // ready, and answers "not yet" to nobody.
      yield* Effect.raceAll([
        Deferred.await(migrated),
        Deferred.await(tried),
        Effect.sleep(firstTryTimeout),
      ]);

      const isMigrated = Effect.suspend(() =>
        Deferred.isDoneUnsafe(migrated)
          ? Effect.void
          : Effect.fail(new RepositoryUnavailable({ reason: state })),
      );

      return Database.of({
        migrated: Deferred.await(migrated),
        isMigrated,
        check: Effect.andThen(
          isMigrated,
          Effect.catch(
            Effect.andThen(answers, Effect.timeout(room.check, checkTimeout)),
            (error) =>
              error instanceof RepositoryUnavailable
                ? error
                : Effect.andThen(
                    failed(error),
                    new RepositoryUnavailable({
                      reason: describe(error).reason,
                    }),
                  ),
          ),
        ),
        failed,
        refused: Deferred.await(refused),
      });
    }),
  );

  /** No database at all: always ready. For `OrderRepositoryMemory`. */
  static readonly layerMemory = Layer.succeed(Database, {
    migrated: Effect.void,
    isMigrated: Effect.void,
    check: Effect.void,
    failed: () => Effect.void,
    refused: Effect.never,
  });
}

/** The database is there, and will make no change. */
class TakesNoChanges extends Schema.TaggedError<TakesNoChanges>()(
  "TakesNoChanges",
  {},
) {
  readonly code = "25006";
  override get message() {
    return "its transactions are read-only";
  }
}

/** Fails unless the database answers, and takes changes. */
const answersWithin = (sql: SqlClient.SqlClient, timeout: Duration.Duration) =>
  DetachedStatement.within(
    sql<{ is_read_only: boolean }>`
      SELECT current_setting('transaction_read_only')::boolean AS is_read_only`,
    timeout,
  ).pipe(
    Effect.flatMap(([row]) =>
      row?.is_read_only === true ? new TakesNoChanges() : Effect.void,
    ),
  );

/**
 * Another encoding cannot store every order: one emoji would fail all orders of
 * its statement.
 */
const refuseOtherEncodings = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  const [row] = yield* sql<{ encoding: string }>`
    SELECT current_setting('server_encoding') AS encoding`;
  if (row === undefined || row.encoding === "UTF8") return;
  return yield* new DatabaseRefused({
    message: `The database has the encoding ${row.encoding} and cannot store every order: this service needs UTF8. Nothing was changed in it. Create a database with CREATE DATABASE orders ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0, and point DATABASE_URL at it.`,
  });
});

/**
 * Rows that the migrations made and every statement counts on: another number of
 * them is a copy of some tables only, or of rows beside those that were there.
 */
const refuseOtherRows = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  const found = yield* sql<{ name: string; rows: number; needed: number }>`
    SELECT * FROM (
      SELECT 'order_statistics' AS name, count(*)::integer AS rows, 64 AS needed
        FROM order_statistics
      UNION ALL SELECT 'partition_owners', count(*)::integer, 32
        FROM partition_owners
      UNION ALL SELECT 'event_log', count(*)::integer, 1 FROM event_log
      UNION ALL SELECT 'order_archive', count(*)::integer, 1 FROM order_archive
      UNION ALL SELECT 'processing_control', count(*)::integer, 1
        FROM processing_control
    ) AS fixed WHERE rows <> needed`;
  const [first] = found;
  if (first === undefined) return;
  return yield* new DatabaseRefused({
    message: `The table ${first.name} has ${first.rows} rows and must have ${first.needed}: the database was moved in part, or into one that this service had made. Orders would not be processed, so nothing was started. Copy all tables into an empty database, with the schema of the former one (src/persistence/README.md, "Move the database").`,
  });
});

const migrate = Effect.gen(function* () {
  yield* refuseOtherEncodings;
  yield* Migrator.make({})({ loader: migrations, table: migrationsTable });
  yield* refuseOtherRows;
  const sql = yield* SqlClient.SqlClient;
  const newer = yield* sql<{ migration_id: number; name: string }>`
    SELECT migration_id, name FROM ${sql(migrationsTable)}
    WHERE migration_id > ${newestMigration} ORDER BY migration_id`;
  const newest = newer.at(-1)?.migration_id;
  if (newest === undefined) return yield* Sequences.raise;
  const known = `The database is at migration ${newest}, this release knows migrations up to ${newestMigration}`;
  const needed = Math.max(...newer.map(({ name }) => neededBy(name)));
  if (needed > newestMigration) {
    return yield* new DatabaseRefused({
      message: `${known} and would have to know ${needed}: start a newer release, or point DATABASE_URL (or DATA_DIR) at another database.`,
    });
  }
  // As an instance of the release before finds it that restarts in a deploy.
  yield* Effect.logInfo(`${known}. It can go on: the newer ones only add.`);
  return yield* Sequences.raise;
});
