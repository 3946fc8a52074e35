/**
 * Orders at a rate that does not wait for answers: each is sent when its time
 * has come, and its latency counts from then on. autocannon is no open loop: a
 * connection of it waits for its answer, and a rate is spent in one burst at
 * the start of each second.
 */
import { randomUUID } from "node:crypto";
import { Agent, request } from "node:http";
import { given, tell } from "./processes.ts";
import { quantiles } from "./quantiles.ts";

export interface OpenLoad {
  readonly url: string;
  readonly perSecond: number;
  readonly seconds: number;
}

export interface OpenLoadResult {
  readonly sent: number;
  /** Answered 201. */
  readonly orders: number;
  /** Milliseconds until the answer. */
  readonly p50: number;
  readonly p99: number;
}

/** Orders are sent in steps of this length. */
const stepMillis = 5;

const { perSecond, seconds, url } = given<OpenLoad>();
const agent = new Agent({
  keepAlive: true,
  maxSockets: 1000,
  // Else it would close all but 256 of them, and open others.
  maxFreeSockets: 1000,
});
const latencies: Array<number> = [];
let sent = 0;
let answered = 0;
let finished = () => {};

const send = (due: number) => {
  sent += 1;
  const body = `{"user_id":${sent % 1000},"order_id":"${randomUUID()}","item_ids":[${sent % 100},7],"total_amount":19.99}`;
  const end = (status: number | undefined) => {
    answered += 1;
    if (status === 201) latencies.push(performance.now() - due);
    finished();
  };
  const sending = request(
    `${url}/api/orders/`,
    {
      agent,
      method: "POST",
      timeout: 10_000,
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
      },
    },
    (response) => {
      response.resume().once("end", () => end(response.statusCode));
    },
  );
  sending.once("error", () => end(undefined));
  sending.once("timeout", () => sending.destroy());
  sending.end(body);
};

const start = performance.now();
const total = perSecond * seconds;
await new Promise<void>((resolve) => {
  const step = setInterval(() => {
    const due = ((performance.now() - start) / 1000) * perSecond;
    while (sent < Math.min(due, total)) {
      send(start + (sent / perSecond) * 1000);
    }
    if (sent < total) return;
    clearInterval(step);
    finished = () => {
      if (answered === total) resolve();
    };
    finished();
  }, stepMillis);
});

const quantile = quantiles(latencies);
tell({
  sent,
  orders: latencies.length,
  p50: quantile(0.5),
  p99: quantile(0.99),
} satisfies OpenLoadResult);
agent.destroy();
process.disconnect();
