/** Where somebody wants to read on in the log of events, as they may say it. */
import { Context, Effect, Layer, Schema } from "effect";
import type { EventPlace } from "../domain/OrderEvent.ts";
import { EventLog, type EventsGone } from "../persistence/EventLog.ts";
import type { RepositoryUnavailable } from "../persistence/OrderRepository.ts";

/** There are no events: `EVENTS` is off. */
export class EventsAreOff extends Schema.TaggedError<EventsAreOff>()(
  "EventsAreOff",
  {},
) {}

export class Places extends Context.Service<
  Places,
  {
    /**
     * After an event, or `latest`: from now on; left out, from the oldest that
     * is kept.
     */
    of(
      after: string | undefined,
    ): Effect.Effect<
      EventPlace,
      EventsAreOff | EventsGone | RepositoryUnavailable
    >;
  }
>()("events/Places") {
  static readonly layer = Layer.effect(
    Places,
    Effect.map(EventLog, (log) =>
      Places.of({
        of: Effect.fnUntraced(function* (after) {
          if (!log.isOn) return yield* new EventsAreOff();
          if (after === undefined) return yield* log.oldest;
          if (after === "latest") return yield* log.latest;
          return yield* log.place(after);
        }),
      }),
    ),
  );
}
