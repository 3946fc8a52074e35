/** How orders, events, keys and counts are shown. */
import { DateTime } from "effect";
import type { CloudEvent } from "../api/CloudEvent.ts";
import type { MadeKey } from "../api/KeysApi.ts";
import type { HistoryEntry, OrderMetrics } from "../api/OrdersApi.ts";
import type { KeyEntry } from "../domain/ApiKey.ts";
import type { Order } from "../domain/Order.ts";
import type { OrderStatus } from "../domain/OrderStatus.ts";
import type { Colour, View } from "./Results.ts";

/** To the second, in UTC. */
export const timeText = (time: DateTime.Utc | null | undefined): string =>
  time === null || time === undefined
    ? "-"
    : `${DateTime.formatIso(time).slice(0, 19)}Z`;

const statusColours: Readonly<Record<OrderStatus, Colour>> = {
  PENDING: "yellow",
  PROCESSING: "blue",
  COMPLETED: "green",
  FAILED: "red",
  CANCELLED: "dim",
};

const statusColour = ({ status }: { readonly status: OrderStatus }) =>
  statusColours[status];

/** The columns of orders in CSV, as the service exports them. */
export const orderFields = [
  ...["order_id", "user_id", "item_ids", "total_amount", "status"],
  ...["created_at", "updated_at", "processing_started_at"],
  ...["processing_completed_at", "attempts", "next_attempt_at", "last_error"],
];

const orderId = {
  title: "ORDER",
  width: 36,
  of: ({ order_id }: Order) => order_id,
};
const status = {
  title: "STATUS",
  of: (order: Order) => order.status,
  colour: statusColour,
};
const attempts = {
  title: "ATTEMPTS",
  right: true,
  of: (order: Order) => String(order.attempts),
};
const lastError = {
  title: "LAST ERROR",
  width: 20,
  of: ({ last_error }: Order) => last_error ?? "",
};
const amount = {
  title: "AMOUNT",
  right: true,
  of: ({ total_amount }: Order) => total_amount.toFixed(2),
};
const user = { title: "USER", width: 16, of: ({ user_id }: Order) => user_id };

export const ordersView: View<Order> = {
  fields: orderFields,
  columns: [
    orderId,
    user,
    status,
    amount,
    {
      title: "ITEMS",
      right: true,
      of: ({ item_ids }) => String(item_ids.length),
    },
    attempts,
    {
      title: "CREATED",
      width: 20,
      of: ({ created_at }) => timeText(created_at),
    },
    lastError,
  ],
};

/** One order, in full. */
export const orderView: View<Order> = {
  fields: orderFields,
  columns: [
    orderId,
    user,
    status,
    amount,
    {
      title: "ITEMS",
      of: ({ item_ids }) =>
        item_ids
          .map((item) =>
            typeof item === "string" ? item : JSON.stringify(item),
          )
          .join(", "),
    },
    attempts,
    { title: "CREATED", of: ({ created_at }) => timeText(created_at) },
    {
      title: "BEGAN",
      of: ({ processing_started_at }) => timeText(processing_started_at),
    },
    {
      title: "COMPLETED",
      of: ({ processing_completed_at }) => timeText(processing_completed_at),
    },
    {
      title: "NEXT ATTEMPT",
      of: ({ next_attempt_at }) => timeText(next_attempt_at),
    },
    lastError,
  ],
};

/** An order as it changes. */
export const changesView: View<Order> = {
  fields: orderFields,
  columns: [
    { title: "TIME", of: ({ updated_at }) => timeText(updated_at) },
    orderId,
    { ...status, of: (order) => order.status.padEnd(10) },
    attempts,
    lastError,
  ],
};

type Entry = (typeof HistoryEntry)["Type"];

const isAttempt = (entry: Entry) => entry.type === "attempt";

/** What became of an order. */
export const historyView: View<Entry> = {
  fields: [
    ...["type", "time", "attempt", "instance", "began_at", "ended_at"],
    ...["outcome", "error", "actor"],
  ],
  columns: [
    { title: "TIME", width: 20, of: ({ time }) => timeText(time) },
    { title: "WHAT", of: ({ type }) => type },
    {
      title: "ATTEMPT",
      right: true,
      of: (entry) => (isAttempt(entry) ? String(entry.attempt) : ""),
    },
    {
      title: "OUTCOME",
      of: (entry) => (isAttempt(entry) ? (entry.outcome ?? "under way") : ""),
      colour: (entry) => {
        if (!isAttempt(entry)) return undefined;
        return entry.outcome === "completed" ? "green" : "red";
      },
    },
    {
      title: "ENDED",
      of: (entry) => (isAttempt(entry) ? timeText(entry.ended_at) : ""),
    },
    {
      title: "BY",
      width: 20,
      of: (entry) => {
        if (isAttempt(entry)) return entry.instance ?? "";
        return "actor" in entry ? (entry.actor ?? "") : "";
      },
    },
    {
      title: "ERROR",
      width: 20,
      of: (entry) => (isAttempt(entry) ? (entry.error ?? "") : ""),
    },
  ],
};

const eventColour = ({ type }: CloudEvent): Colour | undefined =>
  /failed$/.test(type)
    ? "red"
    : type === "order.completed"
      ? "green"
      : type === "order.cancelled"
        ? "dim"
        : undefined;

export const eventsView: View<CloudEvent> = {
  fields: ["id", "type", "time", "subject", "data"],
  columns: [
    { title: "TIME", width: 20, of: ({ time }) => timeText(time) },
    {
      title: "EVENT",
      of: ({ type }) => type.padEnd("order.attempt_failed".length),
      colour: eventColour,
    },
    { title: "ORDER", width: 36, of: ({ subject }) => subject },
    { title: "USER", width: 16, of: ({ data }) => data.user_id },
    {
      title: "ATTEMPT",
      right: true,
      of: ({ data }) => String(data.attempt),
    },
    {
      title: "WHAT",
      of: ({ data }) => data.error ?? (data.actor ? `by ${data.actor}` : ""),
    },
  ],
};

const seconds = (value: number | null) =>
  value === null ? "-" : `${Number(value.toFixed(3))} s`;

export const metricsView: View<OrderMetrics> = {
  fields: [
    ...["total_orders_processed", "status_counts"],
    ...["average_processing_time_seconds", "oldest_pending_age_seconds"],
  ],
  columns: [
    ...(Object.keys(statusColours) as Array<OrderStatus>).map((status) => ({
      title: status,
      of: ({ status_counts }: OrderMetrics) => String(status_counts[status]),
      colour: () => statusColours[status],
    })),
    {
      title: "AVERAGE TIME",
      of: (_) => seconds(_.average_processing_time_seconds),
    },
    {
      title: "OLDEST PENDING",
      of: (_) => seconds(_.oldest_pending_age_seconds),
    },
  ],
};

const keyState = (key: KeyEntry, now: DateTime.Utc) => {
  if (key.revoked_at !== null) return "revoked";
  return key.expires_at !== null &&
    DateTime.isLessThanOrEqualTo(key.expires_at, now)
    ? "expired"
    : "good";
};

const keyColumns = (now: DateTime.Utc): View<KeyEntry>["columns"] => [
  { title: "ID", of: ({ id }) => id },
  { title: "NAME", width: 30, of: ({ name }) => name },
  { title: "SCOPES", width: 30, of: ({ scopes }) => scopes.join(" ") },
  { title: "BEGINS", of: ({ start }) => `${start}…` },
  {
    title: "STATE",
    of: (key) => keyState(key, now),
    colour: (key) => (keyState(key, now) === "good" ? "green" : "dim"),
  },
  { title: "EXPIRES", of: ({ expires_at }) => timeText(expires_at) },
  { title: "RATE LIMIT", of: ({ rate_limit }) => rate_limit ?? "-" },
  { title: "CREATED", of: ({ created_at }) => timeText(created_at) },
];

const keyFields = [
  ...["id", "name", "scopes", "start", "rate_limit", "created_at"],
  ...["expires_at", "rolled_at", "old_key_until", "revoked_at"],
];

export const keysView = (now: DateTime.Utc): View<KeyEntry> => ({
  fields: keyFields,
  columns: keyColumns(now),
});

export const madeKeyView = (now: DateTime.Utc): View<MadeKey> => ({
  fields: [...keyFields, "key"],
  columns: [{ title: "KEY", of: ({ key }) => key }, ...keyColumns(now)],
});

/** What a command did, in a few numbers. */
export const summaryView = <A extends Readonly<Record<string, unknown>>>(
  titles: { readonly [Field in keyof A]?: string },
): View<A> => ({
  fields: Object.keys(titles),
  columns: Object.entries(titles).map(([field, title]) => ({
    title: String(title),
    of: (value) => {
      const given = value[field];
      return typeof given === "number"
        ? given.toLocaleString("en")
        : String(given ?? "-");
    },
  })),
});
