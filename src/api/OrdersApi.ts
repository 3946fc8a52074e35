/** Everything that can be asked about orders over HTTP. */
import { Schema } from "effect";
import {
  HttpApiEndpoint,
  type HttpApiError,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  OpenApi,
} from "effect/http-api";
import { Order, UserId } from "../domain/Order.ts";
import {
  OrderConflict,
  OrderNotFound,
  OrderNotInStatus,
} from "../domain/OrderRefusals.ts";
import { OrderStatus } from "../domain/OrderStatus.ts";
import { PlaceOrder } from "./PlaceOrder.ts";
import { BodyTooLarge, NotJson, Unavailable } from "./Problems.ts";

/** What `GET /api/orders/metrics/` counts. */
export const OrderMetrics = Schema.Struct({
  total_orders_processed: Schema.Int.annotate({
    description: "Orders that are COMPLETED.",
  }),
  status_counts: Schema.Record(OrderStatus, Schema.Int),
  average_processing_time_seconds: Schema.NullOr(Schema.Number).annotate({
    description:
      "From the beginning of the completing attempt to COMPLETED, over all COMPLETED orders; null before the first.",
  }),
  oldest_pending_age_seconds: Schema.NullOr(Schema.Number).annotate({
    description: "How long the oldest PENDING order has existed; null if none.",
  }),
}).annotate({ identifier: "OrderMetrics" });
export interface OrderMetrics extends Schema.Schema.Type<typeof OrderMetrics> {}

export const pageSizeMax = 500;
export const pageSizeDefault = 50;

/** A page's size, 1..500. */
const PageSize = Schema.NumberFromString.check(
  Schema.makeFilter<number>(
    (limit) =>
      Number.isInteger(limit) && limit >= 1 && limit <= pageSizeMax
        ? undefined
        : `must be a whole number from 1 to ${pageSizeMax}`,
    {
      toJsonSchema: () => ({ minimum: 1, maximum: pageSizeMax }),
    },
  ),
);

const Time = Schema.DateTimeUtcFromString.annotate({
  message: "must be a time such as 2026-01-31T12:00:00Z (ISO 8601)",
});

/** The path of one order; any text may be asked for. */
const OrderPath = { order_id: Schema.String };

const ETag = Schema.String.annotate({
  description: "Names this state of the order.",
});

const Replayed = Schema.Literal("true").annotate({
  description: "This very order had been placed before.",
});

export class OrdersApi extends HttpApiGroup.make("orders")
  .add(
    HttpApiEndpoint.post("place", "/api/orders/", {
      payload: PlaceOrder,
      success: [
        HttpApiSchema.WithHeaders(Order.pipe(HttpApiSchema.status(201)), {
          location: Schema.String,
          etag: ETag,
        }),
        HttpApiSchema.WithHeaders(Order, {
          location: Schema.String,
          etag: ETag,
          "idempotent-replayed": Replayed,
        }),
      ],
      error: [OrderConflict, BodyTooLarge, NotJson, Unavailable],
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Place an order",
        description:
          "201: it is in the database and will be worked on. Placing the same order again is safe: 200 and the stored order; the same order_id with other content: 409.",
      }),
    ),
    HttpApiEndpoint.get("list", "/api/orders/", {
      query: {
        limit: Schema.optional(PageSize),
        cursor: Schema.optional(Schema.String),
        status: Schema.optional(
          Schema.Array(
            OrderStatus.annotate({
              message: `must be one of ${OrderStatus.literals.join(", ")}`,
            }),
          ),
        ),
        user_id: Schema.optional(UserId),
        created_after: Schema.optional(Time),
        created_before: Schema.optional(Time),
      },
      success: HttpApiSchema.WithHeaders(Schema.Array(Order), {
        link: Schema.optional(
          Schema.String.annotate({
            description: 'The next page, as `<...>; rel="next"` (RFC 8288).',
          }),
        ),
      }),
      error: Unavailable,
    }).annotateMerge(
      OpenApi.annotations({ summary: "List orders, newest first" }),
    ),
    HttpApiEndpoint.get("metrics", "/api/orders/metrics/", {
      success: OrderMetrics,
      error: Unavailable,
    }).annotateMerge(OpenApi.annotations({ summary: "Count orders" })),
    HttpApiEndpoint.get("find", "/api/orders/:order_id/", {
      params: OrderPath,
      headers: { "if-none-match": Schema.optional(Schema.String) },
      success: [
        HttpApiSchema.WithHeaders(Order, { etag: ETag }),
        HttpApiSchema.Empty(304),
      ],
      error: [OrderNotFound, Unavailable],
    }).annotateMerge(OpenApi.annotations({ summary: "Find an order" })),
    HttpApiEndpoint.post("cancel", "/api/orders/:order_id/cancel/", {
      params: OrderPath,
      success: Order,
      error: [OrderNotFound, OrderNotInStatus, Unavailable],
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Cancel an order",
        description: "Only while it is PENDING; otherwise 409.",
      }),
    ),
    HttpApiEndpoint.post("retry", "/api/orders/:order_id/retry/", {
      params: OrderPath,
      success: Order,
      error: [OrderNotFound, OrderNotInStatus, Unavailable],
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Retry a dead letter",
        description:
          "A FAILED order becomes PENDING with all its attempts; otherwise 409.",
      }),
    ),
  )
  .middleware(HttpApiMiddleware.ProblemDetails)
  .annotateMerge(OpenApi.annotations({ title: "Orders" })) {}

export type BadRequest = HttpApiError.BadRequestProblem;
