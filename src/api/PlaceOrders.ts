/** Placing many orders by one request: what is sent, and what comes back. */
import { Schema } from "effect";
import { HttpApiError, HttpApiSchema } from "effect/http-api";
import { Order } from "../domain/Order.ts";
import { PlaceOrder } from "./PlaceOrder.ts";

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
