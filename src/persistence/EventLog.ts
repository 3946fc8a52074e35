/**
 * What happened to orders, to be read in its order: the log of events. It is
 * written by the statements that change orders (`OrderRepository`), and only
 * read here.
 *
 * No event is passed over, whatever the order of commits: what is read is
 * settled, which means that nothing can yet appear before it.
 */
import { Context, type Duration, type Effect, Schema } from "effect";
import type { EventPlace, OrderEvent } from "../domain/OrderEvent.ts";
import type { RepositoryUnavailable } from "./OrderRepository.ts";

/** What comes after a place is not there any more, or never was here. */
export class EventsGone extends Schema.TaggedError<EventsGone>()("EventsGone", {
  reason: Schema.Literals(["too old", "another database"]),
}) {}

/** A stretch of the log. */
export interface EventsRead {
  /** Oldest first. */
  readonly events: ReadonlyArray<OrderEvent>;
  /** Where to read on. */
  readonly end: EventPlace;
  /** The same as an id. */
  readonly endId: string;
  /** There is no more to read for now. */
  readonly isEnd: boolean;
}

type Answer<A, E = never> = Effect.Effect<A, E | RepositoryUnavailable>;

export class EventLog extends Context.Service<
  EventLog,
  {
    /** Whether events are written here at all (`EVENTS`). */
    readonly isOn: boolean;
    /** Before the oldest that is kept. */
    readonly oldest: Answer<EventPlace>;
    /** After all that are settled now. */
    readonly latest: Answer<EventPlace>;
    /** Where the id of an event leads. */
    place(id: string): Answer<EventPlace, EventsGone>;
    idOf(place: EventPlace): Answer<string>;
    /** Reads on after a place: at most so many, and no more bytes than a page. */
    read(after: EventPlace, limit: number): Answer<EventsRead, EventsGone>;
    /** When the oldest event after a place was written, if there is one. */
    oldestAfter(after: EventPlace): Answer<number | undefined>;
    /**
     * For how long readers have been held up by a transaction that is still
     * open and may have written events; 0 while they are not.
     */
    readonly heldUpSeconds: Answer<number>;
    /** Makes room for days to come, and drops days that are older than that. */
    keepDays(retention: Duration.Duration): Answer<void>;
    /** Waits until this process has written events, or may have. */
    readonly untilWritten: Effect.Effect<void>;
  }
>()("persistence/EventLog") {}

/** Whether events are written; read when the repository is made. */
export const WritesEvents = Context.Reference<boolean>(
  "persistence/WritesEvents",
  { defaultValue: () => true },
);

/** Who asks for a change, where that is known. */
export const Actor = Context.Reference<string | undefined>(
  "persistence/Actor",
  { defaultValue: () => undefined },
);

/** What this process is called in the history of orders. */
export const ThisInstance = Context.Reference<string>(
  "persistence/ThisInstance",
  { defaultValue: () => "local" },
);
