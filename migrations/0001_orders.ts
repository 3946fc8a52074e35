/**
 * The orders, and the statistics kept of them.
 *
 * The order row is the job: there is no second table of work to keep in step.
 * The table is read as a log, in the order of `seq`:
 *
 * - `orders_pkey`: an order by its id.
 * - `orders_log`: pages of all orders, newest first; and what an actor has not
 *   read of its partition. `partition` is in it to be looked at there.
 * - `orders_of_user`: pages of a user's orders.
 *
 * On the straight way from PENDING through PROCESSING to COMPLETED no indexed
 * column changes, so both changes are heap-only updates. What leaves that way is
 * marked in a column of its own, which an index holds only where it is set:
 *
 * - `due_at`: open, but not to be found by reading on: it waits for its next
 *   attempt, was given back, or is retried. Set until it is final.
 *   `orders_aside` finds what is due, `orders_aside_log` lists it.
 * - `ended`: FAILED or CANCELLED. `orders_ended` lists them.
 *
 * `seq` is taken once the transaction has its id, so that the numbers below
 * which no transaction is open are known (`OrderLog`).
 *
 * `attempts` is what counts against MAX_ATTEMPTS: a retry sets it to 0, and an
 * attempt that was not made is taken off. `begun` only grows, and is the number
 * by which an attempt is fenced. `partition_owners` counts how often each
 * partition was taken over, which fences the former owner, and keeps up to where
 * the partition's log is done. `epoch` is that count as of the latest attempt:
 * `partition_claims` knows which instance it was.
 *
 * Each sequence is owned by its column, so a dump of the table has the sequence,
 * too. Logical replication copies no sequences: `Sequences` raises them at start.
 *
 * A good half of each page is left for the next states of its orders (fillfactor).
 *
 * `item_bytes` is how large `item_ids` is, derived by the database. It lets what
 * is read be bounded by its size, not by its number, before it is read.
 *
 * Times shown to callers are kept in whole milliseconds, as they are shown.
 * `due_at` is not: rounding up would make an order wait to begin.
 */
import { Effect } from "effect";
import { SqlClient } from "effect/sql";

/** Concurrent transactions add to different rows, so none waits for another. */
const statisticsSlots = 64;

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;

  yield* sql`CREATE SEQUENCE orders_seq`;
  yield* sql`
    CREATE TABLE orders (
      order_id text COLLATE "C" NOT NULL,
      seq bigint NOT NULL DEFAULT nextval('orders_seq'),
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      due_at timestamptz,
      processing_started_at timestamptz(3),
      processing_completed_at timestamptz(3),
      attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
      begun integer NOT NULL DEFAULT 0,
      epoch integer,
      partition smallint NOT NULL CHECK (partition BETWEEN 0 AND 31),
      status text COLLATE "C" NOT NULL DEFAULT 'PENDING' CHECK (
        status IN ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED')
      ),
      ended text COLLATE "C",
      user_id text COLLATE "C" NOT NULL,
      total_amount numeric(10, 2) NOT NULL CHECK (total_amount > 0),
      item_ids json NOT NULL,
      item_bytes integer NOT NULL
        GENERATED ALWAYS AS (octet_length(item_ids::text)) STORED,
      last_error text,
      CONSTRAINT orders_pkey PRIMARY KEY (order_id)
    ) WITH (
      fillfactor = 45,
      autovacuum_vacuum_scale_factor = 0.02,
      autovacuum_analyze_scale_factor = 0.05
    )`;

  yield* sql`ALTER SEQUENCE orders_seq OWNED BY orders.seq`;
  yield* sql`CREATE INDEX orders_log ON orders (seq, partition)`;
  yield* sql`CREATE INDEX orders_of_user ON orders (user_id, seq)`;
  yield* sql`CREATE INDEX orders_aside
    ON orders (partition, due_at, seq) WHERE due_at IS NOT NULL`;
  yield* sql`CREATE INDEX orders_aside_log
    ON orders (seq) WHERE due_at IS NOT NULL`;
  yield* sql`CREATE INDEX orders_ended
    ON orders (ended, seq) WHERE ended IS NOT NULL`;
  yield* sql`CREATE INDEX orders_ended_of_user
    ON orders (user_id, seq) WHERE ended IS NOT NULL`;

  // Orders are numbered as they come, so a time is found in the log by halving.
  yield* sql`
    CREATE FUNCTION orders_seq_at(moment timestamptz) RETURNS bigint
    LANGUAGE plpgsql STABLE AS $$
    DECLARE
      low bigint := (SELECT seq FROM orders ORDER BY seq LIMIT 1);
      high bigint := (SELECT seq + 1 FROM orders ORDER BY seq DESC LIMIT 1);
      middle bigint;
      found record;
    BEGIN
      WHILE low < high LOOP
        middle := low + (high - low) / 2;
        SELECT seq, created_at INTO found FROM orders
          WHERE seq >= middle ORDER BY seq LIMIT 1;
        IF found.created_at < moment THEN
          low := found.seq + 1;
        ELSE
          high := middle;
        END IF;
      END LOOP;
      RETURN coalesce(low, 0);
    END $$`;

  yield* sql`
    CREATE TABLE order_statistics (
      slot smallint PRIMARY KEY,
      accepted bigint NOT NULL DEFAULT 0,
      pending bigint NOT NULL DEFAULT 0,
      processing bigint NOT NULL DEFAULT 0,
      completed bigint NOT NULL DEFAULT 0,
      failed bigint NOT NULL DEFAULT 0,
      cancelled bigint NOT NULL DEFAULT 0,
      processing_seconds double precision NOT NULL DEFAULT 0
    ) WITH (
      fillfactor = 10,
      autovacuum_vacuum_scale_factor = 0,
      autovacuum_vacuum_threshold = 500
    )`;
  yield* sql`INSERT INTO order_statistics (slot)
    SELECT generate_series(0, ${sql.literal(String(statisticsSlots - 1))})`;

  // `place`: every order of the partition up to this number is final or aside.
  yield* sql`
    CREATE TABLE partition_owners (
      partition smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 31),
      epoch integer NOT NULL DEFAULT 0,
      place bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50)`;
  yield* sql`INSERT INTO partition_owners (partition)
    SELECT generate_series(0, 31)`;
  yield* sql`
    CREATE TABLE partition_claims (
      partition smallint NOT NULL,
      epoch integer NOT NULL,
      instance text NOT NULL,
      claimed_at timestamptz(3) NOT NULL DEFAULT now(),
      CONSTRAINT partition_claims_pkey PRIMARY KEY (partition, epoch)
    )`;
});
