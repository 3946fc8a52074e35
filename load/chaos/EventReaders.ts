/**
 * Three who must hear of everything, whatever happens meanwhile: one reads the
 * feed, one listens to the stream, one gets it posted. Each begins before the
 * first order is placed, and comes back by itself when it was cut off.
 */
import { createHmac } from "node:crypto";
import { createServer, type Server } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import type { Balancer } from "./Balancer.ts";
import type { Demand } from "./Demands.ts";

interface HeardEvent {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
}

/** What one of them has heard: of each order, each event once, as it came. */
class Hearing {
  readonly name: string;
  private readonly ids = new Set<string>();
  readonly byOrder = new Map<string, Array<string>>();
  completed = 0;
  /** Events that came again under the same id. */
  again = 0;

  constructor(name: string) {
    this.name = name;
  }

  hear({ id, subject, type }: HeardEvent) {
    if (this.ids.has(id)) {
      this.again += 1;
      return;
    }
    this.ids.add(id);
    const types = this.byOrder.get(subject) ?? [];
    types.push(type);
    this.byOrder.set(subject, types);
    if (type === "order.completed") this.completed += 1;
  }
}

export interface EventReaders {
  /** The receiver of the subscription refuses connections, until it is back. */
  readonly down: () => Promise<void>;
  readonly up: () => Promise<void>;
  /** Waits until all have heard of all these orders; then, what must hold. */
  readonly finish: (
    answered: ReadonlyArray<string>,
  ) => Promise<ReadonlyArray<Demand>>;
}

/** How long the last events may take to be heard. */
const patienceSeconds = 60;

/** Between two tries. */
const pauseMillis = 200;

const bodyOf = async (request: AsyncIterable<Buffer>) => {
  const chunks: Array<Buffer> = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

/** Asks on and on, each time from where the last answer ended. */
const readFeed = async (
  base: () => string,
  hearing: Hearing,
  signal: AbortSignal,
) => {
  let path = "/api/events/?limit=500&wait=5";
  while (!signal.aborted) {
    try {
      const answer = await fetch(base() + path, { signal });
      const events = (await answer.json()) as ReadonlyArray<HeardEvent>;
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      for (const event of events) hearing.hear(event);
      path = /<([^>]+)>/.exec(answer.headers.get("link") ?? "")?.[1] ?? path;
    } catch {
      await wait(pauseMillis);
    }
  }
};

/** As a browser would: comes back with the id of the last event. */
const readStream = async (
  base: () => string,
  hearing: Hearing,
  signal: AbortSignal,
) => {
  let last: string | undefined;
  const take = (message: string) => {
    const field = (name: string) =>
      new RegExp(`^${name}: (.*)$`, "m").exec(message)?.[1];
    const event = field("event");
    if (event?.startsWith("order.") === true) {
      hearing.hear(JSON.parse(field("data") ?? "") as HeardEvent);
    }
    last = field("id") ?? last;
  };
  while (!signal.aborted) {
    try {
      const answer = await fetch(`${base()}/api/events/stream/`, {
        signal,
        headers: last === undefined ? {} : { "last-event-id": last },
      });
      if (!answer.ok || answer.body === null) throw new Error("no stream");
      let text = "";
      for await (const chunk of answer.body.pipeThrough(
        new TextDecoderStream(),
      )) {
        const messages = (text + chunk).split("\n\n");
        text = messages.pop() ?? "";
        for (const message of messages) take(message);
      }
    } catch {
      await wait(pauseMillis);
    }
  }
};

/** Gets events posted; takes none that is not signed. */
const openReceiver = async (hearing: Hearing) => {
  let key = Buffer.alloc(0);
  let badSignatures = 0;
  let port = 0;
  let server: Server | undefined;

  const isSigned = (headers: NodeJS.Dict<string | string[]>, body: string) => {
    const content = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const tag = createHmac("sha256", key).update(content).digest("base64");
    return headers["webhook-signature"] === `v1,${tag}`;
  };

  const up = () =>
    new Promise<void>((resolve, reject) => {
      const listening = createServer((request, response) => {
        bodyOf(request)
          .then((body) => {
            const isGood = isSigned(request.headers, body);
            if (!isGood) badSignatures += 1;
            const events = JSON.parse(body) as ReadonlyArray<HeardEvent>;
            if (isGood) for (const event of events) hearing.hear(event);
            response.writeHead(isGood ? 204 : 401).end();
          })
          .catch(() => response.destroy());
      });
      listening.once("error", reject);
      listening.listen(port, "127.0.0.1", () => {
        port = (listening.address() as { port: number }).port;
        server = listening;
        resolve();
      });
    });

  const down = () =>
    new Promise<void>((resolve) => {
      server?.close(() => resolve());
      server?.closeAllConnections();
      server = undefined;
    });

  await up();
  return {
    url: `http://127.0.0.1:${port}/events`,
    useSecret: (secret: string) => {
      key = Buffer.from(secret.replace("whsec_", ""), "base64");
    },
    badSignatures: () => badSignatures,
    isUp: () => server !== undefined,
    up,
    down,
  };
};

/** Orders of which it has not heard exactly what it must, in that order. */
const missing = (hearing: Hearing, answered: ReadonlyArray<string>) =>
  answered.filter((order_id) => {
    const types = hearing.byOrder.get(order_id) ?? [];
    const once = (type: string) => types.filter((_) => _ === type).length === 1;
    return !(
      once("order.placed") &&
      once("order.completed") &&
      types[0] === "order.placed" &&
      types.at(-1) === "order.completed"
    );
  });

export const open = async (balancer: Balancer): Promise<EventReaders> => {
  const base = () => balancer.choose(new Set()) ?? "";
  const feed = new Hearing("the feed");
  const stream = new Hearing("the stream");
  const subscription = new Hearing("the subscription");
  const receiver = await openReceiver(subscription);
  const made = await fetch(`${base()}/api/subscriptions/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ url: receiver.url }),
  });
  if (made.status !== 201) throw new Error(`no subscription: ${made.status}`);
  receiver.useSecret(((await made.json()) as { secret: string }).secret);
  const over = new AbortController();
  const reading = [
    readFeed(base, feed, over.signal),
    readStream(base, stream, over.signal),
  ];

  return {
    down: receiver.down,
    up: receiver.up,
    finish: async (answered) => {
      const hearings = [feed, stream, subscription];
      const until = Date.now() + patienceSeconds * 1000;
      const isHeard = () =>
        hearings.every((_) => missing(_, answered).length === 0);
      while (!isHeard() && Date.now() < until) await wait(pauseMillis);
      over.abort();
      await Promise.all(reading);
      if (receiver.isUp()) await receiver.down();
      return [
        ...hearings.map((hearing) => {
          const without = missing(hearing, answered);
          return {
            demand: `${hearing.name} tells of each order once that it was placed, and then that it was completed`,
            isMet: without.length === 0,
            found:
              without.length === 0
                ? `of ${answered.length} orders; ${hearing.again} events came again`
                : `not of ${without.length}: ${without.slice(0, 3).map((_) => `${_} (${hearing.byOrder.get(_) ?? ""})`)}`,
          };
        }),
        {
          demand: "nothing comes twice in feed and stream",
          isMet: feed.again === 0 && stream.again === 0,
          found: `${feed.again} and ${stream.again}`,
        },
        {
          demand: "every batch of the subscription is signed",
          isMet: receiver.badSignatures() === 0,
          found: `${receiver.badSignatures()} were not`,
        },
      ];
    },
  };
};
