/**
 * A table that has been in use for a while, made by the database itself: most
 * orders COMPLETED, some FAILED and CANCELLED, the newest still PENDING; spread
 * over three months, and over users of whom one has a hundredth of all.
 */
import { statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { withClient } from "./Setup.ts";

/** How many orders are in work or wait for it, whatever the table's size. */
export const pendingOrders = 2_000;

/** Who placed a hundredth of all orders, evenly over time. */
export const busyUser = "USER0";

/** Orders of each other user. */
const ordersPerUser = 50;

/** Orders in one statement: so that the progress can be told. */
const batchSize = 250_000;

/** What one of these takes with its indexes, with a quarter to spare. */
export const bytesPerOrder = 900;

/** What PostgreSQL keeps of its log, at most, and what others may need. */
const spareBytes = 3 * 2 ** 30;

/** Refuses what would fill the disk. */
export const checkDisk = async (rows: number) => {
  const { bavail, bsize } = await statfs(tmpdir());
  const needed = rows * bytesPerOrder + spareBytes;
  if (bavail * bsize < needed) {
    throw new Error(
      `${rows} orders need ${Math.ceil(needed / 2 ** 30)} GiB in ${tmpdir()}: give less --rows, or set TMPDIR`,
    );
  }
};

export interface PastOrdersOptions {
  readonly database: string;
  readonly orders: number;
  /** How many of a thousand are FAILED. */
  readonly failedPerMille?: number;
  readonly onProgress: (made: number) => void;
}

/** Adds `orders` orders to a table that has none. Its statistics follow. */
export const addPastOrders = ({
  database,
  failedPerMille = 5,
  onProgress,
  orders,
}: PastOrdersOptions) =>
  withClient(database, async (client) => {
    for (let made = 0; made < orders; made += batchSize) {
      const until = Math.min(orders, made + batchSize);
      await client.query(
        `WITH given AS (
          SELECT n, age, random() AS chance,
            now() - age * interval '90 days' / $3::float8 AS placed_at
          FROM (SELECT n, $3 - n AS age
            FROM generate_series($1::bigint, $2::bigint) AS n) AS numbers
        ), stated AS (
          SELECT *, CASE
            WHEN age < $4 THEN 'PENDING'
            WHEN chance < $5 / 1000.0 THEN 'FAILED'
            WHEN chance < $5 / 1000.0 + 0.02 THEN 'CANCELLED'
            ELSE 'COMPLETED' END AS state
          FROM given
        ), made AS (
          INSERT INTO orders (order_id, user_id, item_ids, total_amount,
            partition, created_at, updated_at, ended, status, attempts, begun,
            processing_started_at, processing_completed_at, last_error)
          SELECT gen_random_uuid()::text,
            CASE WHEN n % 100 = 0 THEN '${busyUser}'
              ELSE 'USER' || 1 + floor(random() * ($3 / ${ordersPerUser}))
            END,
            '[17,42,99]', 1 + (n % 99999) / 100.0, n % 32,
            placed_at, placed_at + interval '1 second',
            CASE WHEN state IN ('FAILED', 'CANCELLED') THEN state END, state,
            CASE WHEN state IN ('COMPLETED', 'FAILED') THEN 1 ELSE 0 END,
            CASE WHEN state IN ('COMPLETED', 'FAILED') THEN 1 ELSE 0 END,
            CASE WHEN state IN ('COMPLETED', 'FAILED') THEN placed_at END,
            CASE WHEN state = 'COMPLETED'
              THEN placed_at + interval '1 second' END,
            CASE WHEN state = 'FAILED' THEN 'the receiver answered ' || CASE
              WHEN n % 7 = 0 THEN 422 WHEN n % 3 = 0 THEN 409 ELSE 400 END
            END
          FROM stated ORDER BY n
          RETURNING status
        )
        UPDATE order_statistics AS s SET
          accepted = s.accepted + d.accepted,
          pending = s.pending + d.pending,
          completed = s.completed + d.completed,
          failed = s.failed + d.failed,
          cancelled = s.cancelled + d.cancelled,
          processing_seconds = s.processing_seconds + d.completed
        FROM (
          SELECT count(*) AS accepted,
            count(*) FILTER (WHERE status = 'PENDING') AS pending,
            count(*) FILTER (WHERE status = 'COMPLETED') AS completed,
            count(*) FILTER (WHERE status = 'FAILED') AS failed,
            count(*) FILTER (WHERE status = 'CANCELLED') AS cancelled
          FROM made
        ) AS d WHERE slot = 0`,
        [
          made + 1,
          until,
          orders,
          Math.min(pendingOrders, orders),
          failedPerMille,
        ],
      );
      onProgress(until);
    }
    // Their owners have read on to where what is PENDING begins.
    await client.query(
      `UPDATE partition_owners SET place = (
        SELECT coalesce(min(seq) - 1, max(seq), 0) FROM orders
        WHERE status = 'PENDING')`,
    );
    // The first to read a row after its commit notes that it is committed, and
    // pays for it. That is for the making, not for what is measured.
    await client.query("SELECT count(*) FROM orders WHERE attempts >= 0");
  });
