/** What the processor measures of its work, for Prometheus and OTLP. */
import { Effect, Metric } from "effect";

/** Seconds, from a millisecond to the longest retry. */
const boundaries = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
  60, 300,
];

/** From placing an order to the beginning of an attempt. */
export const waitSeconds = Metric.histogram("order_wait_seconds", {
  description: "From placing an order to the beginning of its first attempt.",
  boundaries,
});

export const workSeconds = Metric.histogram("order_work_seconds", {
  description: "One attempt, from its beginning to its end.",
  boundaries,
});

export const wholeSeconds = Metric.histogram("order_whole_seconds", {
  description: "From placing an order to COMPLETED.",
  boundaries,
});

const attempts = Metric.counter("order_attempts_total", {
  description: "Attempts ended here, by what the order became.",
  incremental: true,
});

/** Attempts ended by this process, by the status the order got. */
export const attemptsEnded = {
  completed: Metric.withAttributes(attempts, { status: "COMPLETED" }),
  postponed: Metric.withAttributes(attempts, { status: "PENDING" }),
  failed: Metric.withAttributes(attempts, { status: "FAILED" }),
  /** The attempt had been taken from this process before it ended. */
  stale: Metric.withAttributes(attempts, { status: "STALE" }),
};

export const actorRestarts = Metric.counter("order_actor_restarts_total", {
  description: "Crashes of order-processor actors.",
  incremental: true,
});

export const mailboxDepth = Metric.gauge("order_mailbox_depth", {
  description: "Orders in the mailboxes of this process.",
});

export const inWork = Metric.gauge("orders_in_work", {
  description: "Orders this process is working on.",
});

export const paused = Metric.gauge("orders_processing_paused", {
  description: "1 while this process begins no orders, as somebody paused it.",
});

/** Measures from one moment to another, in milliseconds of the time of day. */
export type MeasureFrom = (
  metric: Metric.Metric<number, unknown>,
  fromMillis: number,
  toMillis: number,
) => void;

/** Without an effect around it, which costs ten times what counting does. */
export const measuring = Effect.map(
  Effect.context<never>(),
  (context): MeasureFrom =>
    (metric, fromMillis, toMillis) =>
      metric.updateUnsafe(Math.max(0, toMillis - fromMillis) / 1000, context),
);
