/** Orders as HTTP answers. */
import { HttpServerResponse } from "effect/http";
import type { Order } from "../domain/Order.ts";
import { toJson } from "../domain/OrderJson.ts";

/** Names a state of an order: each change gives it a new time, attempt or status. */
export const etagOf = (order: Order): string =>
  `"${order.updated_at.epochMilliseconds.toString(36)}-${order.attempts}-${order.status}"`;

export const pathOf = (order: Order): string =>
  `/api/orders/${encodeURIComponent(order.order_id)}/`;

export const fromOrder = (
  order: Order,
  status: 200 | 201,
  headers: Readonly<Record<string, string>>,
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(toJson(order), {
    status,
    contentType: "application/json",
    headers: { etag: etagOf(order), ...headers },
  });

export const fromOrders = (
  orders: ReadonlyArray<Order>,
  headers: Readonly<Record<string, string>>,
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(`[${orders.map(toJson).join(",")}]`, {
    contentType: "application/json",
    headers,
  });

/** Whether an `If-None-Match` names this state (RFC 9110, section 13.1.2). */
export const isKnown = (ifNoneMatch: string | undefined, etag: string) =>
  (ifNoneMatch ?? "")
    .split(",")
    .map((tag) => tag.trim().replace(/^W\//, ""))
    .some((tag) => tag === "*" || tag === etag);
