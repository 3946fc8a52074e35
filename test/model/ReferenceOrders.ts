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
  /** Its number among all orders, from 1. */
  readonly seq: bigint;
  /** Whether its insert is committed: until then, nobody sees it. */
  isVisible: boolean;
  /** Since when it is. */
  visibleSince: number;
  /** Whether its partition was read past it before it could be seen. */
  wasPassed: boolean;
  status: ReferenceStatus;
  /** What counts against the attempts it gets. */
  attempts: number;
  dueAt: number;
  /** Open, but off the straight way: it is found by when it is due. */
  isAside: boolean;
  lastError: string | null;
  /** How often it became COMPLETED: never more than once. */
  completions: number;
  /** Counts up with each `begin` and never down: its attempt's number. */
  begun: number;
}

export const isFinal = ({ status }: ReferenceOrder): boolean =>
  status === "COMPLETED" || status === "FAILED" || status === "CANCELLED";

export const isOpen = ({ status }: ReferenceOrder): boolean =>
  status === "PENDING" || status === "PROCESSING";

export class ReferenceOrders {
  readonly orders = new Map<string, ReferenceOrder>();
  /** Those of them that are not committed. */
  readonly #invisible = new Set<ReferenceOrder>();
  readonly #epochs = new Map<number, number>();
  readonly #places = new Map<number, bigint>();

  /** In the order of their numbers. */
  all(): ReadonlyArray<ReferenceOrder> {
    return Array.from(this.orders.values());
  }

  /** Whether it is new. A late one has its number, and is not seen yet. */
  insert(
    order_id: string,
    content: string,
    partition: number,
    now: number,
    isLate: boolean,
  ): boolean {
    if (this.orders.has(order_id)) return false;
    const order: ReferenceOrder = {
      order_id,
      content,
      partition,
      seq: this.lastNumber() + 1n,
      isVisible: !isLate,
      visibleSince: now,
      wasPassed: false,
      status: "PENDING",
      attempts: 0,
      dueAt: now,
      isAside: false,
      lastError: null,
      completions: 0,
      begun: 0,
    };
    this.orders.set(order_id, order);
    if (isLate) this.#invisible.add(order);
    return true;
  }

  /** The insert of a late order is committed. */
  commit(order_id: string, now: number): void {
    const order = this.orders.get(order_id);
    if (order === undefined) return;
    order.isVisible = true;
    this.#invisible.delete(order);
    order.visibleSince = now;
  }

  /** The last number that was given. */
  lastNumber(): bigint {
    return BigInt(this.orders.size);
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

  /** Where the partition's next owner reads on. */
  place(partition: number): bigint {
    return this.#places.get(partition) ?? 0n;
  }

  /** Only its owner may, and only forward. */
  keepPlace(partition: number, epoch: number, place: bigint): void {
    if (epoch !== this.epoch(partition)) return;
    if (place > this.place(partition)) this.#places.set(partition, place);
  }

  begin(order_id: string, epoch: number, now: number): boolean {
    const order = this.#visible(order_id);
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
    order.isAside = false;
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
    order.isAside = wait !== undefined;
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
    order.isAside = true;
    order.dueAt = now + wait;
    return true;
  }

  cancel(order_id: string): boolean {
    const order = this.#visible(order_id);
    if (order?.status !== "PENDING") return false;
    order.status = "CANCELLED";
    order.isAside = false;
    return true;
  }

  retry(order_id: string, now: number): boolean {
    const order = this.orders.get(order_id);
    if (order?.status !== "FAILED") return false;
    order.status = "PENDING";
    order.attempts = 0;
    order.isAside = true;
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

  /** On the straight way after a place, in the order of their numbers. */
  log(partition: number, after: bigint): ReadonlyArray<ReferenceOrder> {
    return this.#openIn(partition).filter(
      (order) => !order.isAside && order.seq > after,
    );
  }

  /** The order that may yet appear up to there, if there is one. */
  appearing(settledTo: bigint): ReferenceOrder | undefined {
    return Array.from(this.#invisible).find(({ seq }) => seq <= settledTo);
  }

  /** Aside and due, longest due first. */
  aside(partition: number, now: number): ReadonlyArray<ReferenceOrder> {
    return this.#openIn(partition)
      .filter((order) => order.isAside && order.dueAt <= now)
      .sort((a, b) => a.dueAt - b.dueAt || Number(a.seq - b.seq));
  }

  /** What whoever reads on after a place would never meet. */
  missedAfter(partition: number, place: bigint): ReadonlyArray<ReferenceOrder> {
    return this.all().filter(
      (order) =>
        order.partition === partition &&
        order.seq <= place &&
        isOpen(order) &&
        !order.isAside,
    );
  }

  /** The partition was read up to there: what is seen later is late. */
  pass(partition: number, readTo: bigint): void {
    for (const order of this.#invisible) {
      if (order.partition === partition && order.seq <= readTo) {
        order.wasPassed = true;
      }
    }
  }

  #openIn(partition: number): ReadonlyArray<ReferenceOrder> {
    return this.all().filter(
      (order) =>
        order.partition === partition && order.isVisible && isOpen(order),
    );
  }

  #visible(order_id: string): ReferenceOrder | undefined {
    const order = this.orders.get(order_id);
    return order?.isVisible === true ? order : undefined;
  }

  #underway(order_id: string, attempt: number): ReferenceOrder | undefined {
    const order = this.orders.get(order_id);
    return order?.status === "PROCESSING" && order.begun === attempt
      ? order
      : undefined;
  }
}
