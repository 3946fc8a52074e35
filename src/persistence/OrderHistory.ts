/**
 * What became of an order: what its row says of its placing and of its latest
 * attempt, and what `order_history` keeps of the attempts that did not complete
 * it and of what somebody did.
 */
import { Effect, Option } from "effect";
import type { SqlClient } from "effect/sql";
import type { HistoryEntry, HistoryOutcome } from "../domain/OrderHistory.ts";
import { isOrderId } from "./OrderFinding.ts";
import { historyMax } from "./OrderRepository.ts";
import { at } from "./OrderRow.ts";
import type { Statements } from "./Statements.ts";

interface HistoryRow {
  readonly entry: HistoryEntry["type"];
  readonly at: Date;
  readonly attempt: number;
  readonly instance: string | null;
  readonly began_at: Date;
  readonly outcome: HistoryOutcome | null;
  readonly error: string | null;
  readonly actor: string | null;
}

const entryOf = (row: HistoryRow): HistoryEntry => {
  switch (row.entry) {
    case "placed":
      return { type: "placed", time: at(row.at) };
    case "attempt":
      return {
        type: "attempt",
        time: at(row.began_at),
        attempt: row.attempt,
        instance: row.instance,
        began_at: at(row.began_at),
        ended_at: row.outcome === null ? null : at(row.at),
        outcome: row.outcome,
        error: row.error,
      };
    default:
      return { type: row.entry, time: at(row.at), actor: row.actor };
  }
};

export const make = (sql: SqlClient.SqlClient, { answer }: Statements) =>
  Effect.fn("OrderRepository.history")((order_id: string) =>
    !isOrderId(order_id)
      ? Effect.succeedNone
      : answer(
          Effect.map(
            sql<HistoryRow>`
              WITH o AS MATERIALIZED (
                SELECT * FROM orders WHERE order_id = ${order_id}::text
              ), entries AS (
                SELECT 0 AS part, 0::bigint AS no, 'placed' AS entry,
                  created_at AS at, NULL::integer AS attempt,
                  NULL::integer AS epoch, NULL::timestamptz AS began_at,
                  NULL AS outcome, NULL AS error, NULL AS actor FROM o
                UNION ALL
                SELECT 1, h.no, entry, at, attempt, epoch, began_at,
                  outcome, error, actor
                FROM (
                  SELECT * FROM order_history
                  WHERE order_id = (SELECT order_id FROM o)
                  ORDER BY no DESC LIMIT ${historyMax}::integer
                ) AS h
                UNION ALL
                SELECT 2, 0, 'attempt',
                  coalesce(processing_completed_at, updated_at), begun, epoch,
                  processing_started_at,
                  CASE WHEN status = 'COMPLETED' THEN 'completed' END,
                  NULL, NULL
                FROM o WHERE status IN ('PROCESSING', 'COMPLETED')
              )
              SELECT e.entry, e.at, e.attempt, e.began_at, e.outcome, e.error,
                e.actor, c.instance
              FROM entries AS e CROSS JOIN o
              LEFT JOIN partition_claims AS c
                ON c.partition = o.partition AND c.epoch = e.epoch
              ORDER BY e.part, e.no`,
            (rows) =>
              rows.length === 0
                ? Option.none()
                : Option.some(rows.map(entryOf)),
          ),
        ),
  );
