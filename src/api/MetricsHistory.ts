/** What the history of metrics tells, and how its step is asked for. */
import { Schema } from "effect";
import { Time } from "../domain/Order.ts";
import { OrderStatus } from "../domain/OrderStatus.ts";
import { rateFields } from "./ProcessingApi.ts";

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0));
const Seconds = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0));

/** The longest step of a history: a day. */
export const stepSecondsMax = 86_400;

/** What `GET /api/orders/metrics/history/` tells. */
export const MetricsHistory = Schema.Struct({
  since: Time,
  step_seconds: Count.annotate({
    description: "The step in force: as asked for, or longer.",
  }),
  samples: Schema.Array(
    Schema.Struct({
      time: Time.annotate({ description: "When it was counted." }),
      status_counts: Schema.Record(OrderStatus, Count),
      oldest_pending_age_seconds: Schema.NullOr(Seconds),
      ...rateFields,
      waiting_seconds: Schema.NullOr(Seconds).annotate({
        description:
          "From placing to the first attempt: the average of orders begun in this step; null without one.",
      }),
      completion_seconds: Schema.NullOr(Seconds).annotate({
        description:
          "From placing to COMPLETED: the average of orders completed in this step; null without one.",
      }),
    }),
  ).annotate({
    description:
      "Oldest first. A step in which no instance counted is left out, and the rates of the next are null.",
  }),
}).annotate({ identifier: "MetricsHistory" });
export interface MetricsHistory
  extends Schema.Schema.Type<typeof MetricsHistory> {}

/** In a URL a step is text; clients made from the document want a number. */
export const wholeStep = (operation: Record<string, unknown>) => ({
  ...operation,
  parameters: (operation.parameters as ReadonlyArray<{ name: string }>).map(
    (parameter) =>
      parameter.name === "step"
        ? {
            ...parameter,
            description: "Seconds between two samples, at least.",
            schema: { type: "integer", minimum: 1, maximum: stepSecondsMax },
          }
        : parameter,
  ),
});
