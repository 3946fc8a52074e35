/**
 * Places orders as fast as the service takes them, and remembers every one it
 * answered 201. The orders are those of the reference system's load test.
 */
import { randomUUID } from "node:crypto";
import autocannon, { type Client } from "autocannon";
import { Effect } from "effect";

/** An order not answered within this time counts as unanswered. */
const timeoutSeconds = 10;

/** Unanswered orders, for each connection, after which the load is ended. */
const unansweredMax = 10;

export interface OrderLoadOptions {
  /** The service, without a slash at the end. */
  readonly url: string;
  /** Sent with each order; left out where access is open. */
  readonly key?: string | undefined;
  readonly connections: number;
  readonly durationSeconds: number;
  /** Orders a second, over all connections; as fast as can be if not set. */
  readonly rate: number | undefined;
  /** Ends the load early. */
  readonly stop: AbortSignal;
  /** Told every second. */
  readonly onSecond: (soFar: OrderCounts) => void;
  /** Told of every answer: its HTTP status, and milliseconds until it came. */
  readonly onAnswer?: (status: number, millis: number) => void;
}

/** Every order sent is in exactly one of `answers`, `unanswered`, `underway`. */
export interface OrderCounts {
  sent: number;
  /** By HTTP status. */
  readonly answers: Record<string, number>;
  /** Refused, timed out, or the connection ended first. */
  unanswered: number;
  /** Not yet answered; at the end, cut off by it. */
  underway: number;
}

export interface OrderLoadResult extends OrderCounts {
  /** The ids of the orders answered 201, in the order of their answers. */
  readonly takenIn: ReadonlyArray<string>;
  /** Of the unanswered orders, those given up after the time-out. */
  readonly timeouts: number;
  readonly startedAt: Date;
  readonly seconds: number;
  /** Of answers 2xx, in milliseconds. */
  readonly latency: Latency;
}

export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p97_5: number;
  readonly p99: number;
  readonly max: number;
}

const random = (min: number, max: number) =>
  min + Math.floor(Math.random() * (max - min + 1));

/** A body as the reference's load test sends it: `user_id` is a number. */
const orderBody = (orderId: string) => {
  const items = Array.from({ length: random(1, 5) }, () => random(1, 100));
  const amount = (random(1_000, 100_000) / 100).toFixed(2);
  return `{"user_id":${random(1, 1000)},"order_id":"${orderId}","item_ids":[${items}],"total_amount":${amount}}`;
};

/** A new UUID is a rope that takes 490 bytes; read from a buffer it takes 67. */
const compact = (id: string) => Buffer.from(id, "latin1").toString("latin1");

export const run = (options: OrderLoadOptions) =>
  Effect.promise(async (): Promise<OrderLoadResult> => {
    const takenIn: Array<string> = [];
    const counts: OrderCounts = {
      sent: 0,
      answers: {},
      unanswered: 0,
      underway: 0,
    };

    // An order is made when it is sent, not when the one before was answered:
    // after a time-out autocannon would send the same order again, which the
    // service answers 200. Making the request anew takes 2 µs.
    const setupClient = (client: Client) => {
      let current: string | undefined;
      client.on("request", () => {
        if (current === undefined) counts.underway += 1;
        else counts.unanswered += 1;
        counts.sent += 1;
        current = randomUUID();
        client.setBody(orderBody(current));
      });
      client.on(
        "response",
        (status: number, _bytes: number, millis: number) => {
          options.onAnswer?.(status, millis);
          counts.answers[status] = (counts.answers[status] ?? 0) + 1;
          counts.underway -= 1;
          if (status === 201 && current !== undefined) {
            takenIn.push(compact(current));
          }
          current = undefined;
        },
      );
    };

    const load = autocannon({
      url: `${options.url}/api/orders/`,
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(options.key === undefined
          ? {}
          : { authorization: `Bearer ${options.key}` }),
      },
      connections: options.connections,
      duration: options.durationSeconds,
      timeout: timeoutSeconds,
      // A refused connection is tried again at once: without an end to it, a
      // service that went away would be called some 100,000 times a second.
      bailout: unansweredMax * options.connections,
      excludeErrorStats: true,
      setupClient,
      // autocannon would mend the latencies for the time it held requests
      // back, but takes the interval between them for 1 ms.
      ...(options.rate === undefined
        ? {}
        : { overallRate: options.rate, ignoreCoordinatedOmission: true }),
    });
    load.on("tick", () => options.onSecond(counts));
    options.stop.addEventListener("abort", load.stop, { once: true });
    if (options.stop.aborted) load.stop();

    const { duration, latency, start, timeouts } = await load;
    const { max, p50, p90, p97_5, p99 } = latency;
    return {
      ...counts,
      takenIn,
      timeouts,
      startedAt: start,
      seconds: duration,
      latency: { p50, p90, p97_5, p99, max },
    };
  });
