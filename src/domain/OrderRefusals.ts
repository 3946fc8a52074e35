/**
 * What the service refuses, in the words its callers get: each refusal is a
 * problem (RFC 9457) with its HTTP status, a `type` to tell it from others,
 * and a `detail` that says what to do next.
 */
import { Schema } from "effect";
import { HttpApiError } from "effect/http-api";
import { OrderId } from "./Order.ts";
import { OrderStatus } from "./OrderStatus.ts";

/** No order has this id. */
export class OrderNotFound extends HttpApiError.Problem<OrderNotFound>()(
  "OrderNotFound",
  {
    type: "urn:order-service:order-not-found",
    status: 404,
    title: "Order not found",
  },
  { order_id: Schema.String },
) {}

/** The id is taken by an order with other content. */
export class OrderConflict extends HttpApiError.Problem<OrderConflict>()(
  "OrderConflict",
  {
    type: "urn:order-service:order-conflict",
    status: 409,
    title: "Another order has this order_id",
  },
  { order_id: OrderId },
) {}

/** Ids of a batch that is placed as a whole are taken by other orders. */
export class OrdersConflict extends HttpApiError.Problem<OrdersConflict>()(
  "OrdersConflict",
  {
    type: "urn:order-service:orders-conflict",
    status: 409,
    title: "Other orders have some of these order_ids",
  },
  {
    /** Each order that is in the way, by its place in the batch. */
    errors: Schema.Array(HttpApiError.ProblemIssue),
  },
) {}

/** The id is that of an order that was done and has left the table. */
export class OrderArchived extends HttpApiError.Problem<OrderArchived>()(
  "OrderArchived",
  {
    type: "urn:order-service:order-archived",
    status: 409,
    title: "The order was archived",
  },
  {
    order_id: OrderId,
    /** Whether what is placed says the same as what was archived. */
    same_content: Schema.Boolean,
  },
) {}

/** The database refuses what the order says, and would again. */
export class OrderNotStorable extends HttpApiError.Problem<OrderNotStorable>()(
  "OrderNotStorable",
  {
    type: "urn:order-service:order-not-storable",
    status: 422,
    title: "The database refuses the order",
  },
) {}

/** The order's status does not allow what was asked. */
export class OrderNotInStatus extends HttpApiError.Problem<OrderNotInStatus>()(
  "OrderNotInStatus",
  {
    type: "urn:order-service:order-not-in-status",
    status: 409,
    title: "The order's status does not allow this",
  },
  { order_id: OrderId, order_status: OrderStatus },
) {}
