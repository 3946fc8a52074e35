/** Placing many orders by one request: what is sent, and what comes back. */
import { Schema } from "effect";
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiError,
  HttpApiSchema,
  OpenApi,
} from "effect/http-api";
import { Order } from "../domain/Order.ts";
import { OrderNotStorable, OrdersConflict } from "../domain/OrderRefusals.ts";
import { NeededScope } from "./Access.ts";
import { PlaceOrder } from "./PlaceOrder.ts";
import { BodyTooLarge, NotJson, Unavailable } from "./Problems.ts";

/** The most orders of a batch. */
export const batchSizeMax = 500;

export const ndjson = "application/x-ndjson";

/** The body as JSON. */
export const PlaceOrders = Schema.Array(PlaceOrder)
  .check(Schema.isMinLength(1), Schema.isMaxLength(batchSizeMax))
  .annotate({
    identifier: "PlaceOrders",
    description: `1..${batchSizeMax} orders, as they are placed one by one.`,
  });

/** The body as lines. */
export const OrderLines = Schema.String.annotate({
  identifier: "OrderLines",
  description: `The JSON of an order on each line, as it is placed alone; 1..${batchSizeMax} lines, besides blank ones. The lines are placed as they come.`,
}).pipe(HttpApiSchema.asText({ contentType: ndjson }));

/** Why one of the orders was not placed: what placing it alone is answered. */
export const EntryProblem = Schema.Struct({
  type: Schema.optionalKey(Schema.String),
  title: Schema.String,
  status: Schema.Int,
  detail: Schema.optionalKey(Schema.String),
  errors: Schema.optionalKey(Schema.Array(HttpApiError.ProblemIssue)),
  order_id: Schema.optionalKey(Schema.String),
  retry_after_seconds: Schema.optionalKey(Schema.Int),
}).annotate({ identifier: "EntryProblem" });

/** What came of one of the orders. */
export const BatchEntry = Schema.Struct({
  order_id: Schema.NullOr(Schema.String).annotate({
    description: "As it was given; null where that could not be read.",
  }),
  status: Schema.Int.annotate({
    description:
      "As if it had been placed alone: 201, 200, 400, 409, 413; 503 where it was not placed, or may not have been: place it again.",
  }),
  order: Schema.optionalKey(Order).annotateKey({
    description:
      "Of 201 and 200; not with `Prefer: return=minimal`, nor after 2 MiB of entries.",
  }),
  problem: Schema.optionalKey(EntryProblem).annotateKey({
    description: "Of all other statuses.",
  }),
}).annotate({ identifier: "BatchEntry" });
export interface BatchEntry extends Schema.Schema.Type<typeof BatchEntry> {}

/** The answer, in the order of the request. */
export const BatchEntries = Schema.Array(BatchEntry);

const atomic = Schema.Literals(["true", "false"]).annotate({
  message: 'must be "true" or "false", given once',
  description:
    "`true`: all are placed or none. One bad order is then a 400, one id that is taken by other content a 409, for the whole batch; `errors` names each by its place.",
});

const prefer = Schema.String.annotate({
  description:
    "`return=minimal` leaves the orders out of the entries (RFC 7240).",
});

/** What the answer may be besides a JSON array. */
const entriesAsLines = (operation: Record<string, unknown>) => {
  const responses = operation.responses as Record<
    string,
    { readonly content: Record<string, object> }
  >;
  const answered = responses[200];
  return answered === undefined
    ? operation
    : {
        ...operation,
        responses: {
          ...responses,
          200: {
            ...answered,
            content: {
              ...answered.content,
              // One on each line, as an event stream has one in each frame.
              [ndjson]: { schema: { $ref: "#/components/schemas/BatchEntry" } },
            },
          },
        },
      };
};

export const placeManyEndpoint = HttpApiEndpoint.post(
  "placeMany",
  "/api/orders/batch/",
  {
    query: { atomic: Schema.optional(atomic) },
    headers: { prefer: Schema.optional(prefer) },
    payload: [PlaceOrders, OrderLines],
    success: HttpApiSchema.WithHeaders(BatchEntries, {
      "preference-applied": Schema.optional(
        Schema.Literal("return=minimal").annotate({
          description: "The entries are without their orders.",
        }),
      ),
    }),
    error: [
      OrdersConflict,
      OrderNotStorable,
      BodyTooLarge,
      NotJson,
      Unavailable,
    ],
  },
)
  .annotate(HttpApi.QueryParseOptions, { errors: "all" })
  .annotate(NeededScope, "orders:place")
  .annotateMerge(
    OpenApi.annotations({
      summary: "Place many orders",
      description:
        "Up to 500 orders, each on its own: 200, with an entry for each in the order given, also where some are refused; a 201 or 200 in an entry means the same as that of placing the order alone. Sending the same batch again is safe. A JSON array, or an atomic batch, has at most `MAX_BODY_SIZE` bytes (1 MiB), and so has each line of `application/x-ndjson`. Entries come as a JSON array, or as lines with `Accept: application/x-ndjson`.",
      transform: entriesAsLines,
    }),
  );
