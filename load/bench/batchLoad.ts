/**
 * Batches of orders, as a process of its own: so many connections, each always
 * busy. Bodies are made once and given new ids, which takes 0.3 µs an order: the
 * machine is the service's.
 */
import { randomUUID } from "node:crypto";
import { Agent, request } from "node:http";
import { given, tell } from "./processes.ts";
import { quantiles } from "./quantiles.ts";

export interface BatchLoad {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** Orders in a batch. */
  readonly size: number;
  /** An order on each line, not an array. */
  readonly asLines: boolean;
  /** The answers are without orders. */
  readonly minimal: boolean;
}

export interface BatchLoadResult {
  /** Answered 201. */
  readonly orders: number;
  /** Answered anything else, or not at all. */
  readonly refused: number;
  readonly perSecond: number;
  /** Milliseconds until a batch is answered. */
  readonly p50: number;
  readonly p99: number;
}

const { asLines, connections, minimal, seconds, size, url } =
  given<BatchLoad>();
const agent = new Agent({ keepAlive: true, maxSockets: connections });
const contentType = asLines ? "application/x-ndjson" : "application/json";
const created = '"status":201';

/** A body, and where its ids are; the orders are those of single places. */
const makeBody = () => {
  const id = "x".repeat(36);
  const orders = Array.from({ length: size }, (_, index) => {
    const items = Array.from({ length: 1 + (index % 5) }, (_, n) => n + index);
    return `{"user_id":${1 + index},"order_id":"${id}","item_ids":[${items}],"total_amount":${(1000 + index) / 100}}`;
  });
  const text = asLines ? orders.join("\n") : `[${orders.join(",")}]`;
  const places = Array.from(text.matchAll(/x{36}/g), ({ index }) => index);
  return { bytes: Buffer.from(text), places };
};

const send = (body: Buffer): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = request(
      `${url}/api/orders/batch/`,
      {
        agent,
        method: "POST",
        headers: {
          "content-type": contentType,
          "content-length": body.length,
          ...(minimal ? { prefer: "return=minimal" } : {}),
        },
      },
      (response) => {
        const pieces: Array<Buffer> = [];
        response.on("data", (piece) => pieces.push(piece));
        response.on("error", reject);
        response.on("end", () =>
          resolve(Buffer.concat(pieces).toString("latin1")),
        );
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });

const latencies: Array<number> = [];
let orders = 0;
let refused = 0;
const start = performance.now();
const end = start + seconds * 1000;

const keepBusy = async () => {
  const { bytes, places } = makeBody();
  while (performance.now() < end) {
    for (const place of places) bytes.write(randomUUID(), place, "latin1");
    const sent = performance.now();
    const answer = await send(bytes).catch(() => "");
    latencies.push(performance.now() - sent);
    const taken = answer.split(created).length - 1;
    orders += taken;
    refused += size - taken;
  }
};

await Promise.all(Array.from({ length: connections }, keepBusy));
const took = (performance.now() - start) / 1000;
const quantile = quantiles(latencies);
agent.destroy();
tell({
  orders,
  refused,
  perSecond: orders / took,
  p50: quantile(0.5),
  p99: quantile(0.99),
} satisfies BatchLoadResult);
process.disconnect();
