/**
 * Who has an instance's name: several processes, as sessions of a PostgreSQL.
 * `test/twins.test.ts` has real processes, which can be frozen and killed.
 */
import { assert, layer } from "@effect/vitest";
import {
  Deferred,
  Duration,
  Effect,
  Exit,
  Layer,
  Redacted,
  Scope,
} from "effect";
import { SqlClient } from "effect/sql";
import { advisoryLockKey } from "../../src/persistence/AdvisoryLockKey.ts";
import {
  InstanceName,
  type NameTaken,
} from "../../src/persistence/InstanceName.ts";
import * as Postgres from "../../src/platform/Postgres.ts";
import { until } from "../support/serviceProcess.ts";
import { layerSql, TestDatabase } from "../support/testDatabase.ts";

/** A process that wants the name; it has ended when its scope is closed. */
const process = Effect.fnUntraced(function* (
  port: number,
  patience: Duration.Duration = Duration.millis(600),
  schema = "public",
) {
  const { url } = yield* TestDatabase;
  const scope = yield* Scope.fork(yield* Effect.scope);
  const name = yield* Layer.buildWithScope(
    Layer.fresh(
      InstanceName.layer({
        host: "twin",
        port,
        patience,
        session: Postgres.layer({
          url: Redacted.make(`${url}?options=-c%20search_path%3D${schema}`),
          poolSize: 1,
        }),
      }),
    ),
    scope,
  );
  return { scope, ...(yield* Effect.provide(InstanceName, name)) };
});

/** The sessions that have a name's lock, by their process on the server. */
const holders = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  const rows = yield* sql<{ pid: number }>`
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
      AND database =
        (SELECT oid FROM pg_database WHERE datname = current_database())`;
  return rows.map(({ pid }) => pid);
});

layer(layerSql, { excludeTestServices: true })(
  "the name of an instance",
  (it) => {
    it.effect("is one process's, and others have theirs", () =>
      Effect.gen(function* () {
        const one = yield* process(1);
        const other = yield* process(2);
        yield* Effect.all([one.held, other.held]);
        assert.isFalse(one.isTaken() || other.isTaken());
        assert.strictEqual((yield* holders).length, 2);
      }),
    );

    it.effect("is another one in another schema of the database", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient;
        yield* sql`CREATE SCHEMA other`;
        const one = yield* process(7);
        const other = yield* process(7, Duration.millis(600), "other");
        yield* Effect.raceFirst(
          Effect.all([one.held, other.held]),
          Effect.raceFirst(one.taken, other.taken),
        );
        assert.strictEqual((yield* holders).length, 2);
      }),
    );

    it.effect("is refused to a second process, and the first keeps it", () =>
      Effect.gen(function* () {
        const first = yield* process(3);
        yield* first.held;
        const before = yield* holders;
        const second = yield* process(3);
        const refusal: NameTaken = yield* Effect.flip(second.taken);
        assert.match(
          refusal.message,
          /^another living process .* the name twin:3: .*RUNNER_HOST or RUNNER_PORT/,
        );
        assert.notInclude(refusal.message, "\n");
        assert.isTrue(second.isTaken());
        assert.isFalse(first.isTaken());
        assert.deepStrictEqual(yield* holders, before);
      }),
    );

    it.effect("goes to the next when the process that had it has stopped", () =>
      Effect.gen(function* () {
        const first = yield* process(4);
        yield* first.held;
        const second = yield* process(4, Duration.seconds(30));
        yield* Scope.close(first.scope, Exit.void);
        yield* second.held;
        assert.isFalse(second.isTaken());
      }),
    );

    it.effect("is had again when its session was ended", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient;
        const only = yield* process(5);
        yield* only.held;
        const [pid] = yield* holders;
        yield* sql`SELECT pg_terminate_backend(${pid}::integer)`;
        yield* Effect.promise(() =>
          until("another session has it", () =>
            Effect.runPromise(
              Effect.map(
                Effect.provideService(holders, SqlClient.SqlClient, sql),
                (now) => now.length === 1 && now[0] !== pid,
              ),
            ),
          ),
        );
        assert.isFalse(only.isTaken());
      }),
    );

    it.effect("is lost to whoever took it while its process was cut off", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient;
        const former = yield* process(6);
        yield* former.held;
        const [pid] = yield* holders;
        const has = yield* Deferred.make<void>();
        // It waits in line: the lock is its own at once.
        yield* sql.reserve.pipe(
          Effect.flatMap((connection) =>
            connection.executeRaw(
              `SELECT pg_advisory_lock(${advisoryLockKey(0x6e616d65, "$1::text")})`,
              ["twin:6"],
            ),
          ),
          Effect.andThen(Deferred.succeed(has, undefined)),
          Effect.andThen(Effect.never),
          Effect.scoped,
          Effect.forkScoped,
        );
        yield* Effect.promise(() =>
          until("it waits", () =>
            Effect.runPromise(
              Effect.map(
                sql`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`,
                (rows) => rows.length > 0,
              ),
            ),
          ),
        );
        yield* sql`SELECT pg_terminate_backend(${pid}::integer)`;
        yield* Deferred.await(has);
        const refusal = yield* Effect.flip(former.taken);
        assert.match(
          refusal.message,
          /^stopped, as another process took .* twin:6/,
        );
      }),
    );
  },
);
