/**
 * Streams of events, to be listened to for as long as one likes. Each listener
 * takes what is next at its own pace: what was read lately from the memory that
 * all share (`EventFollower`), and what is further back from the table. One that
 * falls out of what is held is cut off, and comes back by the id of the last
 * event it got.
 */
import {
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Layer,
  Metric,
  Schema,
  Stream,
} from "effect";
import {
  type EventFilter,
  type EventPlace,
  type OrderEvent,
  passes,
} from "../domain/OrderEvent.ts";
import { EventLog } from "../persistence/EventLog.ts";
import type { RepositoryUnavailable } from "../persistence/OrderRepository.ts";
import { EventFollower } from "./EventFollower.ts";
import { type EventsAreOff, Places } from "./Places.ts";

/** What a listener gets. */
export type Heard =
  /**
   * The first of all: whoever is cut off before anything happens comes back to
   * here, and not to what is latest by then. None where there is a gap.
   */
  | { readonly _tag: "Start"; readonly id: string | undefined }
  | { readonly _tag: "Event"; readonly event: OrderEvent }
  /** Nothing has happened, up to here. */
  | { readonly _tag: "Ping"; readonly id: string | undefined }
  /** What was asked for is not there any more; it goes on from here. */
  | { readonly _tag: "Gap"; readonly id: string };

/** There are as many listeners as there may be. */
export class TooManyListeners extends Schema.TaggedError<TooManyListeners>()(
  "TooManyListeners",
  {},
) {}

/** Listeners of one instance at once. */
export const listenersMax = 2_000;

/** Events that a listener is given at once: more are not in its buffer. */
const takenMax = 64;

/** How often a listener to whom nothing happens gets a sign of life. */
export const pingInterval = Duration.seconds(15);

/** While the database is away. */
const retryInterval = Duration.seconds(1);

const listenersGauge = Metric.gauge("event_listeners", {
  description: "Streams of events open on this process.",
});
const cutOff = Metric.counter("event_listeners_cut_off_total", {
  description: "Listeners that read too slowly.",
  incremental: true,
});

export interface ListenOptions extends EventFilter {
  /** The id of an event, or `latest`; left out: from the oldest on. */
  readonly after?: string | undefined;
}

export class EventStreams extends Context.Service<
  EventStreams,
  {
    listen(
      options: ListenOptions,
    ): Effect.Effect<
      Stream.Stream<ReadonlyArray<Heard>>,
      EventsAreOff | RepositoryUnavailable | TooManyListeners
    >;
    /** Ends all streams, and those that begin after it at once. */
    readonly end: Effect.Effect<void>;
  }
>()("events/EventStreams") {
  static readonly layer = Layer.effect(
    EventStreams,
    Effect.gen(function* () {
      const log = yield* EventLog;
      const places = yield* Places;
      const follower = yield* EventFollower;
      const ended = yield* Deferred.make<void>();
      const context = yield* Effect.context<never>();
      let listeners = 0;

      const count = (change: number) => {
        listeners += change;
        listenersGauge.updateUnsafe(listeners, context);
      };

      /** Gives what is next, each time it is asked; nothing more when cut off. */
      const listener = Effect.fnUntraced(function* (
        from: EventPlace | undefined,
        filter: EventFilter,
      ) {
        let place = from;
        // From the table at first: the id may be of another database.
        let isFirst = true;
        let wasHeld = false;
        const nextPing = Effect.map(
          Clock.currentTimeMillis,
          (now) => now + Duration.toMillis(pingInterval),
        );
        let pingAt = yield* nextPing;

        const fromOldest = Effect.gen(function* () {
          place = yield* log.oldest;
          isFirst = true;
          wasHeld = false;
          const gap: Heard = { _tag: "Gap", id: yield* log.idOf(place) };
          return [gap];
        });

        const take = Effect.gen(function* () {
          if (place === undefined) return yield* fromOldest;
          const read = isFirst
            ? { ...(yield* log.read(place, takenMax)), isHeld: false }
            : yield* follower.read(place, takenMax);
          if (wasHeld && !read.isHeld) {
            cutOff.updateUnsafe(1, context);
            return undefined;
          }
          isFirst = false;
          wasHeld = read.isHeld;
          place = read.end;
          const heard = read.events
            .filter(passes(filter))
            .map((event): Heard => ({ _tag: "Event", event }));
          const left = pingAt - (yield* Clock.currentTimeMillis);
          if (left <= 0) {
            pingAt = yield* nextPing;
            heard.push({ _tag: "Ping", id: read.endId });
          } else if (heard.length === 0 && read.isEnd) {
            yield* Effect.timeoutOption(follower.untilAfter(place), left);
          }
          return heard;
        });

        return Effect.catchTags(take, {
          EventsGone: () =>
            Effect.sync((): ReadonlyArray<Heard> => {
              place = undefined;
              return [];
            }),
          RepositoryUnavailable: () =>
            Effect.as(Effect.sleep(retryInterval), []),
        });
      });

      return EventStreams.of({
        listen: Effect.fnUntraced(function* ({ after, ...filter }) {
          if (listeners >= listenersMax) {
            return yield* new TooManyListeners();
          }
          const from = yield* Effect.catchTag(
            places.of(after),
            "EventsGone",
            () => Effect.succeed(undefined),
          );
          const start: Heard = {
            _tag: "Start",
            id: from === undefined ? undefined : yield* log.idOf(from),
          };
          return Stream.unwrap(
            Effect.gen(function* () {
              yield* Effect.acquireRelease(
                Effect.sync(() => count(1)),
                () => Effect.sync(() => count(-1)),
              );
              yield* follower.follow;
              const next = yield* listener(from, filter);
              const heard = Stream.fromEffectRepeat(next).pipe(
                Stream.takeWhile((heard) => heard !== undefined),
                Stream.filter((heard) => heard.length > 0),
              );
              return Stream.succeed([start]).pipe(
                Stream.concat(heard),
                Stream.interruptWhen(Deferred.await(ended)),
              );
            }),
          );
        }),
        end: Effect.asVoid(Deferred.succeed(ended, undefined)),
      });
    }),
  );
}
