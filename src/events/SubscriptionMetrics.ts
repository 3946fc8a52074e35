/** What is measured of deliveries, for Prometheus and OTLP. */
import { Metric } from "effect";

const lagSeconds = Metric.gauge("subscription_lag_seconds", {
  description:
    "How old the oldest event is that a subscription wants and has not got; 0 where it is not dispatched here.",
});

export const lagOf = (subscription: string) =>
  Metric.withAttributes(lagSeconds, { subscription });

const deliveries = Metric.counter("subscription_deliveries_total", {
  description: "Batches of events posted from here, by what came of it.",
  incremental: true,
});

export const delivered = Metric.withAttributes(deliveries, {
  outcome: "delivered",
});
export const failed = Metric.withAttributes(deliveries, { outcome: "failed" });
