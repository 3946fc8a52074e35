/**
 * The embedded database: PGlite, PostgreSQL compiled to WebAssembly, in this
 * process, reached by the same client as a server. It is one session, so it
 * gets one connection; the client speaks to it through a pair of streams.
 *
 * One process at a time may use a data directory. The lock is an SQLite
 * transaction on a file beside the data: the operating system takes it away
 * with the process, however that ends, so there is no stale lock to clear.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { duplexPair } from "node:stream";
import { PgClient } from "@effect/sql-pg";
import { PGlite } from "@electric-sql/pglite";
import {
  PGLiteSocketHandler,
  PGLiteSocketServer,
} from "@electric-sql/pglite-socket";
import { Effect, Layer } from "effect";
import { sessionSettings } from "./Postgres.ts";
import { StartFailed } from "./Runtime.ts";

/** SQLITE_BUSY: another process holds the lock. */
const busy = 5;

const lock = (dataDir: string) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        mkdirSync(dataDir, { recursive: true });
        const held = new DatabaseSync(join(dataDir, "lock"));
        held.exec("BEGIN EXCLUSIVE");
        return held;
      },
      catch: (error) =>
        new StartFailed({
          message:
            (error as { errcode?: number }).errcode === busy
              ? `Another process uses the data in "${dataDir}": stop it, or start this one with another DATA_DIR (or with DATABASE_URL, to run many on one PostgreSQL).`
              : `DATA_DIR "${dataDir}" cannot be used: ${String(error)}`,
        }),
    }),
    (held) => Effect.sync(() => held.close()),
  );

const open = (dataDir: string) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        const database = await PGlite.create(join(dataDir, "postgres"));
        await database.exec(
          Object.entries(sessionSettings)
            .map(([name, value]) => `SET ${name} = '${value}';`)
            .join("\n"),
        );
        return database;
      },
      catch: (error) =>
        new StartFailed({
          message: `The embedded database in "${dataDir}" does not start: ${String(error)}`,
        }),
    }),
    (database) => Effect.promise(() => database.close()),
  );

export const layer = ({ dataDir }: { readonly dataDir: string }) =>
  Layer.unwrap(
    Effect.gen(function* () {
      yield* lock(dataDir);
      const database = yield* open(dataDir);
      return PgClient.layer({
        stream: connector(database),
        ssl: false,
        username: "postgres",
        database: "postgres",
        maxConnections: 1,
        multiplex: true,
      });
    }),
  ).pipe(
    Layer.catchTag("SqlError", (error) =>
      Layer.effectContext(
        Effect.fail(new StartFailed({ message: error.message })),
      ),
    ),
  );

type QueryQueue = ConstructorParameters<
  typeof PGLiteSocketHandler
>[0]["queryQueue"];

/** Gives a client its end of a connection to the database. */
const connector = (database: PGlite) => {
  // The queue keeps the statements of two connections apart, should the
  // client give one up and open another. The server is never started.
  const { queryQueue } = new PGLiteSocketServer({
    db: database,
  }) as unknown as {
    readonly queryQueue: QueryQueue;
  };
  return () => {
    const [client, server] = duplexPair();
    const handler = new PGLiteSocketHandler({
      queryQueue,
      closeOnDetach: true,
    });
    // A stream does all that a socket does here, but for the socket's options.
    const ignore = () => server;
    void handler.attach(
      Object.assign(server, {
        setNoDelay: ignore,
        setKeepAlive: ignore,
        setTimeout: ignore,
      }) as unknown as Parameters<typeof handler.attach>[0],
    );
    return client;
  };
};
