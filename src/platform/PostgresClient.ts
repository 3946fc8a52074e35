/**
 * A PostgreSQL client whose sessions have the settings that were asked for.
 *
 * They are set on each new session by a statement. A pooler may drop startup
 * parameters, or refuse them: then `synchronous_commit` would be the role's.
 *
 * A session belongs to one connection. Where a pooler gives one session to two
 * connections (its mode is `transaction` or `statement`), the settings hold for
 * neither, so such a connection is refused.
 */
import type { Duplex } from "node:stream";
import { PgClient, type PgConnection, PgPool } from "@effect/sql-pg";
import { Duration, Effect, type Scope, Stream } from "effect";
import type * as Reactivity from "effect/reactivity/Reactivity";
import { SqlClient, type SqlConnection, SqlError } from "effect/sql";

export type Settings = Readonly<Record<string, string>>;

export interface PostgresClient extends SqlClient.SqlClient {
  /**
   * The same connections, for what changes something: a statement that was
   * sent is never cancelled. If it waits for a synchronous standby, a cancel
   * makes PostgreSQL commit it without the standby.
   */
  readonly uncancelled: SqlClient.SqlClient;
}

export interface PostgresClientOptions {
  /** Read again for each connection: the database may move to another host. */
  readonly pool: PgPool.Config & { readonly stream: () => Duplex };
  readonly settings: Settings;
  /** The sessions of all clients. */
  readonly sessions: Sessions;
}

/** Sessions by their process on the server. */
export type Sessions = Map<number, WeakRef<PgConnection.PgConnection>>;

/** How long another connection may take to say whether it is there. */
const askTimeout = Duration.seconds(1);

/** Both views of a session. */
interface Views {
  readonly plain: SqlConnection.Connection;
  readonly uncancelled: SqlConnection.Connection;
}
type Kind = keyof Views;

const failed = (message: string) =>
  new SqlError.SqlError({
    reason: new SqlError.ConnectionError({
      cause: new Error(message),
      message,
      operation: "connect",
    }),
  });

/** As PostgreSQL says "it was aborted" to a COMMIT. */
const commit = (connection: SqlConnection.Connection) =>
  Effect.flatMap(connection.executeRaw("COMMIT", []), (result) =>
    (result as PgConnection.Result).command === "ROLLBACK"
      ? Effect.fail(failed("COMMIT rolled back an aborted transaction"))
      : Effect.void,
  );

const sharedSession =
  "the pooler in front of the database gives one session to several connections; orders that were answered could be lost: set its pool_mode to session for this service";

type Run = <A>(
  effect: Effect.Effect<A, SqlError.SqlError>,
) => Effect.Effect<A, SqlError.SqlError>;

const connectionOf = (
  session: PgConnection.PgConnection,
  run: Run,
): SqlConnection.Connection => {
  const rows =
    (prepare: boolean): SqlConnection.Connection["execute"] =>
    (sql, params, transform) =>
      run(
        Effect.map(session.query(sql, params, prepare), ({ rows }) =>
          transform === undefined ? rows : transform(rows),
        ),
      );
  return {
    execute: rows(true),
    executeUnprepared: rows(false),
    executeRaw: (sql, params) => run(session.query(sql, params)),
    executeValues: (sql, params) => run(session.queryValues(sql, params)),
    executeValuesUnprepared: (sql, params) =>
      run(session.queryValues(sql, params, false)),
    executeStream: (sql, params, transform) =>
      transform === undefined
        ? session.stream(sql, params)
        : Stream.mapArray(
            session.stream(sql, params),
            (rows) => transform(rows) as typeof rows,
          ),
  };
};

/** Puts the settings on a new session, and makes sure that it is not shared. */
const begin = Effect.fnUntraced(function* (
  session: PgConnection.PgConnection,
  settings: Settings,
  sessions: Sessions,
) {
  const names = Object.keys(settings);
  const set = names.map(
    (_, n) => `set_config($${2 * n + 1}, $${2 * n + 2}, false)`,
  );
  const [row] = yield* session.queryValues(
    `SELECT pg_backend_pid(), ${set.join(", ")}`,
    Object.entries(settings).flat(),
  );
  const pid = Number(row?.[0]);
  const other = sessions.get(pid)?.deref();
  if (other !== undefined && other !== session) {
    // A process that has ended may have left its number to this one.
    const isThere = yield* other.query("SELECT 1").pipe(
      Effect.timeout(askTimeout),
      Effect.match({
        onFailure: (error) => error._tag === "TimeoutError",
        onSuccess: () => true,
      }),
    );
    if (isThere) return yield* failed(sharedSession);
  }
  for (const [pid, one] of sessions) {
    if (one.deref() === undefined) sessions.delete(pid);
  }
  sessions.set(pid, new WeakRef(session));
});

export const make = Effect.fnUntraced(function* ({
  pool: config,
  sessions,
  settings,
}: PostgresClientOptions): Effect.fn.Return<
  PostgresClient,
  SqlError.SqlError,
  Scope.Scope | Reactivity.Reactivity
> {
  const sockets = new Set<Duplex>();
  const pool = yield* PgPool.make({
    ...config,
    get url() {
      return config.url;
    },
    get ssl() {
      return config.ssl;
    },
    stream: () => {
      const socket = config.stream();
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      return socket;
    },
  });

  /** Statements under way that nobody may cancel. */
  let uncancelled = 0;
  const runs: Readonly<Record<Kind, Run>> = {
    plain: (effect) => effect,
    uncancelled: (effect) =>
      Effect.uninterruptible(
        Effect.suspend(() => {
          uncancelled += 1;
          return Effect.ensuring(
            effect,
            Effect.sync(() => {
              uncancelled -= 1;
            }),
          );
        }),
      ),
  };
  // The pool waits for them when it closes, and a standby may stay away.
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (uncancelled > 0) for (const socket of sockets) socket.destroy();
    }),
  );

  const viewsOf = (session: PgConnection.PgConnection): Views => ({
    plain: connectionOf(session, runs.plain),
    uncancelled: connectionOf(session, runs.uncancelled),
  });

  /** Of sessions that have their settings. */
  const begun = new WeakMap<PgConnection.PgConnection, Views>();

  const ready = (session: PgConnection.PgConnection) => {
    const views = begun.get(session);
    if (views !== undefined) return Effect.succeed(views);
    return begin(session, settings, sessions).pipe(
      Effect.tapError(() => pool.invalidate(session)),
      Effect.map(() => {
        const views = viewsOf(session);
        begun.set(session, views);
        return views;
      }),
    );
  };

  const clientOf = (kind: Kind) =>
    SqlClient.make({
      driver: "pg",
      compiler: PgClient.makeCompiler(),
      spanAttributes: [["db.system.name", "postgresql"]],
      prepareTransactionControls: true,
      commit,
      releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
      acquirer: Effect.map(
        Effect.flatMap(pool.get, ready),
        (views) => views[kind],
      ),
      borrower: (f) =>
        pool.use((session) => {
          const views = begun.get(session);
          return views === undefined
            ? Effect.flatMap(ready(session), (views) => f(views[kind]))
            : f(views[kind]);
        }),
      transactionAcquirer: pool.get.pipe(
        Effect.tap(ready),
        Effect.flatMap((session) => session.pin),
        Effect.map((session) => connectionOf(session, runs[kind])),
      ),
    });

  return Object.assign(yield* clientOf("plain"), {
    uncancelled: yield* clientOf("uncancelled"),
  });
});
