/**
 * Callers that place, find or list large orders, each one after the other, for
 * a time; whoever is told to wait (503) asks again as soon as it was told.
 */
import { Agent, request } from "node:http";
import { setTimeout } from "node:timers/promises";
import { given, tell } from "./processes.ts";

export interface LargeRequests {
  readonly url: string;
  readonly callers: number;
  readonly seconds: number;
  /** Left out: orders are placed. */
  readonly path?: string;
  /** Bytes of the items of an order that is placed. */
  readonly itemBytes: number;
}

/** How many answers there were of each status; 0: none came. */
export type Answers = Record<string, number>;

const { callers, itemBytes, path, seconds, url } = given<LargeRequests>();
const { hostname, port } = new URL(url);
const agent = new Agent({ keepAlive: true, maxSockets: callers });
const items = Buffer.from(`["${"x".repeat(itemBytes - 4)}"]}`);
const answers: Answers = {};
let placed = 0;

const ask = () =>
  new Promise<{ status: number; retryAfter: number }>((resolve) => {
    placed += 1;
    const head = Buffer.from(
      `{"order_id":"large-${process.pid}-${placed}","user_id":"LARGE","total_amount":1,"item_ids":`,
    );
    const asked = request(
      {
        agent,
        hostname,
        port,
        method: path === undefined ? "POST" : "GET",
        path: path ?? "/api/orders/",
        headers:
          path === undefined
            ? {
                "content-type": "application/json",
                "content-length": head.length + items.length,
              }
            : {},
      },
      (response) => {
        response.resume();
        response.on("error", () => resolve({ status: 0, retryAfter: 1 }));
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            retryAfter: Number(response.headers["retry-after"] ?? 0),
          }),
        );
      },
    );
    asked.on("error", () => resolve({ status: 0, retryAfter: 1 }));
    if (path === undefined) {
      asked.write(head);
      asked.end(items);
    } else {
      asked.end();
    }
  });

const until = performance.now() + seconds * 1000;
await Promise.all(
  Array.from({ length: callers }, async () => {
    while (performance.now() < until) {
      const { retryAfter, status } = await ask();
      answers[status] = (answers[status] ?? 0) + 1;
      const left = until - performance.now();
      await setTimeout(Math.max(0, Math.min(left, retryAfter * 1000)));
    }
  }),
);
agent.destroy();
tell(answers);
process.disconnect();
