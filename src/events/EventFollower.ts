/**
 * One reader of the log of events for all who follow it here: however many
 * there are, the table is read once. What was read lately is held in memory,
 * within bounds; who is further back reads the table.
 *
 * It reads while somebody follows: soon after this process has written events,
 * ten times a second while events come, and once a second while none do.
 */
import {
  Context,
  Duration,
  Effect,
  Fiber,
  Latch,
  Layer,
  type Scope,
} from "effect";
import {
  type EventPlace,
  isBefore,
  type OrderEvent,
} from "../domain/OrderEvent.ts";
import {
  EventLog,
  type EventsGone,
  type EventsRead,
} from "../persistence/EventLog.ts";
import type { RepositoryUnavailable } from "../persistence/OrderRepository.ts";

/** Events held in memory, at most. */
export const heldMax = 10_000;

/** Events read at once. */
const readMax = 1000;

/** Between two reads at least; and at most, while events come, or none do. */
const gap = Duration.millis(25);
const busyInterval = Duration.millis(100);
const idleInterval = Duration.seconds(1);

/** So many reads without events, and it is idle. */
const busyReads = 50;

/** After a failed read. */
const retryInterval = Duration.seconds(1);

export interface FollowedRead extends Omit<EventsRead, "endId"> {
  /** Left out where nobody has come further. */
  readonly endId: string | undefined;
  /** Whether it came from memory. */
  readonly isHeld: boolean;
}

export class EventFollower extends Context.Service<
  EventFollower,
  {
    /** Has the log followed for as long as the scope lives. */
    readonly follow: Effect.Effect<void, never, Scope.Scope>;
    /** As `EventLog.read`, from memory where it is held. */
    read(
      after: EventPlace,
      limit: number,
    ): Effect.Effect<FollowedRead, EventsGone | RepositoryUnavailable>;
    /** Waits until there are events after a place, as far as is known here. */
    untilAfter(place: EventPlace): Effect.Effect<void>;
  }
>()("events/EventFollower") {
  static readonly layer = Layer.effect(
    EventFollower,
    Effect.gen(function* () {
      const log = yield* EventLog;
      const moved = Latch.makeUnsafe(false);
      const wanted = Latch.makeUnsafe(false);
      let followers = 0;
      /** All events after `start`, up to `end`. */
      let held: Array<OrderEvent> = [];
      let start: EventPlace | undefined;
      let end: EventsRead | undefined;

      const wake = () => {
        moved.openUnsafe();
        moved.closeUnsafe();
      };

      const forget = () => {
        held = [];
        start = undefined;
        end = undefined;
        wake();
      };

      /** What was read next. */
      const keep = (read: EventsRead) => {
        held.push(...read.events);
        end = read;
        // A good many at once, so that few are moved often.
        if (held.length > heldMax * 1.25) {
          const dropped = held.splice(0, held.length - heldMax);
          start = dropped.at(-1)?.place;
        }
        if (read.events.length > 0) wake();
      };

      /** The index of the first event after a place. */
      const indexAfter = (place: EventPlace) => {
        let low = 0;
        let high = held.length;
        while (low < high) {
          const middle = (low + high) >> 1;
          const one = held[middle] as OrderEvent;
          if (isBefore(place, one.place)) high = middle;
          else low = middle + 1;
        }
        return low;
      };

      /** What comes after a place that is further on will be read from here. */
      const isHeld = (place: EventPlace) =>
        start !== undefined && !isBefore(place, start);

      const readOn = Effect.gen(function* () {
        if (end === undefined) {
          const from = yield* log.latest;
          const read = yield* log.read(from, readMax);
          start = from;
          keep(read);
          wake();
          return read;
        }
        const read = yield* log.read(end.end, readMax);
        keep(read);
        return read;
      });

      let quietReads = 0;

      /** One read, and the wait for the next. */
      const turn = Effect.gen(function* () {
        // From before the read: what is written meanwhile is read soon, too.
        const written = yield* Effect.forkScoped(log.untilWritten, {
          startImmediately: true,
        });
        const read = yield* Effect.catchTags(readOn, {
          // Its place is not there any more: whoever follows is told so.
          EventsGone: () => Effect.sync(forget),
          RepositoryUnavailable: () => Effect.sleep(retryInterval),
        });
        quietReads =
          read !== undefined && read.events.length > 0 ? 0 : quietReads + 1;
        if (read !== undefined && !read.isEnd) return;
        yield* Effect.sleep(gap);
        yield* Effect.timeoutOption(
          Fiber.join(written),
          quietReads < busyReads ? busyInterval : idleInterval,
        );
      }).pipe(Effect.scoped);

      const follow = Effect.gen(function* () {
        quietReads = 0;
        while (followers > 0) yield* turn;
        // What is not followed grows old.
        forget();
      });

      yield* wanted.await.pipe(
        Effect.andThen(follow),
        Effect.catchDefect((defect) =>
          Effect.andThen(
            Effect.logError("events could not be followed", defect),
            Effect.andThen(Effect.sync(forget), Effect.sleep(retryInterval)),
          ),
        ),
        Effect.forever,
        Effect.forkScoped,
      );

      return EventFollower.of({
        follow: Effect.asVoid(
          Effect.acquireRelease(
            Effect.sync(() => {
              followers += 1;
              wanted.openUnsafe();
            }),
            () =>
              Effect.sync(() => {
                followers -= 1;
                if (followers === 0) wanted.closeUnsafe();
              }),
          ),
        ),
        read: (after, limit) =>
          Effect.suspend(
            (): Effect.Effect<
              FollowedRead,
              EventsGone | RepositoryUnavailable
            > => {
              if (!isHeld(after) || end === undefined) {
                return Effect.map(log.read(after, limit), (read) => ({
                  ...read,
                  isHeld: false,
                }));
              }
              const from = indexAfter(after);
              const events = held.slice(from, from + limit);
              const last = events.at(-1);
              if (last !== undefined) {
                const isEnd = from + events.length === held.length;
                const at = { end: last.place, endId: last.id };
                return Effect.succeed({ events, ...at, isEnd, isHeld: true });
              }
              // Not back to the end of what is held, where it is further on.
              const { endId } = end;
              return Effect.succeed(
                isBefore(end.end, after)
                  ? {
                      events,
                      end: after,
                      endId: undefined,
                      isEnd: true,
                      isHeld: true,
                    }
                  : { events, end: end.end, endId, isEnd: true, isHeld: true },
              );
            },
          ),
        untilAfter: (place) =>
          Effect.suspend(() => {
            if (!isHeld(place)) {
              return Effect.asVoid(
                Effect.timeoutOption(moved.await, idleInterval),
              );
            }
            return indexAfter(place) < held.length ? Effect.void : moved.await;
          }),
      });
    }),
  );
}
