/** What a load test found: for eyes, as JSON, as CSV, and whether it passed. */
import type { AskedBack, Finding } from "./AskBack.ts";
import type { Latency, OrderLoadResult } from "./OrderLoad.ts";

export interface LoadReport {
  readonly url: string;
  readonly connections: number;
  /** Orders a second asked for; null for as fast as can be. */
  readonly rate: number | null;
  readonly started_at: string;
  readonly duration_seconds: number;
  /** Orders answered 201, a second. */
  readonly throughput_per_second: number;
  /** Of the orders sent: answered 201, and not answered. */
  readonly orders: {
    readonly sent: number;
    readonly taken_in: number;
    /** Refused, timed out, or the connection ended first. */
    readonly unanswered: number;
    /** Those of the unanswered that timed out. */
    readonly timeouts: number;
    /** Under way when the load ended. */
    readonly cut_off: number;
  };
  /** By HTTP status. */
  readonly answers: Readonly<Record<string, number>>;
  /** In milliseconds. */
  readonly latency_ms: Latency;
  /** What became of the orders answered 201. */
  readonly asked_back: {
    readonly waited: boolean;
    readonly found: number;
    readonly findings: Readonly<Record<Finding, number>>;
    /** Some of those. */
    readonly missing: ReadonlyArray<string>;
  };
  /** Why the test failed; empty when it passed. */
  readonly faults: ReadonlyArray<string>;
}

export interface Asked {
  readonly url: string;
  readonly connections: number;
  readonly rate: number | undefined;
  readonly wait: boolean;
}

export const make = (
  asked: Asked,
  load: OrderLoadResult,
  back: AskedBack,
): LoadReport => ({
  url: asked.url,
  connections: asked.connections,
  rate: asked.rate ?? null,
  started_at: load.startedAt.toISOString(),
  duration_seconds: load.seconds,
  throughput_per_second: Math.round(load.takenIn.length / load.seconds),
  orders: {
    sent: load.sent,
    taken_in: load.takenIn.length,
    unanswered: load.unanswered,
    timeouts: load.timeouts,
    cut_off: load.underway,
  },
  answers: load.answers,
  latency_ms: load.latency,
  asked_back: {
    waited: asked.wait,
    found: back.asked - back.findings.MISSING - back.findings.UNKNOWN,
    findings: back.findings,
    missing: back.missing,
  },
  faults: faultsOf(load, back, asked.wait),
});

const faultsOf = (
  load: OrderLoadResult,
  { asked, findings, missing }: AskedBack,
  wait: boolean,
): ReadonlyArray<string> => {
  const faults: Array<string> = [];
  if (asked === 0) faults.push("no order was taken in");
  for (const [status, count] of Object.entries(load.answers)) {
    if (status !== "201") {
      faults.push(`orders answered ${status}: ${grouped(count)}`);
    }
  }
  if (load.unanswered > 0) {
    faults.push(`orders not answered: ${grouped(load.unanswered)}`);
  }
  if (findings.MISSING > 0) {
    const more = missing.length < findings.MISSING ? ", ..." : "";
    faults.push(
      `orders answered 201 but missing: ${grouped(findings.MISSING)} (${missing.join(", ")}${more})`,
    );
  }
  if (findings.UNKNOWN > 0) {
    faults.push(
      `orders answered 201 that could not be asked back: ${grouped(findings.UNKNOWN)}`,
    );
  }
  const found = asked - findings.MISSING - findings.UNKNOWN;
  if (wait && findings.COMPLETED < found) {
    faults.push(`orders not COMPLETED: ${grouped(found - findings.COMPLETED)}`);
  }
  return faults;
};

const grouped = (value: number) => value.toLocaleString("en-US");

/** As `201: 5,172; 503: 12`. */
const counts = (byName: Readonly<Record<string, number>>) =>
  Object.entries(byName)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name}: ${grouped(count)}`)
    .join("; ") || "none";

/** What can be said before the orders are asked back. */
export const loadText = (asked: Asked, load: OrderLoadResult): string => {
  const { max, p50, p90, p97_5, p99 } = load.latency;
  const rate =
    asked.rate === undefined ? "" : `, ${grouped(asked.rate)} orders a second`;
  return `
Placed orders at ${asked.url} for ${load.seconds.toFixed(1)} s (${grouped(asked.connections)} connections${rate})

  throughput  ${grouped(Math.round(load.takenIn.length / load.seconds))} orders/s
  latency     p50 ${p50} ms, p90 ${p90} ms, p97.5 ${p97_5} ms, p99 ${p99} ms, max ${max} ms
  sent        ${grouped(load.sent)} orders
  answers     ${counts(load.answers)}
  unanswered  ${grouped(load.unanswered)} (${grouped(load.timeouts)} timed out), and ${grouped(load.underway)} cut off by the end`;
};

export const askedBackText = ({ asked_back, orders }: LoadReport): string => `
  asked back  ${grouped(asked_back.found)} of ${grouped(orders.taken_in)} found
  statuses    ${counts(asked_back.findings)}`;

/** One line a run, so that the lines of many runs make one table. */
export const toCsv = (report: LoadReport): string => {
  const {
    answers: _,
    asked_back,
    faults,
    latency_ms,
    orders,
    ...rest
  } = report;
  const { missing: __, findings, ...back } = asked_back;
  const row = {
    ...rest,
    ...orders,
    ...Object.fromEntries(
      Object.entries(latency_ms).map(([name, ms]) => [`${name}_ms`, ms]),
    ),
    ...back,
    ...Object.fromEntries(
      Object.entries(findings).map(([name, n]) => [name.toLowerCase(), n]),
    ),
    passed: faults.length === 0,
  };
  const lines = [Object.keys(row), Object.values(row).map(quoted)];
  return `${lines.map((line) => line.join(",")).join("\n")}\n`;
};

const quoted = (value: unknown): string => {
  const text = String(value ?? "");
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
