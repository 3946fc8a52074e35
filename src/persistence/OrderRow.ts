/** Rows of the table `orders`, as orders. */
import { DateTime } from "effect";
import type { Order, OrderId } from "../domain/Order.ts";
import type { OrderStatus } from "../domain/OrderStatus.ts";

const columnsWith = (item_ids: string) => `
    o.order_id, o.user_id, ${item_ids}, o.total_amount, o.status, o.created_at,
    o.updated_at, o.processing_started_at, o.processing_completed_at,
    o.attempts, CASE WHEN o.status = 'PENDING' AND o.attempts > 0
      THEN o.due_at END AS next_attempt_at, o.last_error`;

/** The columns that make an order, of a table called `o`. */
export const orderColumns = columnsWith("o.item_ids");

/** Items of at most so many bytes are read whatever else is read with them. */
export const smallItemBytes = 8_192;

/** The same, and their size; without their items where these are not small. */
export const smallOrderColumns = `${columnsWith(
  `CASE WHEN o.item_bytes <= ${smallItemBytes} THEN o.item_ids END AS item_ids`,
)}, o.item_bytes`;

/** An order whose items are not small: known, and not read yet. */
export interface LargeOrder {
  readonly order_id: OrderId;
  readonly item_bytes: number;
}

/** A row as the driver gives it, of the columns of an order. */
interface OrderRow {
  readonly order_id: Order["order_id"];
  readonly user_id: Order["user_id"];
  readonly item_ids: ReadonlyArray<unknown>;
  /** `numeric` comes as text, to be exact; 10 digits are in a number too. */
  readonly total_amount: string;
  readonly status: OrderStatus;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly processing_started_at: Date | null;
  readonly processing_completed_at: Date | null;
  readonly attempts: number;
  readonly next_attempt_at: Date | null;
  readonly last_error: string | null;
}

export const at = (date: Date): DateTime.Utc =>
  DateTime.makeUnsafe(date.getTime());
export const atOrNull = (date: Date | null) =>
  date === null ? null : at(date);

/**
 * The order in a row. By hand, not by a schema: the table has checked it, and
 * a schema takes 7 microseconds where every begin needs one.
 */
export const decodeOrder = (given: unknown): Order => {
  const row = given as OrderRow;
  return {
    order_id: row.order_id,
    user_id: row.user_id,
    item_ids: row.item_ids,
    total_amount: Number(row.total_amount) as Order["total_amount"],
    status: row.status,
    created_at: at(row.created_at),
    updated_at: at(row.updated_at),
    processing_started_at: atOrNull(row.processing_started_at),
    processing_completed_at: atOrNull(row.processing_completed_at),
    attempts: row.attempts,
    next_attempt_at: atOrNull(row.next_attempt_at),
    last_error: row.last_error,
  };
};

/** The order in a row of `smallOrderColumns`, unless it is a large one. */
export const decodeSmallOrder = (
  row: Readonly<Record<string, unknown>>,
): Order | LargeOrder =>
  row.item_ids === null
    ? {
        order_id: row.order_id as OrderId,
        item_bytes: row.item_bytes as number,
      }
    : decodeOrder(row);

export const isLarge = (found: Order | LargeOrder): found is LargeOrder =>
  "item_bytes" in found;

/** The database knows no time much before this, and no order was placed then. */
const earliestTime = Date.UTC(1900);

export const toDate = (time: DateTime.Utc): Date =>
  new Date(Math.max(time.epochMilliseconds, earliestTime));
