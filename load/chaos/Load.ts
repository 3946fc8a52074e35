/**
 * Callers of the service, from outside. Orders are placed at a rate; one that
 * is refused, cut off or answered 5xx is placed again under the same id until
 * it is answered, as the README tells callers to do: at once where there is
 * another instance to ask, and after a wait when all have been asked. What was answered, and
 * when, is remembered: these are the orders the service must account for.
 */
import { Agent, request } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import type { Balancer } from "./Balancer.ts";

export interface LoadOptions {
  /** Says which instance of the service is asked. */
  readonly balancer: Balancer;
  /** How long an instance may take to answer. */
  readonly timeoutSeconds?: number;
  /** Begins every id, so that the orders of a run are told from others. */
  readonly prefix: string;
  /** Orders a second; as fast as `outstandingMax` callers get answers if not given. */
  readonly rate?: number;
  /** Orders not answered yet, at most: beyond, callers stay away. */
  readonly outstandingMax: number;
  /** A word in the id that tells the receiver what to do with the order. */
  readonly mark?: (number: number) => string | undefined;
  /** Whether callers wait as a `Retry-After` asks, or come back at once. */
  readonly isPatient?: boolean;
}

/** What came of one request, when it was not the order. */
export type Miss =
  /** Nobody listened. */
  | "refused"
  /** A kept connection was found closed: HTTP's own race, the caller repeats. */
  | "stale connection"
  /** The connection broke before the answer. */
  | "cut off"
  | "timeout"
  /** 503 with a Retry-After. */
  | "503"
  /** 503 without one. */
  | "503 without Retry-After"
  | `status ${number}`;

export interface Placed {
  readonly status: number;
  /** Both by this process's clock, in milliseconds. */
  readonly placedAt: number;
  readonly answeredAt: number;
  readonly tries: number;
}

export interface Load {
  /** By id: the orders that were answered 201 or 200. */
  readonly answered: ReadonlyMap<string, Placed>;
  readonly misses: ReadonlyMap<Miss, number>;
  /** What was said of answers 5xx and of broken connections, without digits. */
  readonly reasons: ReadonlyMap<string, number>;
  /** Requests sent. */
  readonly sent: () => number;
  /** Orders that have been placed and not been answered. */
  readonly outstanding: () => number;
  /** Lets no further order be placed; those outstanding go on. */
  readonly stop: () => void;
  /** Gives up what is outstanding. */
  readonly end: () => void;
}

/** Longer than the service may take to say that it cannot. */
const defaultTimeoutSeconds = 15;

/** The wait before an order is placed again. */
const againMillis = { min: 50, max: 250 } as const;

const retryAfterMaxSeconds = 5;

/** The order of an id. Its content follows from the id, so a repeat is a replay. */
export const orderOf = (order_id: string) => {
  const number = Number(/\d+$/.exec(order_id)?.[0] ?? 0);
  return {
    order_id,
    user_id: `USER${String(number % 1000).padStart(4, "0")}`,
    item_ids: Array.from({ length: 1 + (number % 5) }, (_, index) => index + 1),
    total_amount: (100 + (number % 100_000)) / 100,
  };
};

/** The `detail` of a problem; digits differ too much to be counted. */
const reasonOf = (body: string): string =>
  (/"detail":"([^"]*)"/.exec(body)?.[1] ?? body.slice(0, 200)).replace(
    /\d+/g,
    "N",
  );

type Answer =
  | { readonly status: number; readonly retryAfter: string | undefined }
  | { readonly miss: Miss };

const count = <Key>(counts: Map<Key, number>, key: Key) =>
  counts.set(key, (counts.get(key) ?? 0) + 1);

export const start = (options: LoadOptions): Load => {
  const agent = new Agent({
    keepAlive: true,
    // Else it would close all but 256 of them, and open others.
    maxFreeSockets: options.outstandingMax,
    scheduling: "lifo",
  });
  const answered = new Map<string, Placed>();
  const misses = new Map<Miss, number>();
  const reasons = new Map<string, number>();
  const startedAt = performance.now();
  let placed = 0;
  let allowance = 0;
  let outstanding = 0;
  let sent = 0;
  let isOver = false;

  const post = (url: string, body: string) =>
    new Promise<Answer>((resolve) => {
      sent += 1;
      const sending = request(`${url}/api/orders/`, {
        method: "POST",
        agent,
        timeout: (options.timeoutSeconds ?? defaultTimeoutSeconds) * 1000,
        headers: {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
        },
      });
      sending.on("response", (response) => {
        const status = response.statusCode ?? 0;
        const chunks: Array<Buffer> = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.once("end", () => {
          const text = Buffer.concat(chunks).toString();
          if (status >= 500) count(reasons, reasonOf(text));
          // This very order was done before its answer could be had.
          if (status === 409 && /"same_content":true/.test(text)) {
            return resolve({ status: 200, retryAfter: undefined });
          }
          resolve({ status, retryAfter: response.headers["retry-after"] });
        });
        response.once("error", () => resolve({ miss: "cut off" }));
      });
      sending.once("timeout", () => {
        resolve({ miss: "timeout" });
        sending.destroy();
      });
      sending.once("error", (error: NodeJS.ErrnoException) => {
        if (error.code === "ECONNREFUSED") resolve({ miss: "refused" });
        else if (!sending.reusedSocket && error.code === "ECONNRESET") {
          // Made while nobody listened any more: the kernel had taken the
          // connection, nobody had accepted it. It is refused, if late.
          resolve({ miss: "refused" });
        } else if (sending.reusedSocket && error.code === "ECONNRESET") {
          resolve({ miss: "stale connection" });
        } else {
          count(
            reasons,
            `${error.message} (${sending.reusedSocket ? "kept" : "new"} connection)`,
          );
          resolve({ miss: "cut off" });
        }
      });
      sending.end(body);
    });

  const missOf = (answer: Answer): Miss =>
    "miss" in answer
      ? answer.miss
      : answer.status !== 503
        ? `status ${answer.status}`
        : answer.retryAfter === undefined
          ? "503 without Retry-After"
          : "503";

  /** As long as asked, and never all at once. */
  const waitAfter = (answer: Answer) => {
    const asked =
      "status" in answer && options.isPatient !== false
        ? Math.min(Number(answer.retryAfter ?? 0), retryAfterMaxSeconds)
        : 0;
    return wait(
      asked * 1000 +
        againMillis.min +
        Math.random() * (againMillis.max - againMillis.min),
    );
  };

  const place = async (order_id: string) => {
    const body = JSON.stringify(orderOf(order_id));
    const placedAt = Date.now();
    const missedAt = new Set<string>();
    let url = options.balancer.choose(missedAt);
    for (let tries = 1; !isOver && url !== undefined; tries += 1) {
      const answer = await post(url, body);
      if ("status" in answer && [200, 201].includes(answer.status)) {
        const { status } = answer;
        const answeredAt = Date.now();
        answered.set(order_id, { status, placedAt, answeredAt, tries });
        return;
      }
      const miss = missOf(answer);
      count(misses, miss);
      // A refusal of the order itself stays one; the check will find it.
      if (/^status 4(?!08)/.test(miss)) return;
      missedAt.add(url);
      url = options.balancer.choose(missedAt);
      if (url !== undefined) continue;
      await waitAfter(answer);
      missedAt.clear();
      url = options.balancer.choose(missedAt);
    }
  };

  const placeNext = () => {
    placed += 1;
    outstanding += 1;
    const mark = options.mark?.(placed);
    const name =
      mark === undefined ? options.prefix : `${options.prefix}-${mark}`;
    void place(`${name}-${String(placed).padStart(6, "0")}`).finally(() => {
      outstanding -= 1;
    });
  };

  let before = startedAt;
  const ticker = setInterval(() => {
    const now = performance.now();
    const rate = options.rate ?? Number.POSITIVE_INFINITY;
    // What could not be placed in its time is not caught up on.
    allowance = Math.min(
      allowance + (rate * (now - before)) / 1000,
      Math.max(1, rate / 10),
    );
    before = now;
    while (allowance >= 1 && outstanding < options.outstandingMax) {
      allowance -= 1;
      placeNext();
    }
  }, 5);

  return {
    answered,
    misses,
    reasons,
    sent: () => sent,
    outstanding: () => outstanding,
    stop: () => clearInterval(ticker),
    end: () => {
      clearInterval(ticker);
      isOver = true;
      agent.destroy();
    },
  };
};
