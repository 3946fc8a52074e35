/** The load, as a process of its own: so many connections, each always busy. */
import { Effect } from "effect";
import * as OrderLoad from "../OrderLoad.ts";
import { given, tell } from "./processes.ts";
import { quantiles } from "./quantiles.ts";

export interface ClosedLoad {
  readonly url: string;
  readonly key?: string | undefined;
  readonly connections: number;
  readonly seconds: number;
}

export interface ClosedLoadResult {
  /** Answered 201. */
  readonly orders: number;
  /** Orders not answered, or answered anything but 201. */
  readonly refused: number;
  readonly perSecond: number;
  /** Milliseconds until the answer, once the connections are open. */
  readonly p50: number;
  readonly p99: number;
  /** The same, with the time in which they are opened. */
  readonly p99WithOpening: number;
}

/**
 * So long after its start the connections are open and each has had an answer.
 * Of a thousand, the first answers come late and are more than one in a hundred
 * of all: the p99 would be theirs, and the less so the longer it is measured.
 */
const openingMillis = 1000;

const { connections, key, seconds, url } = given<ClosedLoad>();
const start = performance.now();
const latencies: Array<number> = [];
const result = await Effect.runPromise(
  OrderLoad.run({
    url,
    key,
    connections,
    durationSeconds: seconds,
    rate: undefined,
    stop: new AbortController().signal,
    onSecond: () => {},
    onAnswer: (status, millis) => {
      const isOpen = performance.now() - start > openingMillis;
      if (status === 201 && isOpen) latencies.push(millis);
    },
  }),
);
const orders = result.takenIn.length;
const quantile = quantiles(latencies);
tell({
  orders,
  refused: result.sent - result.underway - orders,
  perSecond: orders / result.seconds,
  p50: quantile(0.5),
  p99: quantile(0.99),
  p99WithOpening: result.latency.p99,
} satisfies ClosedLoadResult);
process.disconnect();
