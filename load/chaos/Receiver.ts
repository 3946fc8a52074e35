/**
 * The receiver of the fulfilment webhook, with a ledger: the effect of an
 * order is applied once for each `Idempotency-Key`, every call is counted, and
 * every signature is checked. What an order's id is marked with decides how
 * the receiver behaves to it.
 */
import { createHmac } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { type Spread, spread } from "./Checks.ts";

/** What a mark in an order's id asks the receiver to do. */
export const poisons = {
  /** Answers 500, always. */
  fails: "fails",
  /** Never answers. */
  hangs: "hangs",
  /** Answers something that is not HTTP. */
  garbage: "garbage",
  /** Says no: 422. */
  refused: "refused",
} as const;
export type Poison = keyof typeof poisons;

/** How the receiver can be away for every order. */
export type Away =
  /** Nobody listens. */
  | "refused"
  /** Calls are never answered. */
  | "hangs"
  /** Every call gets this status. */
  | number;

/** The mark of an order, if it has one. */
export const poisonOf = (order_id: string): Poison | undefined =>
  Object.values(poisons).find((poison) => order_id.includes(`-${poison}-`));

export interface Entry {
  calls: number;
  /** Applications of the effect: 1, or the ledger is broken. */
  effects: number;
}

export interface Receiver {
  readonly url: string;
  /** For `FULFILLMENT_SECRET`. */
  readonly secret: string;
  /** By Idempotency-Key. */
  readonly ledger: ReadonlyMap<string, Entry>;
  /** Calls without a right signature. */
  readonly badSignatures: () => number;
  /** Refuses connections from now on, and ends those there are. */
  readonly down: () => Promise<void>;
  readonly up: () => Promise<void>;
  /** Is away so from now on, until it is so otherwise, or `up`. */
  readonly away: (how: Away) => Promise<void>;
  /** From now on, works orders too that made it hang or answer garbage. */
  readonly mend: () => void;
  /** Calls get no answer until `release`. */
  readonly hold: () => void;
  /** Answers the calls held, each as `status` says, and holds no more. */
  readonly release: (status: (order_id: string) => number) => void;
  /** The orders whose calls are held. */
  readonly held: () => ReadonlyArray<string>;
  /** Has the effect of an order without a call: somebody else's work. */
  readonly apply: (order_id: string) => void;
  /** How far the callers' clock was off, in seconds. */
  readonly clockOff: () => Spread | undefined;
  readonly close: () => Promise<void>;
}

/** How long the work of an order takes. */
const workMillis = 50;

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const chunks: Array<Buffer> = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
};

export const open = async (): Promise<Receiver> => {
  const key = Buffer.from("a key that only the two of us know");
  const ledger = new Map<string, Entry>();
  const clockOff = new Set<number>();
  let badSignatures = 0;
  let isHolding = false;
  let isMended = false;
  let awayAs: Away | undefined;
  let held: Array<{ order_id: string; response: ServerResponse }> = [];
  let server: Server | undefined;
  let port = 0;

  const entryOf = (order_id: string): Entry => {
    const entry = ledger.get(order_id) ?? { calls: 0, effects: 0 };
    ledger.set(order_id, entry);
    return entry;
  };

  const isSigned = ({ headers }: IncomingMessage, body: string): boolean => {
    const content = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const tag = createHmac("sha256", key).update(content).digest("base64");
    return (
      headers["webhook-signature"] === `v1,${tag}` &&
      headers["webhook-id"] === headers["idempotency-key"]
    );
  };

  const answer = (
    order_id: string,
    response: ServerResponse,
    status: number,
  ) => {
    const entry = entryOf(order_id);
    if (status === 200 && entry.effects === 0) {
      entry.effects += 1;
    }
    response.writeHead(status, { "content-type": "text/plain" });
    response.end(status === 200 ? "" : "no");
  };

  const receive = async (
    request: IncomingMessage,
    response: ServerResponse,
  ) => {
    const body = await bodyOf(request);
    const order_id = String(request.headers["idempotency-key"]);
    if (!isSigned(request, body)) badSignatures += 1;
    entryOf(order_id).calls += 1;
    clockOff.add(
      Number(request.headers["webhook-timestamp"]) -
        Math.floor(Date.now() / 1000),
    );
    if (awayAs === "hangs") return;
    if (typeof awayAs === "number") {
      answer(order_id, response, awayAs);
      return;
    }
    const poison = poisonOf(order_id);
    if (poison === "hangs" && !isMended) return;
    if (poison === "garbage" && !isMended) {
      response.socket?.end("\u0000 no HTTP at all \r\n\r\n");
      return;
    }
    if (isHolding) {
      held.push({ order_id, response });
      return;
    }
    const status = poison === "fails" ? 500 : poison === "refused" ? 422 : 200;
    setTimeout(() => answer(order_id, response, status), workMillis);
  };

  const listen = () =>
    new Promise<void>((resolve, reject) => {
      const listening = createServer((request, response) => {
        // A call that breaks off has no one to answer.
        receive(request, response).catch(() => response.destroy());
      });
      listening.keepAliveTimeout = 60_000;
      listening.once("error", reject);
      listening.listen(port, "127.0.0.1", () => {
        port = (listening.address() as { port: number }).port;
        server = listening;
        resolve();
      });
    });

  const down = () =>
    new Promise<void>((resolve) => {
      if (server === undefined) return resolve();
      server.close(() => resolve());
      server.closeAllConnections();
      server = undefined;
    });

  const up = async () => {
    awayAs = undefined;
    if (server === undefined) await listen();
  };

  const away = async (how: Away) => {
    awayAs = how;
    if (how === "refused") await down();
    else if (server === undefined) await listen();
  };

  await up();
  return {
    url: `http://127.0.0.1:${port}/effects`,
    secret: `whsec_${key.toString("base64")}`,
    ledger,
    badSignatures: () => badSignatures,
    down,
    up,
    away,
    mend: () => {
      isMended = true;
    },
    hold: () => {
      isHolding = true;
    },
    release: (status) => {
      isHolding = false;
      const calls = held;
      held = [];
      for (const { order_id, response } of calls) {
        answer(order_id, response, status(order_id));
      }
    },
    held: () => held.map(({ order_id }) => order_id),
    apply: (order_id) => {
      const entry = entryOf(order_id);
      entry.calls += 1;
      if (entry.effects === 0) entry.effects += 1;
    },
    clockOff: () => spread(clockOff),
    close: down,
  };
};
