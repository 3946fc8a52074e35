/** The order endpoints: translates between HTTP and `Orders`, decides nothing. */
import { Effect, Schema, SchemaIssue } from "effect";
import { type HttpServerRequest, HttpServerResponse } from "effect/http";
import { HttpApiBuilder, HttpApiError } from "effect/http-api";
import { Api } from "../api/Api.ts";
import {
  pageSizeDefault,
  RetryOrders,
  retryDefault,
} from "../api/OrdersApi.ts";
import { cursorOf, parseCursor } from "../api/PageCursor.ts";
import { PlaceOrder } from "../api/PlaceOrder.ts";
import { UnavailableProblem } from "../api/Problems.ts";
import { OrderId } from "../domain/Order.ts";
import { OrderNotFound } from "../domain/OrderRefusals.ts";
import { Orders } from "../orders/Orders.ts";
import { RepositoryUnavailable } from "../persistence/OrderRepository.ts";
import { Admission } from "./Admission.ts";
import * as JsonBody from "./JsonBody.ts";
import {
  etagOf,
  fromOrder,
  fromOrders,
  isKnown,
  pathOf,
} from "./OrderResponses.ts";

const decodePlaceOrder = Schema.decodeUnknownEffect(PlaceOrder, {
  errors: "all",
});
const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1();

/** Fields that may be JSON numbers of any length. */
const numericFields = {
  order_id: /^-?\d+$/,
  user_id: /^-?\d+$/,
  total_amount: /^/,
};

const toBadRequest = (error: Schema.SchemaError) =>
  new HttpApiError.BadRequestProblem({
    detail: "Request validation failed",
    errors: formatIssues(error.issue).issues.map((issue) => ({
      path: [
        "payload",
        ...(issue.path ?? []).map((segment) => {
          const key = typeof segment === "object" ? segment.key : segment;
          return typeof key === "number" ? key : String(key);
        }),
      ],
      message: issue.message,
    })),
  });

/** The order in the body of a request, exactly as it was written there. */
export const readOrder = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
) {
  const body = JsonBody.digitsOf(yield* JsonBody.read(request), numericFields);
  return yield* Effect.mapError(decodePlaceOrder(body), toBadRequest);
});

const decodeRetryOrders = Schema.decodeUnknownEffect(RetryOrders, {
  errors: "all",
});

/** Which orders to retry, as far as a body says so: it may be left out. */
const readRetryOrders = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
) {
  const { headers } = request;
  const hasBody =
    headers["transfer-encoding"] !== undefined ||
    Number(headers["content-length"] ?? 0) > 0;
  if (!hasBody) return {};
  const body = yield* JsonBody.read(request);
  return yield* Effect.mapError(decodeRetryOrders(body), toBadRequest);
});

const isOrderId = Schema.is(OrderId);

/** What no order can be called (it contains NUL, is too long ...), none is. */
const orderIdIn = ({ order_id }: { readonly order_id: string }) =>
  isOrderId(order_id)
    ? Effect.succeed(order_id)
    : Effect.fail(
        new OrderNotFound({
          order_id,
          detail: "There is no order of this order_id, nor can there be.",
        }),
      );

/** Seconds after which a caller should ask again while the database is away. */
const retryAfterSeconds = 1;

const orUnavailable = <A, E, R>(
  effect: Effect.Effect<A, E | RepositoryUnavailable, R>,
) =>
  Effect.catchIf(
    effect,
    (error) => error instanceof RepositoryUnavailable,
    (error) =>
      Effect.fail(
        new UnavailableProblem({
          detail: `Ask again in ${retryAfterSeconds} s: ${error.reason}.`,
          retry_after_seconds: retryAfterSeconds,
        }),
      ),
  );

export const layer = HttpApiBuilder.group(
  Api,
  "orders",
  Effect.fnUntraced(function* (handlers) {
    const orders = yield* Orders;
    const { admit } = yield* Admission;
    /** Works on a request that has been read, if there is room for it. */
    const answer = <A, E, R>(
      work: Effect.Effect<A, E | RepositoryUnavailable, R>,
    ) => orUnavailable(admit(work));

    return handlers
      .handleRaw(
        "place",
        Effect.fnUntraced(function* ({ request }) {
          const order = yield* readOrder(request);
          const placed = yield* answer(orders.place(order));
          const location = { location: pathOf(placed.order) };
          return placed.isNew
            ? fromOrder(placed.order, 201, location)
            : fromOrder(placed.order, 200, {
                ...location,
                "idempotent-replayed": "true",
              });
        }),
      )
      .handleRaw(
        "retryMany",
        Effect.fnUntraced(function* ({ query, request }) {
          const asked = { ...query, ...(yield* readRetryOrders(request)) };
          const retried = yield* answer(
            orders.retryMany({ ...asked, limit: asked.limit ?? retryDefault }),
          );
          return { retried };
        }),
      )
      .handleAll({
        list: Effect.fnUntraced(function* ({ query, request }) {
          const { cursor, limit = pageSizeDefault, ...filter } = query;
          const after = cursor === undefined ? undefined : parseCursor(cursor);
          const page = yield* answer(orders.list({ ...filter, limit, after }));
          return fromOrders(
            page.orders,
            page.end === undefined
              ? {}
              : { link: nextLink(request.url, cursorOf(page.end)) },
          );
        }),
        metrics: () => answer(orders.metrics),
        find: Effect.fnUntraced(function* ({ headers, params }) {
          const order_id = yield* orderIdIn(params);
          const order = yield* answer(orders.find(order_id));
          const etag = etagOf(order);
          return isKnown(headers["if-none-match"], etag)
            ? HttpServerResponse.empty({ status: 304, headers: { etag } })
            : fromOrder(order, 200, {});
        }),
        cancel: ({ params }) =>
          Effect.flatMap(orderIdIn(params), (id) => answer(orders.cancel(id))),
        retry: ({ params }) =>
          Effect.flatMap(orderIdIn(params), (id) => answer(orders.retry(id))),
      });
  }),
);

/** The same list, from the cursor on; relative, so that any host may serve it. */
const nextLink = (url: string, cursor: string): string => {
  const start = url.indexOf("?");
  const query = new URLSearchParams(start === -1 ? "" : url.slice(start));
  query.set("cursor", cursor);
  return `</api/orders/?${query}>; rel="next"`;
};
