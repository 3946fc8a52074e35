/**
 * Stands between the processes and the one database they share, sees every
 * call as it happens there, and holds it against what may happen:
 *
 * - the database does what `ReferenceOrders` does, no more and no less;
 * - a process ends an attempt only as that attempt's work ended;
 * - a stale answer changes nothing, nor does what a former owner begins or
 *   takes back; and no process takes back what it has in hand;
 * - no place is kept that an open order lies behind, or may yet appear behind.
 */
import {
  Clock,
  type Context,
  DateTime,
  Duration,
  Effect,
  Option,
} from "effect";
import { type NewOrder, type Order, OrderId } from "../../src/domain/Order.ts";
import type {
  Attempt,
  Begun,
  Claim as Claimed,
  Epoch,
  Failure,
  LogPlace,
  LogRead,
  OpenOrder,
  OrderRepository,
  Release,
  RepositoryUnavailable,
} from "../../src/persistence/OrderRepository.ts";
import type { OrderProcessorOptions } from "../../src/processor/OrderProcessor.ts";
import { beginOne, completeOne } from "../support/oneOrder.ts";
import type * as LateCommits from "./LateCommits.ts";
import { type ReferenceOrder, ReferenceOrders } from "./ReferenceOrders.ts";
import type { Outcome } from "./Schedule.ts";

export const settings = {
  concurrency: 3,
  attemptTimeout: Duration.seconds(5),
  drainTimeout: Duration.seconds(2),
  retryPolicy: {
    maxAttempts: 3,
    base: Duration.seconds(1),
    cap: Duration.seconds(3),
  },
} satisfies OrderProcessorOptions;

const attemptTimeoutMs = Duration.toMillis(settings.attemptTimeout);
const { maxAttempts } = settings.retryPolicy;
const waitBaseMs = Duration.toMillis(settings.retryPolicy.base);
const waitCapMs = Duration.toMillis(settings.retryPolicy.cap);

/** The least and the most, in milliseconds, after so many attempts. */
const waitBounds = (
  number: number,
  { retryAfter }: Pick<Held, "retryAfter">,
) => {
  const full = Math.min(waitCapMs, waitBaseMs * 2 ** (number - 1));
  const least = Math.max(full / 2, retryAfter);
  return [least, Math.max(full, least)] as const;
};

/** After an attempt that was not made; counted by all that ever began. */
const isUnmadeWait = (held: Held, wait: number): boolean => {
  if (held.isForAll) return wait === held.retryAfter;
  const [least, most] = waitBounds(held.attempt, held);
  return wait >= least && wait <= most;
};

/** What a process has in hand: an attempt that it began. */
export interface Held {
  /** Which `begin` of the order it was: no two are the same. */
  readonly attempt: number;
  /** What counts against the attempts the order gets, this one included. */
  readonly attempts: number;
  readonly askedAt: number;
  startedAt: number;
  endedAt: number;
  state:
    | "begun"
    | "working"
    | "interrupted"
    | "interrupted itself"
    | Exclude<Outcome["_tag"], "Hang" | "InterruptItself">;
  retryAfter: number;
  /** Whether nothing is begun so long, the order included. */
  isForAll: boolean;
}

export interface Claim {
  readonly epoch: number;
  readonly at: number;
}

/** A process, as the witness knows it. */
export interface Member {
  readonly name: string;
  /** It was told to stop. */
  draining: boolean;
  /** Another process owns the partitions by now. */
  former: boolean;
  /** What it was told of its claims, by partition: the newest last. */
  readonly claimed: Map<number, ReadonlyArray<Claim>>;
  /** When its actors last crashed, by partition. */
  readonly crashedAt: Map<number, number>;
  readonly held: Map<string, Held>;
  /** Attempts that it began and does not know of: which `begin` of the order. */
  readonly unanswered: Set<string>;
}

type Repository = OrderRepository["Service"];
/** Makes a change happen; says what came of it, if it is to be answered. */
export type Happen<A> = (willAnswer: boolean) => A;
type Asked<A> = Effect.Effect<A, RepositoryUnavailable>;

export class Witness {
  readonly reference = new ReferenceOrders();
  /** What was wrong, first things first. */
  readonly faults: Array<string> = [];
  readonly #trace: Array<string> = [];
  readonly #repository: Repository;
  readonly #commits: LateCommits.Commits;
  readonly #context: Context.Context<never>;
  readonly #clock: Clock.Clock;
  /** Who began an order's latest attempt. */
  readonly #holders = new Map<string, Member>();
  /** When somebody last was told that an attempt at an order is over. */
  readonly endedAt = new Map<string, number>();
  /** Times the work of an order took effect. */
  readonly effects = new Map<string, number>();

  private constructor(
    repository: Repository,
    commits: LateCommits.Commits,
    context: Context.Context<never>,
    clock: Clock.Clock,
  ) {
    this.#repository = repository;
    this.#commits = commits;
    this.#context = context;
    this.#clock = clock;
  }

  static readonly make = (
    repository: Repository,
    commits: LateCommits.Commits,
  ) =>
    Effect.gen(function* () {
      const context = yield* Effect.context<never>();
      return new Witness(repository, commits, context, yield* Clock.Clock);
    });

  now(): number {
    return this.#clock.currentTimeMillisUnsafe();
  }

  /** Written down: who did what, when. */
  note(who: string, what: string) {
    const time = (this.now() / 1000).toFixed(3).padStart(8);
    this.#trace.push(`${time} s  ${who.padEnd(8)} ${what}`);
  }

  fault(what: string) {
    this.note("FAULT", what);
    this.faults.push(what);
  }

  /** The latest of what happened. */
  trace(linesMax: number): string {
    const left = this.#trace.length - linesMax;
    return [
      ...(left > 0 ? [`... ${left} lines before ...`] : []),
      ...this.#trace.slice(-linesMax),
    ].join("\n");
  }

  // What processes ask of the database. Whether they may is looked at when they
  // ask; what they get back happens then, or later. It happens at once: nothing
  // comes between the database's doing it and the look at what it did.

  /** A late order is numbered now, and seen only once it is committed. */
  insert(who: Member, order: NewOrder, partition: number, isLate: boolean) {
    const { order_id } = order;
    if (isLate) this.#commits.hold(order_id);
    const placement = this.#ask(
      // Nothing ever leaves the table here, and nothing is refused.
      Effect.catchTags(this.#repository.insert(order, partition as never), {
        OrderHasLeft: Effect.die,
        OrderRefused: Effect.die,
      }),
    );
    const isNew = this.reference.insert(
      order_id,
      String(order.total_amount),
      partition,
      this.now(),
      isLate,
    );
    const number = this.reference.orders.get(order_id)?.seq;
    const what = isNew ? `new, number ${number} of ${partition}` : "known";
    const commit = isLate ? ", not committed" : "";
    this.note(who.name, `insert ${order_id}: ${what}${commit}`);
    this.#same(`insert ${order_id}`, placement.isNew, isNew);
    this.#look(order_id);
    return placement;
  }

  commit(order_id: string) {
    this.#commits.commit(order_id);
    this.reference.commit(order_id, this.now());
    this.note("database", `${order_id} is committed`);
    this.#look(order_id);
  }

  claim(who: Member, partition: number): Happen<Claimed> {
    return (willAnswer) => {
      const claim = this.#ask(this.#repository.claim(partition as never));
      const epoch = this.reference.claim(partition);
      const place = this.reference.place(partition);
      const answer = willAnswer ? "" : ", never answered";
      this.note(
        who.name,
        `claim ${partition}: epoch ${epoch}${answer}, reads on after ${place}`,
      );
      this.#same(`claim ${partition}`, claim.epoch, epoch);
      this.#same(`claim ${partition}, its place`, claim.place, place);
      this.#checkPlace(who, partition, claim.place);
      if (willAnswer) {
        who.claimed.set(partition, [
          ...this.#claims(who, partition),
          { epoch: claim.epoch, at: this.now() },
        ]);
      }
      return claim;
    };
  }

  keepPlace(
    who: Member,
    partition: number,
    epoch: Epoch,
    place: LogPlace,
  ): Happen<void> {
    this.#checkEpoch(who, partition, epoch);
    // Once it is true that all is done up to there, it is so for ever.
    this.#checkPlace(who, partition, place);
    return (willAnswer) => {
      this.#ask(this.#repository.keepPlace(partition as never, epoch, place));
      this.reference.keepPlace(partition, epoch, place);
      const isKept = this.reference.place(partition) === place;
      const answer = willAnswer ? "" : ", never answered";
      this.note(
        who.name,
        `keep place ${place} of ${partition}: ${isKept ? "done" : "no"}${answer}`,
      );
    };
  }

  /** Whoever reads on after the place misses nothing. */
  #checkPlace(who: Member, partition: number, place: LogPlace) {
    for (const order of this.reference.missedAfter(partition, place)) {
      this.fault(
        `${who.name} keeps place ${place} of ${partition}: behind it, ${order.order_id}, number ${order.seq}, ${order.isVisible ? `is ${order.status}` : "is not committed yet"}`,
      );
    }
    const last = this.reference.lastNumber();
    if (place > last) {
      this.fault(
        `${who.name} keeps place ${place} of ${partition}, and the last number is ${last}`,
      );
    }
  }

  epoch(partition: number): Epoch {
    const epoch = this.#ask(this.#repository.epoch(partition as never));
    this.#same(`epoch of ${partition}`, epoch, this.reference.epoch(partition));
    return epoch;
  }

  /** Whether its actor has claimed the partition, and nobody since. */
  owns(who: Member, partition: number): boolean {
    const newest = this.#claims(who, partition).at(-1);
    return (
      newest?.epoch === this.reference.epoch(partition) &&
      newest.at > (who.crashedAt.get(partition) ?? -1)
    );
  }

  #claims(who: Member, partition: number): ReadonlyArray<Claim> {
    return who.claimed.get(partition) ?? [];
  }

  #partitionOf(order_id: string): number {
    return this.reference.orders.get(order_id)?.partition ?? -1;
  }

  /** An epoch is given as it was answered, to the process that gives it. */
  #checkEpoch(who: Member, partition: number, epoch: number) {
    const claims = this.#claims(who, partition);
    if (claims.some((claim) => claim.epoch === epoch)) return;
    this.fault(`${who.name} never claimed ${partition} at epoch ${epoch}`);
  }

  begin(
    who: Member,
    order_id: string,
    epoch: number,
  ): Happen<Option.Option<Begun>> {
    const askedAt = this.now();
    this.#checkEpoch(who, this.#partitionOf(order_id), epoch);
    return (willAnswer) =>
      this.#begin(who, order_id, epoch, askedAt, willAnswer);
  }

  #begin(
    who: Member,
    order_id: string,
    epoch: number,
    askedAt: number,
    willAnswer: boolean,
  ) {
    const begun = this.#ask(
      beginOne(this.#repository, order_id as never, epoch),
    );
    const mayBegin = this.reference.begin(order_id, epoch, this.now());
    this.#same(`begin ${order_id}`, Option.isSome(begun), mayBegin);
    this.#look(order_id);
    const order = this.reference.orders.get(order_id);
    if (!mayBegin || order === undefined) {
      this.note(who.name, `begin ${order_id}: not to be begun`);
      return begun;
    }
    const answer = willAnswer ? "" : ", never answered";
    this.note(who.name, `begin ${order_id}: attempt ${order.begun}${answer}`);
    this.#same(
      `begin ${order_id}, its number`,
      Option.getOrUndefined(begun)?.attempt,
      order.begun,
    );
    if (order.attempts > maxAttempts) {
      this.fault(`${order_id} is begun for the ${order.attempts}th time`);
    }
    this.#holders.set(order_id, who);
    if (!willAnswer) {
      who.unanswered.add(`${order_id}:${order.begun}`);
      return begun;
    }
    const before = who.held.get(order_id);
    if (before !== undefined && !this.#isOrphaned(who, order_id, before)) {
      this.fault(`${who.name} begins ${order_id}, which it has in hand`);
    }
    who.held.set(order_id, {
      attempt: order.begun,
      attempts: order.attempts,
      askedAt,
      startedAt: this.now(),
      endedAt: 0,
      state: "begun",
      retryAfter: 0,
      isForAll: false,
    });
    return begun;
  }

  complete(who: Member, { order_id, attempt }: Attempt): Happen<boolean> {
    const held = this.#heldFor(who, order_id, attempt);
    if (held?.state !== "Succeed") {
      this.fault(
        `${who.name} completes ${order_id} whose work is: ${held?.state ?? "not its own"}`,
      );
    }
    return (willAnswer) => {
      const done = this.#ask(
        completeOne(this.#repository, { order_id, attempt }),
      );
      const mayDo = this.reference.complete(order_id, attempt);
      this.#ended(who, "complete", order_id, attempt, done, mayDo, willAnswer);
      if (mayDo && (this.effects.get(order_id) ?? 0) === 0) {
        this.fault(`${order_id} is COMPLETED and its work was never done`);
      }
      return done;
    };
  }

  fail(who: Member, failure: Failure): Happen<boolean> {
    const { epoch, error, order_id, attempt } = failure;
    const wait =
      failure.wait === undefined ? undefined : Duration.toMillis(failure.wait);
    const held = this.#heldFor(who, order_id, attempt);
    const isOwn =
      epoch === undefined && held !== undefined && this.#hasFailed(held);
    if (isOwn) this.#checkWait(failure, held, wait);
    else this.#checkTakeBack(who, failure, wait);
    const what = isOwn ? "fail" : "take back";
    return (willAnswer) => {
      const done = this.#ask(this.#repository.fail(failure));
      const mayDo = this.reference.fail(
        order_id,
        attempt,
        error,
        wait,
        epoch,
        this.now(),
      );
      this.#ended(who, what, order_id, attempt, done, mayDo, willAnswer);
      return done;
    };
  }

  release(who: Member, released: Release): Happen<boolean> {
    const { order_id, attempt, error } = released;
    const wait = Duration.toMillis(released.wait);
    const held = this.#heldFor(who, order_id, attempt);
    const isStopping =
      who.draining ||
      (held !== undefined && this.#isOrphaned(who, order_id, held));
    const mayRelease =
      held?.state === "Unavailable"
        ? isUnmadeWait(held, wait)
        : isStopping &&
          wait === 0 &&
          (held?.state === "begun" ||
            held?.state === "interrupted" ||
            held?.state === "interrupted itself");
    if (!mayRelease) {
      this.fault(
        `${who.name} gives ${order_id} back for ${wait} ms, whose work is: ${held?.state ?? "not its own"}`,
      );
    }
    return (willAnswer) => {
      const done = this.#ask(this.#repository.release(released));
      const now = this.now();
      const mayDo = this.reference.release(order_id, attempt, error, wait, now);
      this.#ended(who, "give back", order_id, attempt, done, mayDo, willAnswer);
      return done;
    };
  }

  cancel(who: Member, order_id: string) {
    const cancelled = this.#ask(this.#repository.cancel(order_id));
    const mayCancel = this.reference.cancel(order_id);
    this.note(who.name, `cancel ${order_id}: ${mayCancel ? "done" : "no"}`);
    this.#same(`cancel ${order_id}`, Option.isSome(cancelled), mayCancel);
    this.#look(order_id);
    return cancelled;
  }

  retry(who: Member, order_id: string) {
    const retried = this.#ask(this.#repository.retry(order_id));
    const mayRetry = this.reference.retry(order_id, this.now());
    this.note(who.name, `retry ${order_id}: ${mayRetry ? "done" : "no"}`);
    this.#same(`retry ${order_id}`, Option.isSome(retried), mayRetry);
    this.#look(order_id);
    return retried;
  }

  retryMany(who: Member, limit: number) {
    const retried = this.#ask(this.#repository.retryMany({ limit }));
    const expected = this.reference.retryMany(limit, this.now());
    this.note(who.name, `retry at most ${limit}: ${expected.join(" ")}`);
    this.#same(
      `retry at most ${limit}`,
      retried.orders.map(({ order_id }) => order_id).join(" "),
      expected.join(" "),
    );
    for (const order_id of expected) this.#look(order_id);
    return retried;
  }

  readLog(partition: number, after: LogPlace, limit: number): LogRead {
    const what = `the log of ${partition} after ${after}`;
    const read = this.#ask(
      this.#repository.readLog(partition as never, after, limit),
    );
    const { isEnd, readTo, settledTo } = read;
    const ahead = this.reference.log(partition, after);
    const expected = ahead.filter((order) => order.seq <= readTo);
    this.#same(what, openWords(read.open), expectOpen(expected));
    this.#same(`${what}, within its limit`, read.open.length <= limit, true);
    this.#same(`${what}, read on`, isEnd || readTo > after, true);
    this.#same(`${what}, not read back`, readTo >= after, true);
    const isAll = expected.length === ahead.length;
    this.#same(`${what}, at its end`, !isEnd || isAll, true);
    const appearing = this.reference.appearing(settledTo)?.order_id;
    this.#same(`${what}, settled`, appearing, undefined);
    const isGiven = settledTo <= this.reference.lastNumber();
    this.#same(`${what}, settled as far as numbered`, isGiven, true);
    this.reference.pass(partition, readTo);
    return read;
  }

  readAside(partition: number, limit: number): ReadonlyArray<OpenOrder> {
    const aside = this.#ask(
      this.#repository.readAside(partition as never, limit),
    );
    const expected = this.reference.aside(partition, this.now());
    this.#same(
      `aside in ${partition}`,
      openWords(aside),
      expectOpen(expected.slice(0, limit)),
    );
    return aside;
  }

  read<A>(ask: (repository: Repository) => Asked<A>): A {
    return this.#ask(ask(this.#repository));
  }

  /** Everything that was taken in is there, once, and counted. */
  checkTally() {
    const tally = this.read((repository) => repository.tally);
    const all = this.reference.all().filter(({ isVisible }) => isVisible);
    this.#same("orders accepted", tally.accepted, all.length);
    for (const [status, count] of Object.entries(tally.counts)) {
      const expected = all.filter((order) => order.status === status).length;
      this.#same(`orders ${status}`, count, expected);
    }
    for (const { order_id } of all) this.#look(order_id);
  }

  /** Its own fault: it forgets the attempt, and will have to find it. */
  drops(who: Member, order_id: string) {
    const held = who.held.get(order_id);
    this.note(who.name, `drops ${order_id}`);
    if (held === undefined) return;
    who.unanswered.add(`${order_id}:${held.attempt}`);
    who.held.delete(order_id);
  }

  // The work.

  /** Its work begins; what the process has in hand of it. */
  workBegins(who: Member, order: Order): Held | undefined {
    const { order_id, attempts } = order;
    const held = who.held.get(order_id);
    if (held?.state !== "begun" || held.attempts !== attempts) {
      this.fault(
        `${who.name} works on attempt ${attempts} at ${order_id}, which is: ${held?.state ?? "not its own"}`,
      );
      return held;
    }
    held.state = "working";
    held.startedAt = this.now();
    const open = Array.from(who.held.values()).filter(
      ({ state }) => state === "working",
    ).length;
    if (open > settings.concurrency) {
      this.fault(`${who.name} works on ${open} orders at once`);
    }
    return held;
  }

  workIsInterrupted(held: Held) {
    held.state = "interrupted";
    held.endedAt = this.now();
  }

  workTakesEffect(who: Member, order_id: string) {
    this.note(who.name, `the work of ${order_id} takes effect`);
    this.effects.set(order_id, (this.effects.get(order_id) ?? 0) + 1);
  }

  // What must hold.

  #hasFailed(held: Held): boolean {
    switch (held.state) {
      case "FailRetryably":
      case "FailFinally":
      case "Defect":
      case "Throw":
      case "interrupted itself":
        return true;
      case "interrupted":
        return held.endedAt - held.startedAt >= attemptTimeoutMs;
      default:
        return false;
    }
  }

  /** The wait grows, has its limit, and heeds what was asked for. */
  #checkWait(
    { order_id, attempt }: Failure,
    held: Pick<Held, "attempts" | "retryAfter"> & { readonly state: string },
    wait?: number,
  ) {
    const { attempts } = held;
    const mustEnd = held.state === "FailFinally" || attempts >= maxAttempts;
    const isFirstLost = held.state === "lost" && attempts === 1;
    const [least, most] = isFirstLost ? [0, 0] : waitBounds(attempts, held);
    const isRight = mustEnd
      ? wait === undefined
      : wait !== undefined && wait >= least && wait <= most;
    if (!isRight) {
      this.fault(
        `${order_id} waits ${wait ?? "for ever"} after attempt ${attempt} (${held.state}): ${mustEnd ? "it is a dead letter" : `${least}..${most} ms are right`}`,
      );
    }
  }

  /** Only what nobody is working on is taken back. */
  #checkTakeBack(who: Member, failure: Failure, wait?: number) {
    const { attempt, epoch, order_id } = failure;
    if (epoch === undefined) {
      this.fault(
        `${who.name} fails attempt ${attempt} at ${order_id}, which is not its own or has not failed, as anybody's`,
      );
    } else {
      this.#checkEpoch(who, this.#partitionOf(order_id), epoch);
    }
    const order = this.reference.orders.get(order_id);
    if (order?.status !== "PROCESSING" || order.begun !== attempt) return;
    const holder = this.#holders.get(order_id);
    const held = who.held.get(order_id);
    const isInHand =
      holder === who &&
      held !== undefined &&
      !who.unanswered.has(`${order_id}:${order.begun}`) &&
      !this.#isOrphaned(who, order_id, held);
    if (isInHand) {
      this.fault(
        `${who.name} takes ${order_id} back, which it has in hand: ${held.state}`,
      );
    }
    this.#checkWait(failure, { ...lost, attempts: order.attempts }, wait);
  }

  #ended(
    who: Member,
    what: string,
    order_id: string,
    attempt: number,
    done: boolean,
    mayDo: boolean,
    willAnswer: boolean,
  ) {
    const change = `${what} attempt ${attempt} at ${order_id}`;
    const answer = willAnswer ? "" : ", never answered";
    this.note(who.name, `${change}: ${mayDo ? "done" : "too late"}${answer}`);
    this.#same(change, done, mayDo);
    this.#look(order_id);
    if (!willAnswer) return;
    this.endedAt.set(order_id, this.now());
    if (who.held.get(order_id)?.attempt === attempt) who.held.delete(order_id);
  }

  #heldFor(who: Member, order_id: string, attempt: number): Held | undefined {
    const held = who.held.get(order_id);
    return held?.attempt === attempt ? held : undefined;
  }

  /** The actor that began it has crashed since. */
  #isOrphaned(who: Member, order_id: string, held: Held): boolean {
    const partition = this.#partitionOf(order_id);
    return held.askedAt <= (who.crashedAt.get(partition) ?? -1);
  }

  #ask<A>(effect: Asked<A>): A {
    return Effect.runSyncWith(this.#context)(effect);
  }

  #same(what: string, is: unknown, expected: unknown) {
    if (is === expected) return;
    this.fault(`${what}: the answer is "${is}", and should be "${expected}"`);
  }

  /** The order is kept as it should be. */
  #look(order_id: string) {
    const found = this.#ask(this.#repository.find(order_id));
    const expected = this.reference.orders.get(order_id);
    const is = Option.match(found, { onNone: () => "none", onSome: summary });
    const isThere = expected?.isVisible === true;
    this.#same(`order ${order_id}`, is, isThere ? expect(expected) : "none");
    if (expected !== undefined && expected.completions > 1) {
      this.fault(`${order_id} was completed ${expected.completions} times`);
    }
  }
}

/**
 * A lost attempt counts as one that failed and asked for no wait. After the
 * first, the order does not wait at all.
 */
const lost = { state: "lost", retryAfter: 0 };

const words = (
  status: string,
  attempts: number,
  content: string,
  error: string | null,
  dueAt: number | null,
) =>
  `${status}, ${attempts} attempts, amount ${content}, error ${error}, next at ${dueAt}`;

const summary = (order: Order) =>
  words(
    order.status,
    order.attempts,
    String(order.total_amount),
    order.last_error,
    order.next_attempt_at && DateTime.toEpochMillis(order.next_attempt_at),
  );

const expect = (order: ReferenceOrder) =>
  words(
    order.status,
    order.attempts,
    order.content,
    order.lastError,
    order.status === "PENDING" && order.attempts > 0 ? order.dueAt : null,
  );

/** Open orders as they are read. */
const openWords = (orders: ReadonlyArray<OpenOrder>): string =>
  orders
    .map(({ order_id, seq, underway }) =>
      underway === undefined
        ? `${seq} ${order_id}`
        : `${seq} ${order_id} attempt ${underway.attempt} of ${underway.order_id}, counted as ${underway.attempts}`,
    )
    .join("; ");

const expectOpen = (orders: ReadonlyArray<ReferenceOrder>): string =>
  openWords(
    orders.map(({ attempts, begun, order_id, seq, status }) => ({
      order_id: OrderId.make(order_id),
      seq,
      item_bytes: 0,
      underway:
        status === "PROCESSING"
          ? { order_id: OrderId.make(order_id), attempt: begun, attempts }
          : undefined,
    })),
  );
