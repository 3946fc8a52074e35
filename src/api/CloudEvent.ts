/**
 * An event as others get it: a CloudEvent 1.0, in JSON.
 *
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
 */
import { DateTime, Schema } from "effect";
import { Time } from "../domain/Order.ts";
import { eventTypes, type OrderEvent } from "../domain/OrderEvent.ts";
import { OrderStatus } from "../domain/OrderStatus.ts";

const source = "/api/orders/";

export const EventType = Schema.Literals(eventTypes);

/** What an event says of its order. */
export const EventData = Schema.Struct({
  order_id: Schema.String,
  user_id: Schema.String,
  status: OrderStatus,
  attempt: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).annotate({
    description: "Attempts begun until then, whatever became of them.",
  }),
  error: Schema.optionalKey(
    Schema.String.annotate({ description: "Why the attempt failed." }),
  ),
  lost: Schema.optionalKey(
    Schema.Literal(true).annotate({
      description: "Whoever made the attempt stopped in the midst of it.",
    }),
  ),
  next_attempt_at: Schema.optionalKey(Time),
  actor: Schema.optionalKey(
    Schema.String.annotate({ description: "Who asked for the change." }),
  ),
}).annotate({
  identifier: "EventData",
  description: "What an event says of its order, as it is after it.",
});

export const CloudEvent = Schema.Struct({
  specversion: Schema.Literal("1.0"),
  id: Schema.String.annotate({
    description: "Unique, and where to read on (`after`).",
  }),
  source: Schema.Literal(source),
  type: EventType,
  subject: Schema.String.annotate({ description: "The order_id." }),
  time: Time,
  datacontenttype: Schema.Literal("application/json"),
  data: EventData,
}).annotate({ identifier: "CloudEvent" });
export interface CloudEvent extends Schema.Schema.Type<typeof CloudEvent> {}

/**
 * An event in JSON. By hand, not by the schema: each goes to many readers, and
 * a schema takes ten times as long.
 */
export const cloudEventOf = (event: OrderEvent): typeof CloudEvent.Encoded => ({
  specversion: "1.0",
  id: event.id,
  source,
  type: event.type,
  subject: event.order_id,
  time: DateTime.formatIso(event.time),
  datacontenttype: "application/json",
  data: {
    order_id: event.order_id,
    user_id: event.user_id,
    status: event.status,
    attempt: event.attempt,
    ...(event.error === undefined ? {} : { error: event.error }),
    ...(event.lost === undefined ? {} : { lost: event.lost }),
    ...(event.next_attempt_at === undefined
      ? {}
      : { next_attempt_at: DateTime.formatIso(event.next_attempt_at) }),
    ...(event.actor === undefined ? {} : { actor: event.actor }),
  },
});

/** What a stream of events is made of: server-sent events of three kinds. */
export const StreamedEvent = Schema.Union([
  Schema.Struct({
    id: Schema.String.annotate({ description: "Of the CloudEvent." }),
    event: EventType,
    data: Schema.fromJsonString(CloudEvent),
  }),
  Schema.Struct({
    id: Schema.optionalKey(Schema.String),
    event: Schema.Literal("ping").annotate({
      description: "A sign of life, every 15 s.",
    }),
    data: Schema.String,
  }),
  Schema.Struct({
    id: Schema.optionalKey(Schema.String),
    event: Schema.Literal("gap").annotate({
      description:
        "What was asked for is not there any more: it goes on with the oldest that is.",
    }),
    data: Schema.fromJsonString(Schema.Struct({ detail: Schema.String })),
  }),
]).annotate({
  identifier: "StreamedEvent",
  description:
    "One event of the stream. `id`, where to read on, comes once at the beginning, too.",
});
export type StreamedEvent = typeof StreamedEvent.Type;
