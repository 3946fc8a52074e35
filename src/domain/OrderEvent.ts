/**
 * What happens to an order that others may have to know. An event is written
 * with the change that it tells of: both are there or neither.
 */
import type { DateTime } from "effect";
import type { OrderId, UserId } from "./Order.ts";
import type { OrderStatus } from "./OrderStatus.ts";

/** The status an order has after each type of event. */
export const statusAfter = {
  "order.placed": "PENDING",
  "order.completed": "COMPLETED",
  "order.failed": "FAILED",
  "order.cancelled": "CANCELLED",
  "order.retried": "PENDING",
  /** There will be another attempt. Also of one that was lost. */
  "order.attempt_failed": "PENDING",
} as const satisfies Record<string, OrderStatus>;

export type EventType = keyof typeof statusAfter;

export const eventTypes = Object.keys(statusAfter) as ReadonlyArray<EventType>;

export const isEventType = (type: string): type is EventType =>
  Object.hasOwn(statusAfter, type);

/** Where an event is in the log: after those of smaller records and indexes. */
export interface EventPlace {
  /** The number of the record that holds it; those of one change are together. */
  readonly record: bigint;
  /** Where it is in the record, from 0. */
  readonly index: number;
  /** When the record was written, in milliseconds, if it is one that was read. */
  readonly at?: number | undefined;
}

/** Whether the first place comes before the other. */
export const isBefore = (one: EventPlace, other: EventPlace): boolean =>
  one.record < other.record ||
  (one.record === other.record && one.index < other.index);

export interface OrderEvent {
  /** Unique, and where to read on; says nothing to callers. */
  readonly id: string;
  readonly place: EventPlace;
  readonly type: EventType;
  readonly time: DateTime.Utc;
  readonly order_id: OrderId;
  readonly user_id: UserId;
  /** After it. */
  readonly status: OrderStatus;
  /** Attempts begun until then. */
  readonly attempt: number;
  /** Why the attempt failed. */
  readonly error?: string;
  /** Nobody was left to say how the attempt ended. */
  readonly lost?: true;
  readonly next_attempt_at?: DateTime.Utc;
  /** Who asked for the change, where somebody did and it is known. */
  readonly actor?: string;
}

/** Which of them. */
export interface EventFilter {
  /** Only these types; all when empty or left out. */
  readonly type?: ReadonlyArray<EventType> | undefined;
  readonly user_id?: string | undefined;
}

export const passes =
  ({ type, user_id }: EventFilter) =>
  (event: OrderEvent): boolean =>
    (type === undefined || type.length === 0 || type.includes(event.type)) &&
    (user_id === undefined || event.user_id === user_id);
