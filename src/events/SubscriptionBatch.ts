/** What is posted to a subscription next: some events of the log, in order. */
import { DateTime, Effect } from "effect";
import { cloudEventOf } from "../api/CloudEvent.ts";
import {
  type EventFilter,
  type EventPlace,
  type OrderEvent,
  passes,
} from "../domain/OrderEvent.ts";
import type { EventsGone } from "../persistence/EventLog.ts";
import type { RepositoryUnavailable } from "../persistence/OrderRepository.ts";
import type { EventFollower } from "./EventFollower.ts";

export interface Batch {
  /** How many events it has; none where none was found. */
  readonly size: number;
  /** The same for the same events. */
  readonly id: string;
  /** The events, as JSON. */
  readonly body: string;
  /** Where to read on once it is delivered. */
  readonly end: EventPlace;
  /** There is no more to read for now. */
  readonly isEnd: boolean;
  /** When the first event was, in milliseconds since 1970. */
  readonly oldest: number | undefined;
}

/** Events in a batch, at most. */
export const batchMax = 100;

/** Bytes of its body, at most, unless one event alone has more. */
export const batchBytesMax = 1024 * 1024;

/** Events read at once where not all are wanted. */
const filteredRead = 1_000;

/** Events looked at for a batch, at most: it may be that none is wanted. */
const lookedAtMax = 5_000;

const utf8 = new TextEncoder();

/** Gathers events in JSON until there is no room for another. */
const gathering = () => {
  const texts: Array<string> = [];
  let bytes = "[]".length;
  let first: OrderEvent | undefined;
  let last: OrderEvent | undefined;
  return {
    size: () => texts.length,
    /** Whether there was room for it. */
    add: (event: OrderEvent): boolean => {
      const text = JSON.stringify(cloudEventOf(event));
      const more = utf8.encode(text).length + ",".length;
      if (texts.length > 0 && bytes + more > batchBytesMax) return false;
      texts.push(text);
      bytes += more;
      first ??= event;
      last = event;
      return true;
    },
    batch: (end: EventPlace, isEnd: boolean): Batch => ({
      size: texts.length,
      id: `${first?.id}_${last?.id}`,
      body: `[${texts.join(",")}]`,
      end,
      isEnd,
      oldest: first && DateTime.toEpochMillis(first.time),
    }),
  };
};

/** The next batch after a place, of what is there now. */
export const next = Effect.fnUntraced(function* (
  follower: EventFollower["Service"],
  filter: EventFilter,
  after: EventPlace,
): Effect.fn.Return<Batch, EventsGone | RepositoryUnavailable> {
  const isWanted = passes(filter);
  const isFiltered = (filter.type ?? []).length > 0;
  const gathered = gathering();
  let lookedAt = 0;
  let place = after;
  while (true) {
    const limit = isFiltered ? filteredRead : batchMax - gathered.size();
    const read = yield* follower.read(place, limit);
    for (const event of read.events) {
      if (isWanted(event) && !gathered.add(event)) {
        return gathered.batch(place, false);
      }
      place = event.place;
      if (gathered.size() === batchMax) return gathered.batch(place, false);
    }
    place = read.end;
    lookedAt += read.events.length;
    if (read.isEnd || lookedAt >= lookedAtMax) {
      return gathered.batch(place, read.isEnd);
    }
  }
});
