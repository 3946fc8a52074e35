/**
 * What statements cost by PostgreSQL's own accounting, which no neighbour on
 * the machine disturbs: the pages they touch and the log they write.
 */
import type pg from "pg";

/** How the server must have been started. */
export const serverFlags: ReadonlyArray<string> = [
  "-c",
  "shared_preload_libraries=pg_stat_statements",
  // Only where asked for: it costs a little.
  "-c",
  "pg_stat_statements.track=none",
];

export interface StatementCosts {
  readonly calls: number;
  /** Milliseconds in the executor. */
  readonly millis: number;
  /** Pages of 8 KiB touched, wherever they were. */
  readonly buffers: number;
  readonly walBytes: number;
}

/** Keeps account of a database's statements, in sessions from now on. */
export const account = async (client: pg.Client) => {
  await client.query("CREATE EXTENSION pg_stat_statements");
  const { rows } = await client.query("SELECT current_database() AS name");
  await client.query(
    `ALTER DATABASE ${rows[0].name} SET pg_stat_statements.track = 'top'`,
  );
};

const here =
  "dbid = (SELECT oid FROM pg_database WHERE datname = current_database())";

/** Begins the account anew. */
export const forget = async (client: pg.Client) => {
  await client.query(
    `SELECT pg_stat_statements_reset(0, oid, 0)
    FROM pg_database WHERE datname = current_database()`,
  );
};

/** All statements in whose text the words are found, together. */
export const read = async (
  client: pg.Client,
  words: string,
): Promise<StatementCosts> => {
  const { rows } = await client.query(
    `SELECT coalesce(sum(calls), 0)::float8 AS calls,
      coalesce(sum(total_exec_time), 0) AS millis,
      coalesce(sum(shared_blks_hit + shared_blks_read), 0)::float8 AS buffers,
      coalesce(sum(wal_bytes), 0)::float8 AS "walBytes"
    FROM pg_stat_statements
    WHERE ${here} AND position($1 IN query) > 0
      AND query NOT LIKE '%pg_stat_statements%'`,
    [words],
  );
  return rows[0];
};
