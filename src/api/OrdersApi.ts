/** Everything that can be asked about orders over HTTP. */
import { Schema } from "effect";
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  OpenApi,
} from "effect/http-api";
import {
  coarseSampleSeconds,
  historySeconds,
  pointsMax,
  sampleSeconds,
} from "../domain/MetricsHistory.ts";
import { Order, Time, UserId } from "../domain/Order.ts";
import {
  OrderArchived,
  OrderConflict,
  OrderNotFound,
  OrderNotInStatus,
  OrderNotStorable,
} from "../domain/OrderRefusals.ts";
import { OrderStatus } from "../domain/OrderStatus.ts";
import { KeyAccess, NeededScope } from "./Access.ts";
import { MetricsHistory, stepSecondsMax, wholeStep } from "./MetricsHistory.ts";
import { PageCursor } from "./PageCursor.ts";
import { Once, optionalUserId, time, wholeNumber } from "./Parameters.ts";
import { idFromJson, idInJson, PlaceOrder } from "./PlaceOrder.ts";
import { placeManyEndpoint } from "./PlaceOrders.ts";
import { BodyTooLarge, NotJson, Unavailable } from "./Problems.ts";

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0));
const Seconds = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0));

/** What `GET /api/orders/metrics/` counts. */
export const OrderMetrics = Schema.Struct({
  total_orders_processed: Count.annotate({
    description: "Orders that are COMPLETED.",
  }),
  status_counts: Schema.Record(OrderStatus, Count),
  average_processing_time_seconds: Schema.NullOr(Seconds).annotate({
    description:
      "From the beginning of the completing attempt to COMPLETED, over all COMPLETED orders; null before the first.",
  }),
  oldest_pending_age_seconds: Schema.NullOr(Seconds).annotate({
    description: "How long the oldest PENDING order has existed; null if none.",
  }),
}).annotate({ identifier: "OrderMetrics" });
export interface OrderMetrics extends Schema.Schema.Type<typeof OrderMetrics> {}

export const pageSizeMax = 500;
export const pageSizeDefault = 50;

/** A page's size, 1..500. */
const PageSize = wholeNumber(1, pageSizeMax);

/** How many orders are changed together when nobody says how many. */
export const manyDefault = 100;

/** The longest error that is looked for. */
const errorMax = 2_000;

/** Where an earlier change of many came to. */
const goOn = "Goes on from the `next_cursor` of an answer.";

/** Without one of these a change of many is refused, unless `all` is said. */
export const bulkFilters = ["user_id", "created_before", "error"] as const;

const allDescription =
  "True: also without a filter, so that the orders of all users may be changed.";

const chosenInBody = {
  all: Schema.optionalKey(
    Schema.Boolean.annotate({
      message: "must be true or false",
      description: allDescription,
    }),
  ),
  cursor: Schema.optionalKey(PageCursor.annotate({ description: goOn })),
  user_id: Schema.optionalKey(
    idInJson("Only this user's orders.").pipe(
      Schema.decodeTo(UserId, idFromJson),
    ),
  ),
  created_before: Schema.optionalKey(time("Only older ones; exclusive.")),
  limit: Schema.optionalKey(
    Schema.Int.annotate({
      message: `must be a whole number from 1 to ${pageSizeMax}`,
      description: `At most so many, the oldest first; ${manyDefault} if left out.`,
    }).check(
      Schema.isBetween(
        { minimum: 1, maximum: pageSizeMax },
        { message: `must be a whole number from 1 to ${pageSizeMax}` },
      ),
    ),
  ),
  dry_run: Schema.optionalKey(
    Schema.Boolean.annotate({
      message: "must be true or false",
      description: "True: nothing is changed, only counted.",
    }),
  ),
};

const chosenInQuery = {
  all: Schema.optional(
    Schema.Literals(["true", "false"]).annotate({
      message: "must be true or false, given once",
      description: allDescription,
    }),
  ),
  cursor: Schema.optional(
    Once.annotate({ description: goOn }).pipe(Schema.decodeTo(PageCursor)),
  ),
  user_id: optionalUserId("Only this user's orders."),
  created_before: Schema.optional(time("Exclusive.")),
  limit: Schema.optional(PageSize),
  dry_run: Schema.optional(
    Schema.Literals(["true", "false"]).annotate({
      message: "must be true or false, given once",
      description: "`true`: nothing is changed, only counted.",
    }),
  ),
};

const errorText = (schema: Schema.Codec<string, string>) =>
  schema
    .annotate({
      description: "Only those with this very `last_error`.",
    })
    .check(
      Schema.isMaxLength(errorMax, {
        message: `must be at most ${errorMax} characters long`,
      }),
      Schema.makeFilter<string>(
        (text) =>
          text.isWellFormed() && !text.includes("\0")
            ? undefined
            : "contains a NUL character or half of a surrogate pair, which no error does: remove it",
        { toJsonSchema: () => ({}) },
      ),
    );

/** The body of `POST /api/orders/retry/`: which FAILED orders. */
export const RetryOrders = Schema.Struct({
  ...chosenInBody,
  error: Schema.optionalKey(
    errorText(Schema.String.annotate({ message: "must be a string" })),
  ),
}).annotate({ identifier: "RetryOrders", message: "must be a JSON object" });

/** The body of `POST /api/orders/cancel/`: which PENDING orders. */
export const CancelOrders = Schema.Struct(chosenInBody).annotate({
  identifier: "CancelOrders",
  message: "must be a JSON object",
});

/** Beside how many were changed. */
const ofMany = {
  more: Schema.Boolean.annotate({
    description: "There are more that match, or may be: ask again.",
  }),
  next_cursor: Schema.optionalKey(
    Schema.String.annotate({
      description:
        "How far they were read, where that was not to the end: sent as `cursor`, it goes on from there. Asked again without it, a filter that matches little among very many may come no further.",
    }),
  ),
  dry_run: Schema.optionalKey(
    Schema.Literal(true).annotate({ description: "Nothing was changed." }),
  ),
  matching: Schema.optionalKey(
    Count.annotate({
      description:
        "Of a dry run: how many match, whatever `limit` says. It counts to 10,000.",
    }),
  ),
  capped: Schema.optionalKey(
    Schema.Boolean.annotate({
      description: "Of a dry run: more may match than were counted.",
    }),
  ),
};

/** What came of it. */
export const RetriedOrders = Schema.Struct({
  retried: Count.annotate({ description: "Orders that are PENDING again." }),
  ...ofMany,
}).annotate({ identifier: "RetriedOrders" });

/** What came of it. */
export const CancelledOrders = Schema.Struct({
  cancelled: Count.annotate({ description: "Orders that are CANCELLED now." }),
  ...ofMany,
}).annotate({ identifier: "CancelledOrders" });

/** An entry of an order's history. */
export const HistoryEntry = Schema.Union([
  Schema.Struct({ type: Schema.Literal("placed"), time: Time }),
  Schema.Struct({
    type: Schema.Literal("attempt"),
    time: Time.annotate({ description: "When it began." }),
    attempt: Schema.Int.annotate({
      description: "Its number among all that were begun, from 1.",
    }),
    instance: Schema.NullOr(Schema.String).annotate({
      description: "The instance that made it.",
    }),
    began_at: Time,
    ended_at: Schema.NullOr(Time).annotate({
      description: "Null while it is under way.",
    }),
    outcome: Schema.NullOr(
      Schema.Literals(["completed", "failed", "lost", "given_back"]),
    ).annotate({
      description:
        "Null while it is under way. Lost: whoever made it stopped. Given back: it was not really made, and is not counted.",
    }),
    error: Schema.NullOr(Schema.String),
  }),
  Schema.Struct({
    type: Schema.Literals(["cancelled", "retried"]),
    time: Time,
    actor: Schema.NullOr(Schema.String).annotate({
      description: "Who asked for it, where that is known.",
    }),
  }),
]).annotate({ identifier: "HistoryEntry" });

/** Which orders are listed, and exported: all that pass. */
const orderFilter = {
  status: Schema.optional(
    Schema.Array(
      Schema.Literals(OrderStatus.literals).annotate({
        message: `must be one of ${OrderStatus.literals.join(", ")}; for several, repeat the parameter`,
      }),
    ).annotate({ description: "Repeat it for several." }),
  ),
  user_id: optionalUserId("Only this user's orders."),
  created_after: Schema.optional(time("Inclusive.")),
  created_before: Schema.optional(time("Exclusive.")),
};

/** The forms an export comes in, and their media types. */
export const exportTypes = {
  ndjson: "application/x-ndjson",
  csv: "text/csv",
} as const;
export const ExportFormat = Schema.Literals(["ndjson", "csv"]);
export type ExportFormat = typeof ExportFormat.Type;

/** The path of one order; any text may be asked for. */
const OrderPath = {
  order_id: Schema.String.annotate({ description: "As it was placed." }),
};

const ETag = Schema.String.annotate({
  description: "Names this state of the order.",
});

const Replayed = Schema.Literal("true").annotate({
  description: "This very order had been placed before.",
});

/** In a URL a size is text; clients made from the document want a number. */
const sizedPages = (size: number) => (operation: Record<string, unknown>) => ({
  ...operation,
  parameters: (operation.parameters as ReadonlyArray<{ name: string }>).map(
    (parameter) =>
      parameter.name === "limit"
        ? {
            ...parameter,
            description: "At most so many.",
            schema: {
              type: "integer",
              minimum: 1,
              maximum: pageSizeMax,
              default: size,
            },
          }
        : parameter,
  ),
});

const whichMany =
  "Which ones, the query or the body says: by a filter, or all of them with `all=true`. The body may be left out, and comes first. A dry run only counts. Both read a bounded part of the orders: `more` and `capped` tell where they stopped.";

const ofManyOrders = (operation: Record<string, unknown>) => ({
  ...sizedPages(manyDefault)(operation),
  requestBody: {
    ...(operation.requestBody as object),
    required: false,
  },
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
      error: [
        OrderConflict,
        OrderArchived,
        OrderNotStorable,
        BodyTooLarge,
        NotJson,
        Unavailable,
      ],
    })
      .annotate(NeededScope, "orders:place")
      .annotateMerge(
        OpenApi.annotations({
          summary: "Place an order",
          description:
            "201: it is in the database and will be worked on. Placing the same order again is safe: 200 and the stored order; the same order_id with other content, or of an order that was archived: 409.",
        }),
      ),
    placeManyEndpoint,
    HttpApiEndpoint.get("list", "/api/orders/", {
      query: {
        format: Schema.optional(
          Schema.Literal("json").annotate({
            message: "must be json, given once; /api/orders/export/ has others",
            description: "Changes nothing: a list is always JSON.",
          }),
        ),
        limit: Schema.optional(PageSize),
        cursor: Schema.optional(
          Once.annotate({ description: "From the `Link` of a page." }).pipe(
            Schema.decodeTo(PageCursor),
          ),
        ),
        ...orderFilter,
      },
      success: HttpApiSchema.WithHeaders(Schema.Array(Order), {
        link: Schema.optional(
          Schema.String.annotate({
            description: 'The next page, as `<...>; rel="next"` (RFC 8288).',
          }),
        ),
      }),
      error: Unavailable,
    })
      // Every fault of the query is told at once.
      .annotate(HttpApi.QueryParseOptions, { errors: "all" })
      .annotateMerge(
        OpenApi.annotations({
          summary: "List orders, newest first",
          description:
            "A page ends before its `limit` once its items take a mebibyte: follow `Link` for as long as there is one.",
          transform: sizedPages(pageSizeDefault),
        }),
      ),
    HttpApiEndpoint.get("export", "/api/orders/export/", {
      query: {
        format: Schema.optional(
          ExportFormat.annotate({
            message: "must be ndjson or csv, given once",
            description: "Left out: by `Accept`, or else ndjson.",
          }),
        ),
        ...orderFilter,
      },
      success: HttpApiSchema.StreamUint8Array({
        contentType: Object.values(exportTypes),
      }),
      error: Unavailable,
    })
      .annotate(HttpApi.QueryParseOptions, { errors: "all" })
      .annotateMerge(
        OpenApi.annotations({
          summary: "Export orders, newest first",
          description:
            'All that pass the filter, each once, as it was when it was read. NDJSON: an order a line, then `{"exported":N}`. CSV: a header, a row an order, then a row that begins `# exported,N` and has no status. Where that end is missing, the export was cut: begin it again.',
        }),
      ),
    HttpApiEndpoint.get("metrics", "/api/orders/metrics/", {
      success: OrderMetrics,
      error: Unavailable,
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Count orders",
        description:
          "Counts are kept as orders move, so that asking costs the same however many there are.",
      }),
    ),
    HttpApiEndpoint.get("metricsHistory", "/api/orders/metrics/history/", {
      query: {
        since: Schema.optional(
          time(
            `At most ${historySeconds / 86_400} days ago; an hour ago if left out.`,
          ),
        ),
        step: Schema.optional(wholeNumber(1, stepSecondsMax)),
      },
      success: MetricsHistory,
      error: Unavailable,
    })
      .annotate(HttpApi.QueryParseOptions, { errors: "all" })
      .annotateMerge(
        OpenApi.annotations({
          summary: "How counts and rates became what they are",
          description: `For charts. Orders are counted every ${sampleSeconds} seconds; what is older than a day, every ${coarseSampleSeconds}. The step is made longer where it is shorter than that, or there would be more than ${pointsMax} samples: the answer says which it is.`,
          transform: wholeStep,
        }),
      ),
    HttpApiEndpoint.post("retryMany", "/api/orders/retry/", {
      query: {
        ...chosenInQuery,
        error: Schema.optional(errorText(Once)),
      },
      payload: RetryOrders,
      success: RetriedOrders,
      error: [BodyTooLarge, NotJson, Unavailable],
    })
      .annotate(HttpApi.QueryParseOptions, { errors: "all" })
      .annotate(NeededScope, "orders:operate")
      .annotateMerge(
        OpenApi.annotations({
          summary: "Retry many dead letters",
          description: `FAILED orders become PENDING with all their attempts, the oldest first. ${whichMany}`,
          transform: ofManyOrders,
        }),
      ),
    HttpApiEndpoint.post("cancelMany", "/api/orders/cancel/", {
      query: chosenInQuery,
      payload: CancelOrders,
      success: CancelledOrders,
      error: [BodyTooLarge, NotJson, Unavailable],
    })
      .annotate(HttpApi.QueryParseOptions, { errors: "all" })
      .annotate(NeededScope, "orders:operate")
      .annotateMerge(
        OpenApi.annotations({
          summary: "Cancel many orders",
          description: `PENDING orders become CANCELLED, the oldest first. ${whichMany}`,
          transform: ofManyOrders,
        }),
      ),
    HttpApiEndpoint.get("find", "/api/orders/:order_id/", {
      params: OrderPath,
      headers: {
        "if-none-match": Schema.optional(
          Schema.String.annotate({ description: "The `ETag` of an answer." }),
        ),
      },
      success: [
        HttpApiSchema.WithHeaders(Order, { etag: ETag }),
        HttpApiSchema.Empty(304).annotate({
          description: "The order is as `If-None-Match` says.",
        }),
      ],
      error: [OrderNotFound, Unavailable],
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Find an order",
        description:
          "With the `ETag` that you have in `If-None-Match`: 304 while the order is still the same.",
      }),
    ),
    HttpApiEndpoint.get("history", "/api/orders/:order_id/history/", {
      params: OrderPath,
      success: Schema.Array(HistoryEntry),
      error: [OrderNotFound, Unavailable],
    }).annotateMerge(
      OpenApi.annotations({
        summary: "What became of an order",
        description:
          "Oldest first: its placing, each attempt, and what somebody did. Kept as long as the order; of very many attempts, the latest 1000.",
      }),
    ),
    HttpApiEndpoint.post("cancel", "/api/orders/:order_id/cancel/", {
      params: OrderPath,
      success: Order,
      error: [OrderNotFound, OrderNotInStatus, Unavailable],
    })
      .annotate(NeededScope, "orders:operate")
      .annotateMerge(
        OpenApi.annotations({
          summary: "Cancel an order",
          description: "Only while it is PENDING; otherwise 409.",
        }),
      ),
    HttpApiEndpoint.post("retry", "/api/orders/:order_id/retry/", {
      params: OrderPath,
      success: Order,
      error: [OrderNotFound, OrderNotInStatus, Unavailable],
    })
      .annotate(NeededScope, "orders:operate")
      .annotateMerge(
        OpenApi.annotations({
          summary: "Retry a dead letter",
          description:
            "A FAILED order becomes PENDING with all its attempts; otherwise 409.",
        }),
      ),
  )
  .middleware(HttpApiMiddleware.ProblemDetails)
  .middleware(KeyAccess)
  .annotate(NeededScope, "orders:read")
  .annotateMerge(
    OpenApi.annotations({
      title: "Orders",
      description:
        "Place orders, follow them, and act where one has to be cancelled or tried again.",
    }),
  ) {}
