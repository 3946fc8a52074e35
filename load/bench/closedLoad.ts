/** The load, as a process of its own: so many connections, each always busy. */
import { Effect } from "effect";
import * as OrderLoad from "../OrderLoad.ts";
import { given, tell } from "./processes.ts";

export interface ClosedLoad {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
}

export interface ClosedLoadResult {
  /** Answered 201. */
  readonly orders: number;
  /** Orders not answered, or answered anything but 201. */
  readonly refused: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

const { connections, seconds, url } = given<ClosedLoad>();
const result = await Effect.runPromise(
  OrderLoad.run({
    url,
    connections,
    durationSeconds: seconds,
    rate: undefined,
    stop: new AbortController().signal,
    onSecond: () => {},
  }),
);
const orders = result.takenIn.length;
tell({
  orders,
  refused: result.sent - result.underway - orders,
  perSecond: orders / result.seconds,
  p50: result.latency.p50,
  p99: result.latency.p99,
} satisfies ClosedLoadResult);
process.disconnect();
