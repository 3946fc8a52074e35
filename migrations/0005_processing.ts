/**
 * Whether orders are worked on, who works on them, and how counts became what
 * they are.
 *
 * - `processing_control`: one row, the same for all instances.
 * - `processing_changes`: who paused and resumed it; the latest are kept.
 * - `processing_instances`: what each instance says of itself, once a second.
 * - `processing_times`: one row, how long orders have waited, and taken in all.
 * - `metrics_samples`: totals, every ten seconds; `slot` is which ten seconds
 *   since 1970, in seconds, so that there is one sample of them whoever counts.
 *
 * What is said every second is worth nothing after a crash: those tables are
 * not logged, so that a report costs no write to the log and waits for no disk.
 */
import { Effect } from "effect";
import { SqlClient } from "effect/sql";

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;

  yield* sql`SET LOCAL lock_timeout = '2s'`;
  // How often an order became FAILED: `failed` goes down where one is retried.
  yield* sql`ALTER TABLE order_statistics
    ADD COLUMN failures bigint NOT NULL DEFAULT 0`;

  yield* sql`
    CREATE TABLE processing_control (
      one boolean PRIMARY KEY DEFAULT true CHECK (one),
      state text COLLATE "C" NOT NULL DEFAULT 'RUNNING'
        CHECK (state IN ('RUNNING', 'PAUSED')),
      paused_at timestamptz(3),
      paused_by text
    )`;
  yield* sql`INSERT INTO processing_control DEFAULT VALUES`;
  yield* sql`
    CREATE TABLE processing_changes (
      no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      state text COLLATE "C" NOT NULL,
      at timestamptz(3) NOT NULL DEFAULT now(),
      actor text
    )`;
  yield* sql`
    CREATE UNLOGGED TABLE processing_instances (
      name text COLLATE "C" PRIMARY KEY,
      version text NOT NULL,
      started_at timestamptz(3) NOT NULL,
      state text COLLATE "C" NOT NULL,
      partitions integer[] NOT NULL,
      in_work integer NOT NULL,
      mailbox_depth integer NOT NULL,
      receiver json,
      upkeep text[] NOT NULL DEFAULT '{}',
      reported_at timestamptz(3) NOT NULL DEFAULT now()
    ) WITH (fillfactor = 20)`;
  yield* sql`
    CREATE UNLOGGED TABLE processing_times (
      one boolean PRIMARY KEY DEFAULT true CHECK (one),
      waited_orders bigint NOT NULL DEFAULT 0,
      waited_seconds double precision NOT NULL DEFAULT 0,
      whole_orders bigint NOT NULL DEFAULT 0,
      whole_seconds double precision NOT NULL DEFAULT 0
    ) WITH (fillfactor = 10)`;
  yield* sql`
    CREATE TABLE metrics_samples (
      slot bigint PRIMARY KEY,
      at timestamptz(3) NOT NULL DEFAULT now(),
      placed bigint NOT NULL,
      pending bigint NOT NULL,
      processing bigint NOT NULL,
      completed bigint NOT NULL,
      failed bigint NOT NULL,
      cancelled bigint NOT NULL,
      failures bigint NOT NULL,
      oldest_pending_seconds double precision,
      waited_orders bigint NOT NULL,
      waited_seconds double precision NOT NULL,
      whole_orders bigint NOT NULL,
      whole_seconds double precision NOT NULL
    )`;
});
