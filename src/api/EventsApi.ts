/** What happened to orders, for whoever must know. */
import { Schema } from "effect";
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  OpenApi,
} from "effect/http-api";
import { placeIn } from "../domain/EventId.ts";
import { KeyAccess, NeededScope } from "./Access.ts";
import { CloudEvent, EventType, StreamedEvent } from "./CloudEvent.ts";
import { Once, optionalUserId, wholeNumber } from "./Parameters.ts";
import { EventsGoneProblem, EventsOff, Unavailable } from "./Problems.ts";

export const eventsDefault = 100;
export const eventsMax = 1000;
export const waitSecondsMax = 30;

const isAfter = Schema.makeFilter<string>(
  (after) =>
    after === "latest" || placeIn(after) !== undefined
      ? undefined
      : 'must be the id of an event of such a service, or "latest": take it from an event, or from the Link of a page',
  { toJsonSchema: () => ({}) },
);

const After = Once.annotate({
  description:
    "The `id` of an event: only those after it. `latest`: from now on. Left out: from the oldest that is kept.",
}).check(isAfter);

const types = Schema.optional(
  Schema.Array(
    EventType.annotate({
      message: `must be one of ${EventType.literals.join(", ")}; for several, repeat the parameter`,
    }),
  ).annotate({ description: "Only these types; repeat it for several." }),
);

/** The media type of CloudEvents in one JSON array. */
export const cloudEventsBatch = "application/cloudevents-batch+json";

/** What these parameters are, beside their schemas: text in a query. */
const described =
  (as: Readonly<Record<string, object>>) =>
  (operation: Record<string, unknown>) => ({
    ...operation,
    parameters: (operation.parameters as ReadonlyArray<{ name: string }>).map(
      (parameter) => ({ ...parameter, ...as[parameter.name] }),
    ),
  });

export class EventsApi extends HttpApiGroup.make("events")
  .add(
    HttpApiEndpoint.get("list", "/api/events/", {
      query: {
        after: Schema.optional(After),
        limit: Schema.optional(wholeNumber(1, eventsMax)),
        type: types,
        user_id: optionalUserId("Only of this user's orders."),
        wait: Schema.optional(wholeNumber(0, waitSecondsMax)),
      },
      success: HttpApiSchema.WithHeaders(
        Schema.Array(CloudEvent).pipe(
          HttpApiSchema.asJson({ contentType: cloudEventsBatch }),
        ),
        {
          link: Schema.String.annotate({
            description:
              'Always: where to read on, as `<...>; rel="next"` (RFC 8288).',
          }),
        },
      ),
      error: [EventsOff, EventsGoneProblem, Unavailable],
    })
      .annotate(HttpApi.QueryParseOptions, { errors: "all" })
      .annotateMerge(
        OpenApi.annotations({
          summary: "Read what happened, oldest first",
          description:
            "Follow `Link` for ever: no event is passed over, each has its own `id`, and those of one order come in their order. A filter that lets little pass may give an empty page with a `Link` to go on. 410: what came after `after` is not there any more, or it is of another database.",
          transform: described({
            limit: {
              description: "At most so many.",
              schema: {
                type: "integer",
                minimum: 1,
                maximum: eventsMax,
                default: eventsDefault,
              },
            },
            wait: {
              description:
                "Seconds to wait for an event, if there is none yet (long poll).",
              schema: {
                type: "integer",
                minimum: 0,
                maximum: waitSecondsMax,
                default: 0,
              },
            },
          }),
        }),
      ),
    HttpApiEndpoint.get("stream", "/api/events/stream/", {
      query: {
        after: Schema.optional(After),
        type: types,
        user_id: optionalUserId("Only of this user's orders."),
      },
      headers: {
        "last-event-id": Schema.optional(
          Schema.String.annotate({
            description: "As `after`, and comes first; browsers send it.",
          }).check(isAfter),
        ),
      },
      success: HttpApiSchema.StreamSse({ events: StreamedEvent }),
      error: [EventsOff, Unavailable],
    })
      .annotate(HttpApi.QueryParseOptions, { errors: "all" })
      .annotateMerge(
        OpenApi.annotations({
          summary: "Hear what happens, as it happens",
          description:
            "Server-sent events. A reader who comes back with `Last-Event-ID` misses nothing; one who reads too slowly is cut off, and comes back so. An `after` that is not there any more is told by a `gap`.",
        }),
      ),
  )
  .middleware(HttpApiMiddleware.ProblemDetails)
  .middleware(KeyAccess)
  .annotate(NeededScope, "orders:read")
  .annotateMerge(
    OpenApi.annotations({
      title: "Events",
      description: "What happened to orders, for whoever must know.",
    }),
  ) {}
