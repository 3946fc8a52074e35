/**
 * A caller of the service. Every exchange is remembered, so that the OpenAPI
 * document can be held against what really happened.
 */
import { assert } from "vitest";
import { until } from "../support/serviceProcess.ts";
import type { Transport } from "./transports.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The body as it was sent. */
  readonly bytes: Uint8Array;
  readonly text: string;
  /** The body as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look where they like
  readonly json: any;
}

export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly answer: Answer;
}

export interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream has no end: so many of its frames are waited for, or one. */
  readonly frames?: number;
  readonly body?: string | Uint8Array;
  /** Sends the body in chunks, without saying how long it is. */
  readonly chunked?: boolean;
}

/** The JSON of an order, as text, to say exactly how things are written. */
export const orderJson = (fields: Readonly<Record<string, string>> = {}) => {
  const given = {
    order_id: JSON.stringify(newId()),
    user_id: '"USER001"',
    item_ids: '["ITEM001"]',
    total_amount: "99.99",
    ...fields,
  };
  return `{${Object.entries(given)
    .map(([name, json]) => `${JSON.stringify(name)}:${json}`)
    .join(",")}}`;
};

let ids = 0;

/** An id no other test has used. */
export const newId = (): string => {
  ids += 1;
  return `contract-${process.pid}-${ids}`;
};

export class Api {
  readonly exchanges: Array<Exchange> = [];
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Whether requests of this method can be sent at all. */
  canSend(method: string): boolean {
    return !this.#transport.without.includes(method);
  }

  async request(
    method: string,
    path: string,
    sent: Sent = {},
  ): Promise<Answer> {
    const answer = await this.#transport.request(method, path, sent);
    this.exchanges.push({ method, path, answer });
    assert.notStrictEqual(answer.status, 500, `${method} ${path}: a fault`);
    return answer;
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}) {
    return this.request("GET", path, { headers });
  }

  /** The first frames of a stream. */
  listen(
    path: string,
    frames: number,
    headers: Readonly<Record<string, string>> = {},
  ) {
    return this.request("GET", path, { headers, frames });
  }

  post(path: string, headers: Readonly<Record<string, string>> = {}) {
    return this.request("POST", path, { headers });
  }

  /** Places an order given as JSON text, or as fields of such text. */
  place(
    order: string | Uint8Array | Readonly<Record<string, string>> = {},
    sent: Omit<Sent, "body"> = {},
  ) {
    const isBody = typeof order === "string" || order instanceof Uint8Array;
    return this.request("POST", "/api/orders/", {
      ...sent,
      body: isBody ? order : orderJson(order),
      headers: { "content-type": "application/json", ...sent.headers },
    });
  }

  /** Waits until a placed order has this status, and these attempts begun. */
  until(placed: Answer, status: string, attempts?: number): Promise<Answer> {
    const { location = "" } = placed.headers;
    return until(`${location} ${status}`, async () => {
      const found = await this.get(location);
      const isThere =
        found.json.status === status &&
        (attempts === undefined || found.json.attempts === attempts);
      return isThere ? found : undefined;
    });
  }

  /** All pages of a list, following `Link` to the end. */
  async pages(path: string) {
    const pages: Array<Array<{ order_id: string; created_at: string }>> = [];
    for (let next: string | undefined = path; next !== undefined; ) {
      const page: Answer = await this.get(next);
      assert.strictEqual(page.status, 200, page.text);
      pages.push(page.json);
      assert.isBelow(pages.length, 1000, "the pages do not end");
      next = nextOf(page);
    }
    return pages;
  }

  close() {
    this.#transport.close();
  }
}

/** Where `Link` says that the next page is (RFC 8288). */
export const nextOf = (page: Answer): string | undefined => {
  const { link } = page.headers;
  if (link === undefined) return undefined;
  const next = /^<([^>]+)>; rel="next"$/.exec(link)?.[1];
  assert.isDefined(next, link);
  return next;
};

/** The answer is a problem (RFC 9457) of this status. */
export const assertProblem = (
  answer: Answer,
  status: number,
  type = "about:blank",
) => {
  assert.strictEqual(answer.status, status, answer.text);
  assert.strictEqual(
    answer.headers["content-type"],
    "application/problem+json",
  );
  const problem = answer.json;
  assert.strictEqual(problem.status, status);
  assert.strictEqual(problem.type, type);
  assert.isString(problem.title);
  assert.isString(problem.detail);
};

/** What a schema library would say; it helps no caller. */
const jargon =
  /expected|actual|\bgot\b|schema|codec|decod|undefined|brand|finite|NaN|\[object/i;

/**
 * The answer is a 400 that names these places and no others, in words of our
 * own. A place is written as in `payload.item_ids.0`.
 */
export const assertFaults = (
  answer: Answer,
  faults: Readonly<Record<string, RegExp>>,
) => {
  assertProblem(answer, 400);
  const errors = answer.json.errors as ReadonlyArray<{
    path: ReadonlyArray<string | number>;
    message: string;
  }>;
  assert.deepStrictEqual(
    errors.map(({ path }) => path.join(".")).sort(),
    Object.keys(faults).sort(),
    answer.text,
  );
  for (const { message, path } of errors) {
    assert.match(message, faults[path.join(".")] as RegExp);
    assert.notMatch(message, jargon);
  }
};
