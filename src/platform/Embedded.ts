/**
 * The embedded database: PGlite, PostgreSQL compiled to WebAssembly, in this
 * process, reached by the same client as a server. It is one session, so it
 * gets one connection; the client speaks to it through a pair of streams.
 *
 * One process at a time may use a data directory. The lock is an SQLite
 * transaction on a file beside the data: the operating system takes it away
 * with the process, however that ends, so there is no stale lock to clear.
 */
import { accessSync, constants, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Duplex, duplexPair } from "node:stream";
import { PgClient } from "@effect/sql-pg";
import type { PGlite } from "@electric-sql/pglite";
import { Effect, Layer } from "effect";
import { diskFault } from "../domain/DiskFault.ts";
import { makeDirectory } from "./DiskSync.ts";
import * as EmbeddedOnDisk from "./EmbeddedOnDisk.ts";
import { sessionSettings } from "./Postgres.ts";
import { StartFailed } from "./Runtime.ts";

/** SQLITE_BUSY: another process holds the lock. Deno has only its words. */
const isBusy = (error: unknown) =>
  (error as { errcode?: number }).errcode === 5 ||
  (error instanceof Error && error.message === "database is locked");

/** With less room no database starts; a new one takes 40 MB. */
const roomMin = 1024 * 1024;

const isFull = (dataDir: string): boolean => {
  try {
    const { bavail, bsize } = statfsSync(dataDir);
    return bavail * bsize < roomMin;
  } catch {
    return false;
  }
};

/** Why a directory cannot be used. A full disk has many ways to fail. */
const faultOf = (dataDir: string, error: unknown): string =>
  diskFault(isFull(dataDir) ? { code: "ENOSPC" } : error) ?? String(error);

/** SQLite would say no more than that it cannot open its file. */
const assertWritable = (dataDir: string) => {
  try {
    accessSync(dataDir, constants.W_OK);
  } catch (error) {
    // Deno may not ask for its user: there SQLite has to say it.
    if ((error as Error).name !== "NotCapable") throw error;
  }
};

const lock = (dataDir: string) =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        makeDirectory(dataDir);
        assertWritable(dataDir);
        const held = new DatabaseSync(join(dataDir, "lock"));
        held.exec("BEGIN EXCLUSIVE");
        return held;
      },
      catch: (error) =>
        new StartFailed({
          message: isBusy(error)
            ? `Another process uses the data in "${dataDir}": stop it, or start this one with another DATA_DIR (or with DATABASE_URL, to run many on one PostgreSQL).`
            : `DATA_DIR "${dataDir}" cannot be used: ${faultOf(dataDir, error)}. Start again after that; no order is lost.`,
        }),
    }),
    (held) => Effect.sync(() => held.close()),
  ).pipe(Effect.tap(warnIfOpen(dataDir)));

const warnIfOpen = (dataDir: string) =>
  Effect.suspend(() =>
    (statSync(dataDir).mode & 0o077) === 0
      ? Effect.void
      : Effect.logWarning(
          `DATA_DIR "${dataDir}" can be read by other users of this machine, and orders and secrets with it: chmod 700 "${dataDir}"`,
        ),
  );

const open = (dataDir: string) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => EmbeddedOnDisk.open(join(dataDir, "postgres")),
      catch: (error) =>
        new StartFailed({
          message: `The embedded database in "${dataDir}" does not start: ${faultOf(dataDir, error)}. Start again after that; no order is lost that was answered 201.`,
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
        stream: yield* connector(database),
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

const setSession = Object.entries(sessionSettings)
  .map(([name, value]) => `SET ${name} = '${value}'`)
  .join(";");

/**
 * Gives a client its end of a connection to the database. Connections have
 * their turn one after another, as there is but one session.
 */
const connector = (database: PGlite) =>
  Effect.gen(function* () {
    const open = new Set<Duplex>();
    let turn = Promise.resolve();
    // The database is not closed under a connection that still uses it.
    yield* Effect.addFinalizer(() =>
      Effect.promise(() => {
        for (const server of open) server.destroy();
        return turn;
      }),
    );
    return () => {
      const [client, server] = duplexPair();
      open.add(server);
      turn = turn
        .then(() => serve(database, server))
        .catch((error: Error) => {
          client.destroy(error);
        })
        .finally(() => {
          open.delete(server);
          server.destroy();
        });
      return client;
    };
  });

/** Answers a connection, message by message, until it ends. */
const serve = async (database: PGlite, server: Duplex) => {
  if (server.destroyed) return;
  // Nothing is left of the connection before this one.
  await database.exec("DISCARD ALL");
  await database.exec(setSession);
  try {
    for await (const message of messagesOf(server)) {
      await database.runExclusive(() =>
        database.execProtocolRawStream(message, {
          onRawData: (answer) => server.write(Buffer.from(answer)),
        }),
      );
    }
  } finally {
    if (database.isInTransaction()) await database.exec("ROLLBACK");
  }
};

/** The client says that it is going. */
const terminate = "X".charCodeAt(0);

/**
 * The messages of PostgreSQL's protocol: a letter (the first message has none),
 * then the length of the rest in four bytes, which count themselves.
 *
 * `@electric-sql/pglite-socket` (0.2.17) frames them in the same way, but only
 * behind a socket that other programs can reach, and without clearing the
 * session between connections. PGlite's own parser reads the server's messages.
 */
async function* messagesOf(server: Duplex): AsyncGenerator<Buffer> {
  let received: Buffer = Buffer.alloc(0);
  let letter = 0;
  try {
    for await (const chunk of server) {
      received = received.length > 0 ? Buffer.concat([received, chunk]) : chunk;
      while (received.length >= letter + 4) {
        const length = letter + received.readInt32BE(letter);
        if (received.length < length) break;
        if (letter === 1 && received[0] === terminate) return;
        yield received.subarray(0, length);
        received = received.subarray(length);
        letter = 1;
      }
    }
  } catch (error) {
    // Cut off, by either end: a connection may end that way.
    if (!server.destroyed) throw error;
  }
}
