/**
 * Open orders that nobody will read: behind the log position of their partition,
 * and without a time at which they are due. There is none unless numbers were
 * given twice, as after a move of the database without its sequences.
 */
import { Effect } from "effect";
import { SqlClient } from "effect/sql";
import type { Partition } from "../domain/Partition.ts";
import type { LogPlace, UnreadFound } from "./OrderRepository.ts";
import * as Sequences from "./Sequences.ts";
import type { Statements } from "./Statements.ts";

/** Open rows, or rows ahead, that are counted at most. */
const rowsMax = 100_000;

const isOpen = "status IN ('PENDING', 'PROCESSING') AND due_at IS NULL";

interface FoundRow {
  readonly last: LogPlace | null;
  readonly partition: Partition | null;
  readonly first: LogPlace;
  readonly orders: number;
}

/** @param apart for what may wait for whoever takes a number */
export const make = (
  sql: SqlClient.SqlClient,
  apart: SqlClient.SqlClient,
  { answer }: Pick<Statements, "answer">,
) => {
  /**
   * Those the statistics know, less those that are off the log, less those ahead
   * of the positions: in one snapshot, at the cost of what is open or young.
   */
  const count = sql<{ unread: number | null }>`
    SELECT CASE WHEN off_log.n <= ${rowsMax}::integer
        AND ahead.read <= ${rowsMax}::integer
      THEN (known.n - off_log.n - ahead.n)::float8 END AS unread
    FROM (
      SELECT sum(pending + processing) AS n FROM order_statistics
    ) AS known CROSS JOIN (
      SELECT count(*) AS n FROM (
        SELECT FROM orders WHERE due_at IS NOT NULL
        ORDER BY seq LIMIT ${rowsMax + 1}::integer
      ) AS read
    ) AS off_log CROSS JOIN (
      SELECT count(*) AS read,
        count(*) FILTER (WHERE ${sql.literal(isOpen)} AND seq > place) AS n
      FROM (
        SELECT partition, seq, status, due_at FROM orders
        WHERE seq > (SELECT min(place) FROM partition_owners)
        ORDER BY seq LIMIT ${rowsMax + 1}::integer
      ) AS read JOIN partition_owners AS w USING (partition)
    ) AS ahead`;

  const find = (after: LogPlace, limit: number) => sql<FoundRow>`
    WITH read AS MATERIALIZED (
      SELECT partition, seq, status, due_at FROM orders
      WHERE seq > ${String(after)}::text::bigint
        AND seq <= (SELECT max(place) FROM partition_owners)
      ORDER BY seq LIMIT ${limit}::integer
    ), unread AS (
      SELECT r.partition, min(r.seq) AS first, count(*)::float8 AS orders
      FROM read AS r JOIN partition_owners AS w USING (partition)
      WHERE ${sql.literal(isOpen)} AND r.seq <= w.place
      GROUP BY r.partition
    )
    SELECT last, unread.* FROM (
      SELECT CASE WHEN count(*) = ${limit}::integer THEN max(seq) END AS last
      FROM read
    ) AS read LEFT JOIN unread ON true`;

  return {
    countUnread: answer(
      Effect.andThen(
        Effect.provideService(Sequences.raise, SqlClient.SqlClient, apart),
        Effect.map(count, ([row]) => row?.unread ?? undefined),
      ),
    ).pipe(Effect.withSpan("OrderRepository.countUnread")),
    findUnread: Effect.fn("OrderRepository.findUnread")(
      (after: LogPlace, limit: number) =>
        answer(
          Effect.map(
            find(after, limit),
            (rows): UnreadFound => ({
              next: rows[0]?.last ?? undefined,
              found: rows.flatMap(({ first, orders, partition }) =>
                partition === null ? [] : [{ partition, first, orders }],
              ),
            }),
          ),
        ),
    ),
    /** The epoch fences the owner, which keeps the position in memory. */
    readAgain: Effect.fn("OrderRepository.readAgain")(
      (partition: Partition, from: LogPlace) =>
        answer(
          Effect.asVoid(sql`
            UPDATE partition_owners
            SET place = ${String(from - 1n)}::text::bigint, epoch = epoch + 1
            WHERE partition = ${partition}::smallint
              AND place >= ${String(from)}::text::bigint`),
        ),
    ),
  };
};
