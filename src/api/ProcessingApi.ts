/** Whether orders are worked on, by whom; pausing and resuming it. */
import { Schema } from "effect";
import {
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  OpenApi,
} from "effect/http-api";
import { Time } from "../domain/Order.ts";
import {
  CircuitState,
  changesShown,
  ProcessingState,
  reportSeconds,
} from "../domain/Processing.ts";
import { KeyAccess, NeededScope } from "./Access.ts";
import { Unavailable } from "./Problems.ts";

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0));

const Rate = Schema.NullOr(
  Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
);

/** Orders a second. */
export const rateFields = {
  placed_per_second: Rate.annotate({
    description: "Orders taken in; null where nobody counted.",
  }),
  completed_per_second: Rate.annotate({
    description: "Orders COMPLETED; null where nobody counted.",
  }),
  failed_per_second: Rate.annotate({
    description: "Orders that became dead letters; null where nobody counted.",
  }),
};

/** What `GET /api/processing/` tells. */
export const Processing = Schema.Struct({
  state: ProcessingState.annotate({
    description: "PAUSED: orders are taken in, and none begins.",
  }),
  paused_at: Schema.NullOr(Time).annotate({
    description: "Null while RUNNING.",
  }),
  paused_by: Schema.NullOr(Schema.String).annotate({
    description: "The name of the key; null where access is open.",
  }),
  instances: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      version: Schema.String,
      started_at: Time,
      state: ProcessingState.annotate({
        description: "What is in force there; within 2 s what was asked for.",
      }),
      partitions: Schema.Array(Schema.Int).annotate({
        description: "Those whose orders it works on, of 0 to 31.",
      }),
      in_work: Count.annotate({ description: "Orders it works on now." }),
      mailbox_depth: Count.annotate({
        description: "Orders it has in memory that have not begun.",
      }),
      upkeep: Schema.Array(Schema.String).annotate({
        description:
          "Work in the background that has not succeeded there for long (days of events, archive, samples, row count), in words. Usually empty.",
      }),
    }),
  ).annotate({
    description: `By name; those that have said so within ${reportSeconds} seconds.`,
  }),
  receiver: Schema.NullOr(
    Schema.Struct({
      circuit: CircuitState.annotate({
        description:
          "Of all instances the worst: OPEN where the receiver is away and is left alone, HALF_OPEN while one call tries whether it is back.",
      }),
      since: Time,
      last_error: Schema.NullOr(Schema.String).annotate({
        description: "Of the last call that failed, in fixed words.",
      }),
      last_error_at: Schema.NullOr(Time),
    }),
  ).annotate({ description: "Null where there is no FULFILLMENT_URL." }),
  rates: Schema.Struct(rateFields).annotate({
    description: "Of the last minute.",
  }),
  changes: Schema.Array(
    Schema.Struct({
      state: ProcessingState,
      at: Time,
      actor: Schema.NullOr(Schema.String).annotate({
        description: "The name of the key, where that is known.",
      }),
    }),
  ).annotate({
    description: `The last ${changesShown} times somebody paused or resumed it, newest first.`,
  }),
}).annotate({ identifier: "Processing" });
export interface Processing extends Schema.Schema.Type<typeof Processing> {}

export class ProcessingApi extends HttpApiGroup.make("processing")
  .add(
    HttpApiEndpoint.get("get", "/api/processing/", {
      success: Processing,
      error: Unavailable,
    }).annotateMerge(
      OpenApi.annotations({
        summary: "How processing is doing",
        description:
          "Whether orders are worked on, by which instances, and how fast. What instances say of themselves is up to two seconds old.",
      }),
    ),
    HttpApiEndpoint.post("pause", "/api/processing/pause/", {
      success: Processing,
      error: Unavailable,
    })
      .annotate(NeededScope, "orders:operate")
      .annotateMerge(
        OpenApi.annotations({
          summary: "Pause processing",
          description:
            "No attempt begins any more, on any instance within 2 s, until it is resumed; a restart changes nothing of that. Attempts under way are finished, and orders are still taken in. Pausing what is paused changes nothing.",
        }),
      ),
    HttpApiEndpoint.post("resume", "/api/processing/resume/", {
      success: Processing,
      error: Unavailable,
    })
      .annotate(NeededScope, "orders:operate")
      .annotateMerge(
        OpenApi.annotations({
          summary: "Resume processing",
          description:
            "Orders begin again, on every instance within 2 s, the oldest first. Resuming what is running changes nothing.",
        }),
      ),
  )
  .middleware(HttpApiMiddleware.ProblemDetails)
  .middleware(KeyAccess)
  .annotate(NeededScope, "orders:read")
  .annotateMerge(
    OpenApi.annotations({
      title: "Processing",
      description: "Whether orders are worked on, by whom, and how fast.",
    }),
  ) {}
