/**
 * The orders, and the statistics kept of them.
 *
 * The order row is the job: there is no second table of work to keep in step.
 * What is read often is read by one of five indexes, and nothing ever scans:
 *
 * - `orders_pkey`: an order by its id.
 * - `orders_newest`: pages of all orders.
 * - `orders_of_user`: pages of a user's orders.
 * - `orders_by_final_status`: pages of the orders in a status, and the oldest
 *   PENDING one.
 * - `orders_open`: what an actor still has to do, in the order it is due.
 *
 * No index mentions `status`, `attempts` or a time of processing. So beginning
 * an attempt changes no index at all (a heap-only update), and only reaching a
 * final status does. `final_status` is there for that alone: it is null until
 * the end, and the database derives it.
 *
 * `attempts` is what counts against MAX_ATTEMPTS: a retry sets it to 0, and an
 * attempt that was not made is taken off. `begun` only grows, and is the number
 * by which an attempt is fenced. `partition_owners` counts how often each
 * partition was taken over, which fences the former owner.
 *
 * Half of each page is left for the next states of its orders (fillfactor):
 * 97 of 100 begins are heap-only then, at 100 it is 24. The table is no larger
 * for it, and less is written. Measured by `npm run bench -- table-health` (a
 * minute each, with `--alter`), bytes an order on disk with its indexes, and of
 * WAL: at 35, 829 and 1505; at 50, 763 and 1499; at 85, 835 and 1861; at 100,
 * 790 and 2058.
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

  yield* sql`
    CREATE TABLE orders (
      order_id text COLLATE "C" NOT NULL,
      seq bigint GENERATED ALWAYS AS IDENTITY,
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      updated_at timestamptz(3) NOT NULL DEFAULT now(),
      due_at timestamptz NOT NULL DEFAULT now(),
      processing_started_at timestamptz(3),
      processing_completed_at timestamptz(3),
      attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
      begun integer NOT NULL DEFAULT 0,
      partition smallint NOT NULL CHECK (partition BETWEEN 0 AND 31),
      status text COLLATE "C" NOT NULL DEFAULT 'PENDING' CHECK (
        status IN ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED')
      ),
      final_status text COLLATE "C" GENERATED ALWAYS AS (
        CASE WHEN status IN ('COMPLETED', 'FAILED', 'CANCELLED') THEN status END
      ) STORED,
      user_id text COLLATE "C" NOT NULL,
      total_amount numeric(10, 2) NOT NULL CHECK (total_amount > 0),
      item_ids json NOT NULL,
      item_bytes integer NOT NULL
        GENERATED ALWAYS AS (octet_length(item_ids::text)) STORED,
      last_error text,
      CONSTRAINT orders_pkey PRIMARY KEY (order_id)
    ) WITH (
      fillfactor = 50,
      autovacuum_vacuum_scale_factor = 0.02,
      autovacuum_analyze_scale_factor = 0.05
    )`;

  yield* sql`CREATE INDEX orders_newest ON orders (created_at, seq)`;
  yield* sql`CREATE INDEX orders_of_user ON orders (user_id, created_at, seq)`;
  yield* sql`CREATE INDEX orders_by_final_status
    ON orders (final_status, created_at, seq)`;
  yield* sql`CREATE INDEX orders_open
    ON orders (partition, due_at, seq) WHERE final_status IS NULL`;

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

  yield* sql`
    CREATE TABLE partition_owners (
      partition smallint PRIMARY KEY CHECK (partition BETWEEN 0 AND 31),
      epoch integer NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50)`;
  yield* sql`INSERT INTO partition_owners (partition)
    SELECT generate_series(0, 31)`;
});
