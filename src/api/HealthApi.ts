/** Whether the process lives, and whether it should get traffic. */
import { Schema } from "effect";
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api";
import { NeededScope } from "./Access.ts";
import { NotReady } from "./Problems.ts";

export const Live = Schema.Struct({ status: Schema.Literal("live") });

export const Ready = Schema.Struct({
  status: Schema.Literal("ready"),
  partitions: Schema.Array(Schema.Int).annotate({
    description: "The partitions whose orders this instance works on.",
  }),
  upkeep: Schema.Array(Schema.String).annotate({
    description:
      "Work in the background that has not succeeded here for long (days of events, archive, samples, row count), in words. It does not make the instance unready.",
  }),
});

export class HealthApi extends HttpApiGroup.make("health")
  .add(
    HttpApiEndpoint.get("live", "/health/live", {
      success: Live,
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Whether the process lives",
        description: "200 for as long as it answers at all.",
      }),
    ),
    HttpApiEndpoint.get("ready", "/health/ready", {
      success: Ready,
      error: NotReady,
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Whether it should get traffic",
        description:
          "503 with the reason while the database is away or its disk is full, migrations are missing, or processing has stopped. Upkeep that fails is named, with 200.",
      }),
    ),
  )
  .annotate(NeededScope, "anybody")
  .annotateMerge(
    OpenApi.annotations({
      title: "Health",
      description:
        "For whoever runs the service: its orchestrator, its load balancer.",
    }),
  ) {}
