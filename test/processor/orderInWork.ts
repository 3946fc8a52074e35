/** An order as a `Fulfilment` gets it. */
import { DateTime } from "effect";
import {
  type Order,
  OrderId,
  TotalAmount,
  UserId,
} from "../../src/domain/Order.ts";

const now = DateTime.makeUnsafe("2026-01-31T12:00:00Z");

export const orderInWork = (order_id = "ORD001"): Order => ({
  order_id: OrderId.make(order_id),
  user_id: UserId.make("USER001"),
  item_ids: ["ITEM001", { sku: "😀" }],
  total_amount: TotalAmount.make(19.9),
  status: "PROCESSING",
  created_at: now,
  updated_at: now,
  processing_started_at: now,
  processing_completed_at: null,
  attempts: 3,
  next_attempt_at: null,
  last_error: null,
});
