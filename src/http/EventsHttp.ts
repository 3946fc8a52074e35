/** The event endpoints: translates between HTTP and the room `events`. */
import { Duration, Effect, Stream } from "effect";
import { Sse } from "effect/encoding";
import { HttpServerResponse } from "effect/http";
import { HttpApiBuilder } from "effect/http-api";
import { Api } from "../api/Api.ts";
import { cloudEventOf } from "../api/CloudEvent.ts";
import { cloudEventsBatch, eventsDefault } from "../api/EventsApi.ts";
import {
  EventsGoneProblem,
  EventsOff,
  UnavailableProblem,
} from "../api/Problems.ts";
import { EventFeed } from "../events/EventFeed.ts";
import {
  EventStreams,
  type Heard,
  listenersMax,
} from "../events/EventStreams.ts";
import type { EventsGone } from "../persistence/EventLog.ts";
import { orUnavailable } from "./Admission.ts";

export const eventsOff = new EventsOff({
  detail: "EVENTS is off: set it to on, and events are written from then on.",
});

const gone = ({ reason }: EventsGone) =>
  new EventsGoneProblem({
    detail:
      reason === "too old"
        ? "What came after this event is no longer kept (EVENTS_RETENTION). Leave `after` out to read from the oldest that is, and read anew what you keep of orders."
        : "This event is of another database, or of this one before it was restored. Leave `after` out to read from the oldest event here, and read anew what you keep of orders.",
  });

const tooManyListeners = new UnavailableProblem({
  detail: `${listenersMax} streams are open here: ask again in 5 s, or another instance.`,
  retry_after_seconds: 5,
});

/** The same list, from an event on; relative, so that any host may serve it. */
const nextLink = (url: string, after: string): string => {
  const start = url.indexOf("?");
  const query = new URLSearchParams(start === -1 ? "" : url.slice(start));
  query.set("after", after);
  return `</api/events/?${query}>; rel="next"`;
};

const utf8 = new TextEncoder();

/** So soon a listener that was cut off comes back. */
const retry = "retry: 1000\n\n";

const sse = (event: string, id: string | undefined, data: unknown): string =>
  Sse.encoder.write({ _tag: "Event", event, id, data: JSON.stringify(data) });

const gapData = {
  detail:
    "What came before is not there any more. Read anew what you keep of orders.",
};

/** As it is sent; made once for all who get it. */
const frames = new WeakMap<object, string>();
const frameOf = (heard: Heard): string => {
  switch (heard._tag) {
    case "Start":
      // An id without data is kept by browsers, and is no event.
      return heard.id === undefined ? retry : `id: ${heard.id}\n${retry}`;
    case "Ping":
      return sse("ping", heard.id, {});
    case "Gap":
      return sse("gap", heard.id, gapData);
    case "Event": {
      const { event } = heard;
      const made = frames.get(event);
      if (made !== undefined) return made;
      const frame = sse(event.type, event.id, cloudEventOf(event));
      frames.set(event, frame);
      return frame;
    }
  }
};

export const layer = HttpApiBuilder.group(
  Api,
  "events",
  Effect.fnUntraced(function* (handlers) {
    const feed = yield* EventFeed;
    const streams = yield* EventStreams;

    return handlers
      .handle("list", ({ query, request }) =>
        feed
          .page({
            ...query,
            limit: query.limit ?? eventsDefault,
            wait: Duration.seconds(query.wait ?? 0),
          })
          .pipe(
            Effect.catchTags({
              EventsAreOff: () => Effect.fail(eventsOff),
              EventsGone: (error) => Effect.fail(gone(error)),
            }),
            orUnavailable,
            Effect.map(({ endId, events }) =>
              HttpServerResponse.text(
                JSON.stringify(events.map(cloudEventOf)),
                {
                  contentType: cloudEventsBatch,
                  headers: {
                    link: nextLink(request.url, endId),
                    "cache-control": "no-store",
                  },
                },
              ),
            ),
          ),
      )
      .handleRaw("stream", ({ headers, query }) =>
        streams
          .listen({
            ...query,
            after: headers["last-event-id"] ?? query.after,
          })
          .pipe(
            Effect.catchTags({
              EventsAreOff: () => Effect.fail(eventsOff),
              TooManyListeners: () => Effect.fail(tooManyListeners),
            }),
            orUnavailable,
            Effect.map((heard) =>
              HttpServerResponse.stream(
                Stream.map(heard, (some) =>
                  utf8.encode(some.map(frameOf).join("")),
                ),
                {
                  contentType: "text/event-stream",
                  headers: {
                    "cache-control": "no-store",
                    // Proxies would keep what is small until there is more.
                    "x-accel-buffering": "no",
                  },
                },
              ),
            ),
          ),
      );
  }),
);
