/**
 * What orders may do, written a second time: from the life of an order as the
 * README draws it and the words of `OrderRepository`, without a look at how
 * they are kept. Plain and mutable, so that it can be read at a glance; times
 * are milliseconds.
 */

export type ReferenceStatus =
  | "PENDING"
  | "PROCESSING"
  | "COMPLETED"
  | "FAILED"
  | "CANCELLED";

export interface ReferenceOrder {
  readonly order_id: string;
  /** What was placed, as one word. */
  readonly content: string;
  readonly partition: number;
  /** Its place among all orders, from 0. */
  readonly seq: number;
  status: ReferenceStatus;
  /** What counts against the attempts it gets. */
  attempts: number;
  dueAt: number;
  lastError: string | null;
  /** How often it became COMPLETED: never more than once. */
  completions: number;
  /** Counts up with each `begin` and never down: its attempt's number. */
  begun: number;
}

export const isFinal = ({ status }: ReferenceOrder): boolean =>
  status === "COMPLETED" || status === "FAILED" || status === "CANCELLED";

export class ReferenceOrders {
  readonly orders = new Map<string, ReferenceOrder>();
  readonly #epochs = new Map<number, number>();

  all(): ReadonlyArray<ReferenceOrder> {
    return Array.from(this.orders.values());
  }

  /** Whether it is new. */
  insert(
    order_id: string,
    content: string,
    partition: number,
    now: number,
  ): boolean {
    if (this.orders.has(order_id)) return false;
    this.orders.set(order_id, {
      order_id,
      content,
      partition,
      seq: this.orders.size,
      status: "PENDING",
      attempts: 0,
      dueAt: now,
      lastError: null,
      completions: 0,
      begun: 0,
    });
    return true;
  }

  /** How often the partition was taken over. */
  epoch(partition: number): number {
    return this.#epochs.get(partition) ?? 0;
  }

  claim(partition: number): number {
    const epoch = this.epoch(partition) + 1;
    this.#epochs.set(partition, epoch);
    return epoch;
  }

  begin(order_id: string, epoch: number, now: number): boolean {
    const order = this.orders.get(order_id);
    if (order?.status !== "PENDING" || order.dueAt > now) return false;
    if (epoch !== this.epoch(order.partition)) return false;
    order.status = "PROCESSING";
    order.attempts += 1;
    order.begun += 1;
    return true;
  }

  complete(order_id: string, attempt: number): boolean {
    const order = this.#underway(order_id, attempt);
    if (order === undefined) return false;
    order.status = "COMPLETED";
    order.completions += 1;
    return true;
  }

  /** Without a wait it is FAILED; without an epoch anybody may. */
  fail(
    order_id: string,
    attempt: number,
    error: string,
    wait: number | undefined,
    epoch: number | undefined,
    now: number,
  ): boolean {
    const order = this.#underway(order_id, attempt);
    if (order === undefined) return false;
    if (epoch !== undefined && epoch !== this.epoch(order.partition)) {
      return false;
    }
    order.status = wait === undefined ? "FAILED" : "PENDING";
    order.dueAt = now + (wait ?? 0);
    order.lastError = error;
    return true;
  }

  release(
    order_id: string,
    attempt: number,
    error: string | undefined,
    wait: number,
    now: number,
  ): boolean {
    const order = this.#underway(order_id, attempt);
    if (order === undefined) return false;
    order.status = "PENDING";
    order.lastError = error ?? order.lastError;
    order.attempts -= 1;
    order.dueAt = now + wait;
    return true;
  }

  cancel(order_id: string): boolean {
    const order = this.orders.get(order_id);
    if (order?.status !== "PENDING") return false;
    order.status = "CANCELLED";
    return true;
  }

  retry(order_id: string, now: number): boolean {
    const order = this.orders.get(order_id);
    if (order?.status !== "FAILED") return false;
    order.status = "PENDING";
    order.attempts = 0;
    order.dueAt = now;
    return true;
  }

  /** Oldest first; their ids. */
  retryMany(limit: number, now: number): ReadonlyArray<string> {
    const ids = this.all()
      .filter(({ status }) => status === "FAILED")
      .slice(0, limit)
      .map(({ order_id }) => order_id);
    for (const order_id of ids) this.retry(order_id, now);
    return ids;
  }

  /** Longest due first; their ids. */
  due(partition: number, limit: number, now: number): ReadonlyArray<string> {
    return this.all()
      .filter(
        (order) =>
          order.partition === partition &&
          order.status === "PENDING" &&
          order.dueAt <= now,
      )
      .sort((a, b) => a.dueAt - b.dueAt || a.seq - b.seq)
      .slice(0, limit)
      .map(({ order_id }) => order_id);
  }

  underway(partition: number): ReadonlyArray<ReferenceOrder> {
    return this.all().filter(
      (order) => order.partition === partition && order.status === "PROCESSING",
    );
  }

  #underway(order_id: string, attempt: number): ReferenceOrder | undefined {
    const order = this.orders.get(order_id);
    return order?.status === "PROCESSING" && order.begun === attempt
      ? order
      : undefined;
  }
}
