/**
 * Listening to events for as long as one likes, over connections that end: it
 * comes back by itself to where it was, so that no event is missed and none is
 * given twice. It ends only by failing.
 *
 * A connection that is silent for longer than three of the service's pings is
 * as good as none.
 */
import { Duration, Effect, Random, Schema, Stream } from "effect";
import { Sse } from "effect/encoding";
import type { HttpClientError, HttpClientResponse } from "effect/http";
import { type CloudEvent, StreamedEvent } from "../api/CloudEvent.ts";
import { foreignAnswer } from "./ForeignAnswer.ts";
import type { RequestRetryPolicy } from "./RequestRetry.ts";

/**
 * What came after the last event is not kept any more, or the service has
 * another database now: nobody can say what happened in between. Read anew
 * what is known of orders, and listen on after `after`.
 */
export class EventGap extends Schema.TaggedError<EventGap>()("EventGap", {
  /** Before the oldest event that is there. */
  after: Schema.UndefinedOr(Schema.String),
  detail: Schema.String,
}) {
  override get message() {
    return this.detail;
  }
}

/** No sign of life for so long, and the connection is given up. */
export const silenceMax = Duration.seconds(45);

/** Until the service has said how soon it wants its listeners back. */
const firstRetry = Duration.seconds(1);

const read = Schema.decodeUnknownEffect(StreamedEvent);

/**
 * Events from connections that `connect` makes, each to what comes after an id.
 * `connect` fails only with what coming back would not mend.
 */
export const listen = <E>(
  connect: (
    after: string | undefined,
  ) => Effect.Effect<HttpClientResponse.HttpClientResponse, E>,
  { base, cap }: Pick<RequestRetryPolicy, "base" | "cap">,
  from?: string | undefined,
): Stream.Stream<
  CloudEvent,
  E | EventGap | Schema.SchemaError | HttpClientError.HttpClientError
> =>
  Stream.suspend(() => {
    let after = from;
    let retry = firstRetry;
    /** Connections in a row that brought no sign of life. */
    let barren = 0;

    const heard = Effect.fnUntraced(function* ({ data, event, id }: Sse.Event) {
      const streamed = yield* read({ data, event, ...(id && { id }) });
      barren = 0;
      if (streamed.event === "gap") {
        return yield* new EventGap({
          after: streamed.id,
          detail: streamed.data.detail,
        });
      }
      after = streamed.id ?? after;
      return streamed.event === "ping" ? [] : [streamed.data];
    });

    /** What a text adds: whole events, and how soon to come back. */
    const parsing = (response: HttpClientResponse.HttpClientResponse) => {
      const parsed: Array<Sse.Event> = [];
      const parser = Sse.makeParser((one) => {
        if (one._tag === "Event") {
          parsed.push(one);
        } else {
          retry = one.duration;
          // The place where it begins comes with it.
          if (parsed.length === 0) after = one.lastEventId ?? after;
        }
      });
      return (text: string) =>
        Effect.suspend(() => {
          const fault = parser.feed(text);
          return fault === undefined
            ? Effect.succeed(parsed.splice(0))
            : Effect.fail(foreignAnswer(response, fault));
        });
    };

    const connection = Effect.gen(function* () {
      const response = yield* connect(after);
      if (!response.headers["content-type"]?.startsWith("text/event-stream")) {
        return yield* foreignAnswer(response);
      }
      return response.stream.pipe(
        Stream.timeout(silenceMax),
        // However it ended, the next one goes on from where it was.
        Stream.catch(() => Stream.empty),
        Stream.decodeText,
        Stream.mapEffect(parsing(response)),
        Stream.flattenIterable,
        Stream.mapEffect(heard),
        Stream.flattenIterable,
      );
    });

    /** As the service asks, and longer while it brings nothing. */
    const comeBack = Effect.flatMap(Random.next, (random) => {
      const more =
        barren === 0
          ? 0
          : Math.min(
              Duration.toMillis(cap),
              Duration.toMillis(base) * 2 ** (barren - 1),
            );
      barren += 1;
      // Not all together that were cut off together.
      return Effect.sleep(
        Duration.millis((Duration.toMillis(retry) + more) * (1 + random / 2)),
      );
    });

    return Stream.forever(
      Stream.concat(
        Stream.unwrap(connection),
        Stream.drain(Stream.fromEffect(comeBack)),
      ),
    );
  });
