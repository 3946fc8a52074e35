/** Pages of events, for those who come and ask; they may wait for the next. */
import { Clock, Context, Deferred, Duration, Effect, Layer } from "effect";
import {
  type EventFilter,
  type EventPlace,
  type OrderEvent,
  passes,
} from "../domain/OrderEvent.ts";
import { EventLog, type EventsGone } from "../persistence/EventLog.ts";
import type { RepositoryUnavailable } from "../persistence/OrderRepository.ts";
import { EventFollower } from "./EventFollower.ts";
import { type EventsAreOff, Places } from "./Places.ts";

export interface FeedQuery extends EventFilter {
  /** The id of an event, or `latest`; left out: from the oldest on. */
  readonly after?: string | undefined;
  /** At most this many, at least 1. */
  readonly limit: number;
  /** How long to wait for an event, if there is none. */
  readonly wait: Duration.Duration;
}

export interface EventPage {
  readonly events: ReadonlyArray<OrderEvent>;
  /** Where the next page begins. */
  readonly endId: string;
}

/** Events looked at for a page, at most: a filter may let none of them pass. */
const lookedAtMax = 5_000;

/** Events read at once where a filter lets only some pass. */
const filteredRead = 1_000;

export class EventFeed extends Context.Service<
  EventFeed,
  {
    page(
      query: FeedQuery,
    ): Effect.Effect<
      EventPage,
      EventsAreOff | EventsGone | RepositoryUnavailable
    >;
    /** From now on nobody is kept waiting: the instance is about to stop. */
    readonly stopWaiting: Effect.Effect<void>;
  }
>()("events/EventFeed") {
  static readonly layer = Layer.effect(
    EventFeed,
    Effect.gen(function* () {
      const log = yield* EventLog;
      const places = yield* Places;
      const follower = yield* EventFollower;
      const stopping = yield* Deferred.make<void>();

      /** What is there now, after a place. */
      const look = Effect.fnUntraced(function* (
        from: EventPlace,
        { limit, ...filter }: FeedQuery,
      ) {
        const isFiltered =
          (filter.type ?? []).length > 0 || filter.user_id !== undefined;
        const found: Array<OrderEvent> = [];
        let lookedAt = 0;
        let place = from;
        while (true) {
          const read = yield* log.read(
            place,
            isFiltered ? filteredRead : limit,
          );
          for (const event of read.events) {
            if (!passes(filter)(event)) continue;
            found.push(event);
            if (found.length === limit) {
              return { found, end: event.place, endId: event.id, isEnd: false };
            }
          }
          lookedAt += read.events.length;
          place = read.end;
          if (read.isEnd || lookedAt >= lookedAtMax) {
            const { end, endId, isEnd } = read;
            return { found, end, endId, isEnd };
          }
        }
      });

      /** Until there may be more, or the time is over. */
      const untilMore = Effect.fnUntraced(function* (
        place: EventPlace,
        filter: EventFilter,
      ) {
        yield* follower.follow;
        let at = place;
        while (true) {
          const read = yield* follower.read(at, filteredRead);
          if (read.events.some(passes(filter))) return;
          at = read.end;
          if (read.isEnd) yield* follower.untilAfter(at);
        }
      });

      return EventFeed.of({
        page: Effect.fn("EventFeed.page")(function* (query) {
          const now = yield* Clock.currentTimeMillis;
          const until = now + Duration.toMillis(query.wait);
          const place = yield* places.of(query.after);
          let page = yield* look(place, query);
          while (page.found.length === 0 && page.isEnd) {
            const left = until - (yield* Clock.currentTimeMillis);
            if (left <= 0 || Deferred.isDoneUnsafe(stopping)) break;
            yield* untilMore(page.end, query).pipe(
              Effect.raceFirst(Deferred.await(stopping)),
              Effect.timeoutOption(left),
              Effect.scoped,
            );
            page = yield* look(page.end, query);
          }
          return { events: page.found, endId: page.endId };
        }),
        stopWaiting: Effect.asVoid(Deferred.succeed(stopping, undefined)),
      });
    }),
  );
}
