/**
 * The statuses of an order. The README draws how they follow each other;
 * `OrderLifecycle` decides it.
 */
import { Schema } from "effect";

/** Every status, in the order an order meets them. */
export const OrderStatus = Schema.Literals([
  "PENDING",
  "PROCESSING",
  "COMPLETED",
  "FAILED",
  "CANCELLED",
]).annotate({
  identifier: "OrderStatus",
  description:
    "PENDING waits for its (next) attempt, PROCESSING is being worked on; COMPLETED, FAILED and CANCELLED are final.",
});
export type OrderStatus = typeof OrderStatus.Type;
