/** How the table is while it is in use: what it takes, and what of it is dead. */
import type pg from "pg";
import * as StatementCosts from "./statementCosts.ts";

/** Statements that read from where dead rows gather, by their words. */
const reads = { due: "WITH ORDINALITY AS asked", metrics: "sum(accepted)" };

export interface Sample {
  /** Since the load began. */
  readonly seconds: number;
  readonly isSnapshotHeld: boolean;
  readonly orders: number;
  /** Of them, those that have left the table, and what stays of them takes. */
  readonly archived: number;
  readonly archivedBytes: number;
  readonly deadRows: number;
  readonly tableBytes: number;
  readonly indexBytes: number;
  readonly statisticsBytes: number;
  readonly vacuums: number;
  /** Pages that one read touched, on average since the sample before. */
  readonly duePages: number;
  readonly metricsPages: number;
}

/** Takes samples, each of what has happened since the one before. */
export const sampler = (client: pg.Client) => {
  const began = performance.now();
  const before: Record<string, StatementCosts.StatementCosts> = {};
  const pagesOf = async (name: keyof typeof reads) => {
    const now = await StatementCosts.read(client, reads[name]);
    const { buffers, calls } = before[name] ?? { buffers: 0, calls: 0 };
    before[name] = now;
    return (now.buffers - buffers) / Math.max(1, now.calls - calls);
  };
  return async (isSnapshotHeld: boolean): Promise<Sample> => {
    const { rows } = await client.query(
      `SELECT (SELECT sum(accepted)::float8 FROM order_statistics) AS orders,
        (SELECT sum(archived)::float8 FROM order_statistics) AS archived,
        pg_total_relation_size('archived_orders')::float8 AS "archivedBytes",
        n_dead_tup::float8 AS "deadRows",
        (vacuum_count + autovacuum_count)::float8 AS vacuums,
        pg_table_size('orders')::float8 AS "tableBytes",
        pg_indexes_size('orders')::float8 AS "indexBytes",
        pg_total_relation_size('order_statistics')::float8 AS "statisticsBytes"
      FROM pg_stat_user_tables WHERE relname = 'orders'`,
    );
    return {
      ...rows[0],
      seconds: (performance.now() - began) / 1000,
      isSnapshotHeld,
      duePages: await pagesOf("due"),
      metricsPages: await pagesOf("metrics"),
    };
  };
};

export interface Totals {
  readonly orders: number;
  readonly walBytes: number;
  readonly statements: number;
  readonly transactions: number;
  /** Changes of rows of `orders`, and those that changed no index. */
  readonly updates: number;
  readonly heapOnly: number;
}

export type Changes = Omit<Totals, "statements">;

/** What has changed in the database so far, whoever did it. */
export const changes = async (client: pg.Client): Promise<Changes> => {
  const { rows } = await client.query(
    `SELECT (SELECT sum(accepted)::float8 FROM order_statistics) AS orders,
      pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS "walBytes",
      xact_commit::float8 AS transactions,
      n_tup_upd::float8 AS updates, n_tup_hot_upd::float8 AS "heapOnly"
    FROM pg_stat_database, pg_stat_user_tables
    WHERE datname = current_database() AND relname = 'orders'`,
  );
  return rows[0];
};

/** The same, with the statements that did it. */
export const totals = async (client: pg.Client): Promise<Totals> => {
  const { calls } = await StatementCosts.read(client, "");
  return { ...(await changes(client)), statements: calls };
};

/** From one reading to another. */
export const between = (before: Totals, after: Totals): Totals => ({
  orders: after.orders - before.orders,
  walBytes: after.walBytes - before.walBytes,
  statements: after.statements - before.statements,
  transactions: after.transactions - before.transactions,
  updates: after.updates - before.updates,
  heapOnly: after.heapOnly - before.heapOnly,
});

export interface Size {
  readonly name: string;
  readonly bytes: number;
}

/** The table and each of its indexes. */
export const sizes = async (
  client: pg.Client,
): Promise<ReadonlyArray<Size>> => {
  const { rows } = await client.query(
    `SELECT 'the table' AS name, pg_table_size('orders')::float8 AS bytes
    UNION ALL
    SELECT indexrelid::regclass::text, pg_relation_size(indexrelid)::float8
    FROM pg_index WHERE indrelid = 'orders'::regclass`,
  );
  return rows;
};
