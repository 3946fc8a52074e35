/** Orders as HTTP answers. */
import { DateTime, Result, Schema } from "effect";
import { Base64Url } from "effect/encoding";
import { HttpServerResponse } from "effect/http";
import { Order } from "../domain/Order.ts";
import type { PageEnd } from "../persistence/OrderRepository.ts";

const encodeOrder = Schema.encodeSync(Order);

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
  HttpServerResponse.text(JSON.stringify(encodeOrder(order)), {
    status,
    contentType: "application/json",
    headers: { etag: etagOf(order), ...headers },
  });

/** Whether an `If-None-Match` names this state (RFC 9110, section 13.1.2). */
export const isKnown = (ifNoneMatch: string | undefined, etag: string) =>
  (ifNoneMatch ?? "")
    .split(",")
    .map((tag) => tag.trim().replace(/^W\//, ""))
    .some((tag) => tag === "*" || tag === etag);

/** The end of a page, in a form that says nothing to callers. */
export const cursorOf = (end: PageEnd): string =>
  Base64Url.encode(`${end.created_at.epochMilliseconds}.${end.seq}`);

/** `undefined` for what `cursorOf` never made. */
export const parseCursor = (cursor: string): PageEnd | undefined => {
  const text = Base64Url.decodeString(cursor);
  if (Result.isFailure(text)) return undefined;
  const [, created, seq] = /^(\d{1,15})\.(\d{1,18})$/.exec(text.success) ?? [];
  if (created === undefined || seq === undefined) return undefined;
  return {
    created_at: DateTime.makeUnsafe(Number(created)),
    seq: BigInt(seq),
  };
};
