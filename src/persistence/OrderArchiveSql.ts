/** Orders leave the table: see `migrations/0004_archive.ts`. */
import { Duration, Effect } from "effect";
import type { SqlClient } from "effect/sql";
import type { OrderId } from "../domain/Order.ts";
import {
  type ArchiveFile,
  claimedFilesMax,
  type Leaving,
  type Left,
  OrderArchive,
} from "./OrderArchive.ts";
import type { Epoch, LogPlace } from "./OrderRepository.ts";
import { decodeOrder, orderColumns } from "./OrderRow.ts";
import * as OrderStatistics from "./OrderStatistics.ts";
import { isMeanwhile, type Statements } from "./Statements.ts";

const isFinal = "status IN ('COMPLETED', 'FAILED', 'CANCELLED')";

/** The latest batches whose numbers are kept: a count takes fewer. */
const batchesKept = 100_000;

const secondsAgo = (time: Duration.Duration) =>
  String(Duration.toSeconds(time));

export const make = (
  sql: SqlClient.SqlClient,
  { answer }: Pick<Statements, "answer">,
) => {
  /**
   * From now on placing looks at what is archived: `order_archive_claims`.
   *
   * Two statements: the first may wait for a batch that is under way, and its
   * snapshot would not have what that batch says of its file. The files of who
   * has claimed it since are not told: they are being written.
   */
  const claim = answer(
    Effect.gen(function* () {
      const [row] = yield* sql<{ epoch: Epoch }>`
        UPDATE order_archive SET epoch = epoch + 1
        RETURNING epoch, nextval('order_archive_claims')`;
      const files = yield* sql<ArchiveFile>`
        SELECT name, bytes::float8 AS bytes FROM archive_files
        WHERE epoch < ${row?.epoch ?? 0}::integer
        ORDER BY epoch DESC LIMIT ${claimedFilesMax}::integer`;
      return { epoch: row?.epoch ?? 0, files };
    }),
  ).pipe(Effect.withSpan("OrderArchive.claim"));

  const look: OrderArchive["Service"]["look"] = ({
    after,
    age,
    limit,
    slack,
  }) =>
    answer(
      Effect.map(
        sql<{
          order_id: OrderId;
          seq: LogPlace;
          item_bytes: number;
          is_ready: boolean;
          is_old: boolean;
        }>`
          SELECT order_id, seq, item_bytes,
            ${sql.literal(isFinal)} AND updated_at <= now()
              - ${secondsAgo(age)}::text::float8 * interval '1 second'
              AS is_ready,
            created_at <= now()
              - ${secondsAgo(Duration.sum(age, slack))}::text::float8
                * interval '1 second' AS is_old
          FROM orders WHERE seq > ${String(after)}::text::bigint
          ORDER BY seq LIMIT ${limit}::integer`,
        (rows) =>
          rows.map(({ is_old, is_ready, ...row }) => ({
            ...row,
            isReady: is_ready,
            isOld: is_old,
          })),
      ),
    );

  const read: OrderArchive["Service"]["read"] = (order_ids) =>
    answer(
      Effect.map(
        sql`
          SELECT ${sql.literal(orderColumns)}, o.begun
          FROM orders AS o
          WHERE o.order_id = ANY(${order_ids}::text[])
            AND o.${sql.literal(isFinal)}
          ORDER BY o.order_id
          FOR UPDATE SKIP LOCKED`,
        (rows) =>
          rows.map((row) => ({
            order: decodeOrder(row),
            begun: row.begun as number,
          })),
      ),
    );

  const openFile = (epoch: Epoch, name: string) =>
    answer(
      Effect.map(
        // The row is locked: whoever claims it comes before or after this.
        sql`
          WITH mine AS MATERIALIZED (
            SELECT epoch FROM order_archive WHERE epoch = ${epoch}::integer
            FOR UPDATE
          )
          INSERT INTO archive_files (name, epoch)
          SELECT ${name}::text, epoch FROM mine RETURNING 1`,
        (rows) => rows.length > 0,
      ),
    );

  /** All that changes is of one statement; the first of it is the fence. */
  const leaveAll = ({ epoch, file, orders }: Leaving) => sql<{
    is_mine: boolean;
  }>`
    WITH mine AS (
      UPDATE order_archive SET batch = batch + 1
      WHERE epoch = ${epoch}::integer RETURNING batch
    ), gone AS (
      DELETE FROM orders AS o
      USING mine, unnest(
        ${orders.map((_) => _.order_id)}::text[],
        ${orders.map((_) => _.begun)}::integer[],
        ${orders.map((_) => _.status)}::text[]
      ) AS given (order_id, begun, status)
      WHERE o.order_id = given.order_id AND o.begun = given.begun
        AND o.status = given.status AND o.${sql.literal(isFinal)}
      RETURNING o.order_id, o.seq,
        order_digest(o.user_id, o.total_amount, o.item_ids) AS digest
    ), stays AS (
      INSERT INTO archived_orders (order_id, digest)
      SELECT order_id, digest FROM gone
    ), history AS (
      DELETE FROM order_history AS h USING gone
      WHERE h.order_id = gone.order_id
    ), noted AS (
      INSERT INTO archive_batches (no, numbers)
      SELECT mine.batch,
        (SELECT range_agg(int8range(seq, seq + 1)) FROM gone)
      FROM mine WHERE EXISTS (SELECT FROM gone)
    ), forgotten AS (
      DELETE FROM archive_batches
      WHERE no < (SELECT batch FROM mine) - ${batchesKept}::integer
    ), filed AS (
      UPDATE archive_files SET bytes = ${String(file?.bytes ?? 0)}::text::bigint,
        orders = orders + ${orders.length}::integer
      WHERE name = ${file?.name ?? ""}::text AND EXISTS (SELECT FROM mine)
    ), counted AS (
      UPDATE order_statistics
      SET archived = archived + (SELECT count(*) FROM gone)
      WHERE slot = ${OrderStatistics.anySlot()}::smallint
        AND EXISTS (SELECT FROM gone)
    )
    SELECT CASE WHEN EXISTS (SELECT FROM mine)
      THEN all_archived(${orders.length}::integer, (SELECT count(*) FROM gone))
      ELSE false END AS is_mine`;

  const sorted = (leaving: Leaving): Leaving => ({
    ...leaving,
    // Rows are met in the order of their ids, as by all who change many.
    orders: leaving.orders.toSorted((a, b) =>
      a.order_id < b.order_id ? -1 : 1,
    ),
  });

  const leave = (leaving: Leaving) =>
    answer(
      leaveAll(sorted(leaving)).pipe(
        Effect.map(([row]): Left => (row?.is_mine ? "left" : "fenced")),
        Effect.catchIf(isMeanwhile, () => Effect.succeed<Left>("changed")),
      ),
    ).pipe(Effect.withSpan("OrderArchive.leave"));

  return OrderArchive.of({ claim, look, read, openFile, leave });
};
