/**
 * What the service has said about orders, and must stand by: an order that was
 * accepted once can be read back as it was sent, and is there only once.
 */
import type { Fault } from "./checks.ts";
import { type Expectation, queryOf } from "./expectation.ts";
import { type Content, contentKey } from "./orderJudge.ts";
import type { Answer, Sent } from "./wire.ts";

interface Order extends Content {
  readonly status: string;
  readonly created_at: string;
}

/** What was known of the order when it was asked for or placed. */
export interface Before {
  readonly order_id: string | undefined;
  /** Its content, if it had been accepted. */
  readonly accepted: string | undefined;
  /** Whether somebody else may have placed it, whose answer is not here. */
  readonly isOpen: boolean;
}

const fault = (kind: string, detail: string): ReadonlyArray<Fault> => [
  { kind, detail },
];

interface Entry {
  readonly order_id: string | null;
  readonly status: number;
  readonly order?: Order;
  readonly problem?: { readonly status: number };
}

/** The entries of an answer to a batch; none if it is no such answer. */
const entriesIn = (
  status: number,
  type: string | undefined,
  body: Buffer,
): ReadonlyArray<Entry> => {
  const text = body.toString("utf8");
  if (status !== 200 || !/json$/.test(type ?? "")) return [];
  const entries: unknown =
    type === "application/x-ndjson"
      ? text
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line))
      : JSON.parse(text);
  return Array.isArray(entries) && typeof entries[0]?.status === "number"
    ? entries
    : [];
};

/**
 * Lists are in the order of numbers; a statement has its number a moment after
 * its time, and another may be in between.
 */
const orderMillis = 1_000;

export class Book {
  /** Each accepted order's content, by its id. */
  readonly accepted = new Map<string, string>();
  readonly locations = new Map<string, string>();
  /** Orders that were sent and whose answer was not waited for. */
  readonly unanswered = new Set<string>();
  readonly cancelled = new Set<string>();
  readonly cursors: Array<string> = [];
  /** How often requests were answered so. */
  readonly statuses = new Map<string, number>();
  readonly #open = new Map<string, number>();
  /** Orders that were sent twice at once: either may be the first. */
  readonly #contested = new Set<string>();

  before(expected: Expectation): Before {
    const { order, orderId } = expected;
    const content =
      order === undefined || order.is === "invalid" ? undefined : order.content;
    const order_id = content?.order_id ?? orderId;
    if (order_id === undefined)
      return { order_id, accepted: undefined, isOpen: true };
    const before = {
      order_id,
      accepted: this.accepted.get(order_id),
      isOpen: this.#open.has(order_id) || this.unanswered.has(order_id),
    };
    if (content !== undefined) {
      if (before.isOpen) this.#contested.add(order_id);
      this.#open.set(order_id, (this.#open.get(order_id) ?? 0) + 1);
    }
    return before;
  }

  /** After the answer, or when it is clear that none will come. */
  settle(expected: Expectation, answer: Answer | undefined) {
    const { batch = [], order } = expected;
    if (answer === undefined) {
      for (const order_id of batch) this.unanswered.add(order_id);
    }
    if (order === undefined || order.is === "invalid") return;
    const order_id = order.content?.order_id;
    if (order_id === undefined) return;
    const open = (this.#open.get(order_id) ?? 1) - 1;
    if (open === 0) this.#open.delete(order_id);
    else this.#open.set(order_id, open);
    if (answer === undefined) this.unanswered.add(order_id);
  }

  faultsOf(
    sent: Sent,
    expected: Expectation,
    before: Before,
    answer: Answer,
  ): ReadonlyArray<Fault> {
    const id = expected.operation?.operationId ?? `${sent.method} elsewhere`;
    const key = `${id} ${answer.status}`;
    this.statuses.set(key, (this.statuses.get(key) ?? 0) + 1);
    if (sent.method === "HEAD") return [];
    switch (id) {
      case "orders.place":
        return this.#placed(expected, before, answer);
      case "orders.list":
        return answer.status === 200 ? this.#listed(sent, answer) : [];
      case "orders.find":
      case "orders.cancel":
      case "orders.retry":
        return this.#asked(id, before, answer);
      case "orders.placeMany":
        return this.#placedMany(answer);
      default:
        return [...this.placedElsewhere(answer), ...this.#placedMany(answer)];
    }
  }

  /** By a path that may, or may not, be that of placing an order. */
  placedElsewhere({ body, headers, status }: Answer): ReadonlyArray<Fault> {
    if (headers.location === undefined) return [];
    if (status !== 200 && status !== 201) return [];
    const order = JSON.parse(body.toString("utf8")) as Order;
    this.accepted.set(order.order_id, contentKey(order));
    return [];
  }

  /** Each order of a batch is new once, and says what it said at first. */
  #placedMany({ body, headers, status }: Answer): ReadonlyArray<Fault> {
    return entriesIn(status, headers["content-type"], body).flatMap(
      ({ order, order_id, problem, status }) => {
        if (order === undefined) {
          return problem?.status === status
            ? []
            : fault("orders.placeMany: an entry of nothing", String(order_id));
        }
        const known = this.accepted.get(order.order_id);
        const stored = contentKey(order);
        this.accepted.set(order.order_id, stored);
        if (order.order_id !== order_id || (known ?? stored) !== stored) {
          return fault("orders.placeMany: another order", stored);
        }
        return (status === 201) === (known === undefined)
          ? []
          : fault(`orders.placeMany: ${status} at the wrong time`, stored);
      },
    );
  }

  #placed(expected: Expectation, before: Before, answer: Answer) {
    const { status } = answer;
    const isReplay = status === 200;
    if (status !== 201 && !isReplay) {
      const isTaken =
        before.accepted !== undefined ||
        before.isOpen ||
        this.#contested.has(String(before.order_id));
      return status === 409 && !isTaken
        ? fault(
            "orders.place: 409 for an id nobody took",
            String(before.order_id),
          )
        : [];
    }
    const order = JSON.parse(answer.body.toString("utf8")) as Order;
    const stored = contentKey(order);
    const { order_id } = order;
    const location = `/api/orders/${encodeURIComponent(order_id)}/`;
    const faults: Array<Fault> = [];
    if (
      expected.order?.is !== "invalid" &&
      expected.order?.content !== undefined
    ) {
      const sent = contentKey(expected.order.content);
      if (sent !== stored) {
        faults.push({
          kind: "orders.place: accepted another order",
          detail: `${sent}, not ${stored}`,
        });
      }
    }
    if (answer.headers.location !== location) {
      faults.push({
        kind: "orders.place: Location",
        detail: `${answer.headers.location}, not ${location}`,
      });
    }
    const known = this.accepted.get(order_id);
    const isContested = before.isOpen || this.#contested.has(order_id);
    if (!isReplay && known !== undefined && !isContested) {
      faults.push({ kind: "orders.place: 201 twice", detail: order_id });
    }
    if (known !== undefined && known !== stored) {
      faults.push({
        kind: "orders.place: replays other content",
        detail: `${known}, not ${stored}`,
      });
    }
    if (isReplay && known === undefined && !isContested) {
      faults.push({
        kind: "orders.place: 200 for a new order",
        detail: order_id,
      });
    }
    if (isReplay !== (answer.headers["idempotent-replayed"] === "true")) {
      faults.push({
        kind: "orders.place: Idempotent-Replayed",
        detail: order_id,
      });
    }
    this.accepted.set(order_id, stored);
    this.locations.set(order_id, answer.headers.location ?? "");
    return faults;
  }

  #asked(id: string, before: Before, answer: Answer): ReadonlyArray<Fault> {
    const { accepted, isOpen, order_id } = before;
    if (answer.status === 404) {
      return accepted === undefined
        ? []
        : fault(`${id}: an accepted order is not found`, String(order_id));
    }
    if (
      // Refused for its body, before the order was looked for.
      answer.status !== 400 &&
      accepted === undefined &&
      !isOpen &&
      // Placed since, by somebody whose answer is here or still on its way.
      !this.accepted.has(String(order_id)) &&
      !this.#open.has(String(order_id)) &&
      !this.unanswered.has(String(order_id))
    ) {
      return fault(`${id}: an order nobody placed`, String(order_id));
    }
    if (answer.status !== 200) return [];
    const order = JSON.parse(answer.body.toString("utf8")) as Order;
    if (id === "orders.cancel") this.cancelled.add(order.order_id);
    if (order.order_id !== order_id) {
      return fault(
        `${id}: another order`,
        `${order.order_id}, not ${order_id}`,
      );
    }
    return this.readBack(order);
  }

  /** What is wrong with an order as it was read back. */
  readBack(order: Content): ReadonlyArray<Fault> {
    const accepted = this.accepted.get(order.order_id);
    const stored = contentKey(order);
    return accepted === undefined || accepted === stored
      ? []
      : fault(
          "an order reads otherwise than it was accepted",
          `${stored}, not ${accepted}`,
        );
  }

  #listed(sent: Sent, answer: Answer): ReadonlyArray<Fault> {
    const orders = JSON.parse(
      answer.body.toString("utf8"),
    ) as ReadonlyArray<Order>;
    const query = queryOf(sent.target);
    const { link } = answer.headers;
    const cursor = /[?&]cursor=([\w-]+)/.exec(link ?? "")?.[1];
    if (cursor !== undefined && this.cursors.length < 1000)
      this.cursors.push(cursor);
    const limit = Number(query.get("limit") ?? 50);
    const statuses = query.getAll("status");
    const user_id = query.get("user_id")?.trim();
    const after = Date.parse(query.get("created_after") ?? "");
    const before = Date.parse(query.get("created_before") ?? "");
    const wrong = orders.filter((order, index) => {
      const created = Date.parse(order.created_at);
      return (
        (statuses.length > 0 && !statuses.includes(order.status)) ||
        (user_id !== undefined && order.user_id !== user_id) ||
        created < after ||
        created > before ||
        created >
          Date.parse(orders[index - 1]?.created_at ?? order.created_at) +
            orderMillis
      );
    });
    return [
      ...orders.flatMap((order) => this.readBack(order)),
      ...wrong.flatMap((order) =>
        fault("orders.list: an order not asked for", JSON.stringify(order)),
      ),
      ...(orders.length > limit || (link !== undefined && orders.length < limit)
        ? fault(
            "orders.list: the size of a page",
            `${orders.length}, link ${link}`,
          )
        : []),
    ];
  }
}
