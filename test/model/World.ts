/**
 * Plays a schedule: real order processors, one after the other and at times
 * side by side, over one database in memory, under `TestClock`.
 *
 * A process is known only by what it asks of the database and does in its
 * work. So a killed one is one of whose calls none goes out or comes back from
 * then on, and a frozen one is one whose calls wait.
 */
import {
  Context,
  Data,
  Duration,
  Effect,
  Exit,
  identity,
  Latch,
  Layer,
  Random,
  References,
  Result,
  Scope,
} from "effect";
import { TestClock } from "effect/testing";
import {
  type NewOrder,
  type Order,
  OrderId,
  TotalAmount,
  UserId,
} from "../../src/domain/Order.ts";
import { type Partition, partitions } from "../../src/domain/Partition.ts";
import { Orders } from "../../src/orders/Orders.ts";
import { Database } from "../../src/persistence/Database.ts";
import {
  type Claim,
  OrderRepository,
  RepositoryUnavailable,
} from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import {
  Fulfilment,
  FulfilmentFailed,
  FulfilmentUnavailable,
} from "../../src/processor/Fulfilment.ts";
import {
  OrderProcessor,
  type ProcessorStatus,
} from "../../src/processor/OrderProcessor.ts";
import { askEach } from "../support/oneOrder.ts";
import * as LateCommits from "./LateCommits.ts";
import { type Mutants, noMutants, ProcessMutants } from "./Mutants.ts";
import { isFinal } from "./ReferenceOrders.ts";
import {
  type Change,
  describeSchedule,
  type Outcome,
  type Schedule,
  type Step,
} from "./Schedule.ts";
import * as ShortReads from "./ShortReads.ts";
import { type Happen, type Member, settings, Witness } from "./Witness.ts";

/** Something happened that must not, or did not happen that must. */
export class Broken extends Data.TaggedError("Broken")<{
  readonly what: ReadonlyArray<string>;
  readonly schedule: string;
  readonly trace: string;
}> {
  override get message() {
    return `${this.what[0]}\n\nThe schedule:\n${this.schedule}\n\nWhat happened:\n${this.trace}`;
  }
}

/** Two are enough for actors that share a process. */
const shared: ReadonlyArray<Partition> = partitions.slice(0, 2);

/** So long everything may take to end once nothing breaks any more. */
const recoveryMax = 120_000;
/** So soon an order is found that nobody handed over, with something to spare. */
const foundWithin = 2500;
/** And if it appeared late: by a look, however long the one before it took. */
const foundLateWithin = 30_000 + foundWithin;
/** So long an actor may take to be back after a crash: drain and wait. */
const restartMax = 13_000;
/** So soon an owner has its partitions again that another claimed. */
const claimedWithin = 12_000 + restartMax;
/** So long an answer is waited for, and so long a statement may take at all. */
const answerMax = 10_000;
const statementMax = 15_000;
const traceLinesMax = 80;
/**
 * So long, by the real clock, is waited for what comes of a moment: if less,
 * a backlog on a busy machine would go on in a later moment.
 */
const busyMax = Duration.minutes(1);

interface Process extends Member {
  isDead: boolean;
  isFrozen: boolean;
  isStopped: boolean;
  readonly thawed: Latch.Latch;
  readonly scope: Scope.Closeable;
  readonly owning: Scope.Closeable;
  readonly services: Context.Context<Orders | OrderProcessor | OrderRepository>;
  /** Partitions whose actor crashes at its next read. */
  readonly crashing: Set<Partition>;
  /** Partitions that its actor, at its latest look, found to be another's. */
  readonly lost: Set<Partition>;
  /** Its work is known to be away until then. */
  closedUntil: number;
}

interface Faults {
  awayUntil: number;
  cut: { of: Change; times: number };
  late: { of: Change; times: number; ms: number };
  slow: { times: number; ms: number };
  lateCommits: { times: number; ms: number };
  broken: { of: Change; times: number };
  /** A row that somebody locked; who waits for it is let in one by one. */
  locked: { order_id: string; until: number };
  /** Calls that are slow, and changes given up that have not happened yet. */
  onTheirWay: number;
}

const none: Change = "any change";

const takes = (fault: { of: Change; times: number }, change: Change) => {
  if (fault.times === 0) return false;
  if (fault.of !== "any change" && fault.of !== change) return false;
  fault.times -= 1;
  return true;
};

const isDoneAtOnce = (outcome: Outcome | undefined) =>
  outcome === undefined || (outcome._tag === "Succeed" && outcome.after === 0);

/** New orders go to both partitions, also when there are few. */
const choosingInTurns = (
  processor: OrderProcessor["Service"],
): OrderProcessor["Service"] => {
  let turn = 0;
  return {
    ...processor,
    choosePartition: () => {
      turn += 1;
      const { owned } = processor.status();
      const mine = owned.length === 0 ? shared : owned;
      return mine[turn % mine.length] as Partition;
    },
  };
};

export type Mutate = (
  repository: OrderRepository["Service"],
) => OrderRepository["Service"];

export interface PlayOptions {
  /** Breaks the database, to see whether it is noticed. */
  readonly mutate?: Mutate | undefined;
  /** Breaks the processes. */
  readonly mutants?: Mutants | undefined;
}

const make = Effect.fnUntraced(function* (
  { hasShortReads }: Schedule,
  options: PlayOptions,
) {
  const memory = yield* Effect.flatMap(Scope.make(), (scope) =>
    Layer.buildWithMemoMap(
      OrderRepositoryMemory.layer,
      Layer.makeMemoMapUnsafe(),
      scope,
    ),
  );
  const context = yield* Effect.context<never>();
  const late = LateCommits.make(Context.get(memory, OrderRepository));
  const witness = yield* Witness.make(
    (options.mutate ?? identity)(
      hasShortReads === true
        ? ShortReads.make(late.repository)
        : late.repository,
    ),
    late.commits,
  );
  const faults: Faults = {
    awayUntil: 0,
    cut: { of: none, times: 0 },
    late: { of: none, times: 0, ms: 0 },
    slow: { times: 0, ms: 0 },
    lateCommits: { times: 0, ms: 0 },
    broken: { of: none, times: 0 },
    locked: { order_id: "", until: 0 },
    onTheirWay: 0,
  };
  const processes: Array<Process> = [];
  /** When orders are committed that are not yet. */
  const commitsAt = new Map<string, number>();
  const plans = new Map<string, Array<Outcome>>();
  /** Orders that their owner was told of and has not begun: since when. */
  const handedOver = new Map<
    string,
    { by: Process; at: number; seen: number }
  >();
  let owner: Process | undefined;
  let troubledUntil = 0;

  const now = () => witness.now();
  const trouble = (forMs = 0) => {
    troubledUntil = Math.max(troubledUntil, now() + forMs);
  };

  /** Passes while the process runs; waits while frozen, for ever when dead. */
  const running = (process: Process): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (process.isDead) return Effect.never;
      return process.isFrozen
        ? Effect.andThen(process.thawed.await, running(process))
        : Effect.void;
    });

  const unavailable = (reason: string) =>
    Effect.fail(new RepositoryUnavailable({ reason }));

  const travel = (ms: number) =>
    Effect.suspend(() => {
      faults.onTheirWay += 1;
      return Effect.ensuring(
        Effect.sleep(ms),
        Effect.sync(() => {
          faults.onTheirWay -= 1;
        }),
      );
    });

  /** Waits for a locked row, but not for ever: it may be let in afterwards. */
  const lockedOut = Effect.fnUntraced(function* (happen: Happen<unknown>) {
    const wait = faults.locked.until - now();
    faults.locked.until += 1;
    trouble(wait);
    if (wait < answerMax) return yield* travel(wait);
    if (wait < statementMax) {
      yield* Effect.forkDetach(
        Effect.andThen(
          travel(wait),
          Effect.sync(() => happen(false)),
        ),
      );
    }
    yield* Effect.sleep(answerMax);
    return yield* unavailable("no answer in time");
  });

  /** An insert is answered once it, or whose insert has its id, is committed. */
  const committed = (process: Process, order_id: string) =>
    Effect.suspend(() => {
      const wait = (commitsAt.get(order_id) ?? 0) - now();
      if (wait <= 0) return Effect.void;
      return Effect.andThen(travel(wait), running(process));
    });

  /** An order that is new gets its number; whether its commit is late. */
  const insert = (process: Process, order: NewOrder, partition: Partition) => {
    const { order_id } = order;
    const { ms, times } = faults.lateCommits;
    const isLate = times > 0 && !witness.reference.orders.has(order_id);
    const placement = witness.insert(process, order, partition, isLate);
    if (!isLate) return placement;
    faults.lateCommits.times -= 1;
    commitsAt.set(order_id, now() + ms);
    // It is the database's: whatever becomes of who asked.
    Effect.runForkWith(context)(
      Effect.andThen(
        travel(ms),
        Effect.sync(() => witness.commit(order_id)),
      ),
    );
    return placement;
  };

  /** A call of the database, on its way there and back. */
  const call = Effect.fnUntraced(function* <A>(
    process: Process,
    change: Change | "read",
    ask: () => Happen<A>,
    order_id = "",
  ): Effect.fn.Return<A, RepositoryUnavailable> {
    yield* running(process);
    if (change !== "read" && takes(faults.broken, change)) {
      trouble();
      witness.drops(process, order_id);
      return yield* Effect.die("the repository is broken");
    }
    const happen = ask();
    const { locked } = faults;
    if (order_id === locked.order_id && now() < locked.until) {
      yield* lockedOut(happen);
    }
    const slowness = faults.slow.times > 0 ? faults.slow.ms : 0;
    if (slowness > 0) {
      faults.slow.times -= 1;
      trouble(2 * slowness);
      yield* travel(slowness);
    }
    if (now() < faults.awayUntil) {
      trouble();
      yield* running(process);
      return yield* unavailable("the database is away");
    }
    if (change !== "read" && takes(faults.late, change)) {
      const { ms } = faults.late;
      trouble(ms);
      yield* Effect.forkDetach(
        Effect.andThen(
          travel(ms),
          Effect.sync(() => happen(false)),
        ),
      );
      witness.note(process.name, `gives up on ${change}, which is on its way`);
      return yield* unavailable("no answer in time");
    }
    const isCut = change !== "read" && takes(faults.cut, change);
    const answer = happen(!isCut);
    if (slowness > 0) yield* travel(slowness);
    yield* running(process);
    if (!isCut) return answer;
    trouble();
    return yield* unavailable("the connection was cut");
  });

  const claim = (process: Process, partition: Partition): Happen<Claim> => {
    const happen = witness.claim(process, partition);
    return (willAnswer) => {
      trouble();
      return happen(willAnswer);
    };
  };

  /** An actor that twice finds itself without its partition crashes. */
  const lookWhoOwns = (process: Process, partition: Partition) =>
    Effect.sync(() => {
      if (witness.owns(process, partition)) process.lost.delete(partition);
      else if (process.lost.delete(partition)) crash(process, partition);
      else process.lost.add(partition);
    });

  const crash = (process: Process, partition: Partition) => {
    witness.note(process.name, `the actor of ${partition} crashes`);
    process.crashedAt.set(partition, now());
    process.lost.delete(partition);
    trouble(restartMax);
  };

  const repositoryOf = (process: Process): OrderRepository["Service"] => ({
    insert: (order, partition) => {
      // A process without partitions may choose any of 32; there are two here.
      const chosen = shared[partition % shared.length] as Partition;
      const asked = call(
        process,
        "insert",
        () => () => insert(process, order, chosen),
      );
      return Effect.tap(asked, () => committed(process, order.order_id));
    },
    insertMany: () => Effect.die("no batch is placed in this world"),
    insertAllOrNone: () => Effect.die("no batch is placed in this world"),
    find: (order_id) =>
      call(process, "read", () => () => witness.read((_) => _.find(order_id))),
    hasLeft: (order_id) =>
      call(
        process,
        "read",
        () => () => witness.read((_) => _.hasLeft(order_id)),
      ),
    history: (order_id) =>
      call(
        process,
        "read",
        () => () => witness.read((_) => _.history(order_id)),
      ),
    list: (query) =>
      call(process, "read", () => () => witness.read((_) => _.list(query))),
    tally: call(process, "read", () => () => witness.read((_) => _.tally)),
    count: (after, limit) =>
      call(
        process,
        "read",
        () => () => witness.read((_) => _.count(after, limit)),
      ),
    // Numbers are never given twice here.
    countUnread: Effect.succeed(0),
    findUnread: () => Effect.succeed({ next: undefined, found: [] }),
    readAgain: () => Effect.void,
    isEmpty: call(process, "read", () => () => witness.read((_) => _.isEmpty)),
    readAside: (partition, limit) =>
      Effect.andThen(
        Effect.suspend(() => {
          if (!process.crashing.delete(partition)) return Effect.void;
          crash(process, partition);
          return Effect.die("the actor is broken");
        }),
        call(process, "read", () => () => witness.readAside(partition, limit)),
      ),
    readLog: (partition, after, limit) =>
      call(
        process,
        "read",
        () => () => witness.readLog(partition, after, limit),
      ),
    keepPlace: (partition, epoch, place) =>
      call(process, "keepPlace", () =>
        witness.keepPlace(process, partition, epoch, place),
      ),
    claim: (partition) =>
      call(process, "claim", () => claim(process, partition)),
    epoch: (partition) =>
      Effect.tap(
        call(process, "read", () => () => witness.epoch(partition)),
        () => lookWhoOwns(process, partition),
      ),
    begin: (asked) =>
      askEach(asked, ({ epoch, order_id }) =>
        call(
          process,
          "begin",
          () => witness.begin(process, order_id, epoch),
          order_id,
        ),
      ),
    complete: (attempts) =>
      askEach(attempts, (attempt) =>
        call(
          process,
          "complete",
          () => witness.complete(process, attempt),
          attempt.order_id,
        ),
      ),
    fail: (failure) =>
      Effect.tap(
        call(process, "fail", () => witness.fail(process, failure)),
        (isEnded) => {
          const { epoch, order_id, wait } = failure;
          const isDueAtOnce = wait !== undefined && Duration.isZero(wait);
          // A first lost attempt: who ended it reads the order at once.
          return Effect.sync(() => {
            if (isEnded && epoch !== undefined && isDueAtOnce) {
              wasHandedOver(order_id, process);
            }
          });
        },
      ),
    release: (released) =>
      call(
        process,
        "release",
        () => witness.release(process, released),
        released.order_id,
      ),
    cancel: (order_id) =>
      call(process, "cancel", () => () => witness.cancel(process, order_id)),
    retry: (order_id) =>
      call(process, "retry", () => () => witness.retry(process, order_id)),
    retryMany: ({ limit }) =>
      call(process, "retry", () => () => witness.retryMany(process, limit)),
    // As many single ones: a law of the conformance suite.
    cancelMany: () => Effect.die("nobody asks for it here"),
    countMatching: () => Effect.die("nobody asks for it here"),
  });

  const workOf = (process: Process): Fulfilment["Service"] => {
    const fulfil = fulfilOf(process);
    return {
      fulfil: (order) => {
        const plan = plans.get(order.order_id);
        if (
          plan?.[0]?._tag === "Throw" &&
          !process.isDead &&
          !process.isFrozen
        ) {
          plan.shift();
          const held = witness.workBegins(process, order);
          if (held !== undefined) held.state = "Throw";
          throw new Error("boom, before there was an effect");
        }
        return isDoneAtOnce(plan?.[0]) && !process.isDead && !process.isFrozen
          ? fulfilAtOnce(process, order)
          : fulfil(order);
      },
    };
  };

  /** Work that is done when it is asked for: what is left is nothing to run. */
  const fulfilAtOnce = (process: Process, order: Order) => {
    plans.get(order.order_id)?.shift();
    const held = witness.workBegins(process, order);
    if (held !== undefined) {
      held.state = "Succeed";
      witness.workTakesEffect(process, order.order_id);
    }
    return Effect.void;
  };

  const fulfilOf = (process: Process) =>
    Effect.fnUntraced(function* (order: Order) {
      yield* running(process);
      const held = witness.workBegins(process, order);
      const outcome: Outcome = plans.get(order.order_id)?.shift() ?? {
        _tag: "Succeed",
        after: 0,
      };
      if (held === undefined) return;
      if (outcome._tag === "Hang") {
        return yield* Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => witness.workIsInterrupted(held)),
        );
      }
      yield* Effect.onInterrupt(
        Effect.andThen(
          Effect.sleep("after" in outcome ? outcome.after : 0),
          running(process),
        ),
        () => Effect.sync(() => witness.workIsInterrupted(held)),
      );
      switch (outcome._tag) {
        case "Succeed":
          held.state = outcome._tag;
          return witness.workTakesEffect(process, order.order_id);
        case "FailRetryably":
          held.state = outcome._tag;
          held.retryAfter = outcome.retryAfter;
          return yield* new FulfilmentFailed({
            message: "not this time",
            retryAfter: Duration.millis(outcome.retryAfter),
          });
        case "FailFinally":
          held.state = outcome._tag;
          return yield* new FulfilmentFailed({ message: "never", final: true });
        case "Throw":
        case "Defect":
          held.state = outcome._tag;
          return yield* Effect.die(new Error("boom"));
        case "InterruptItself":
          held.state = "interrupted itself";
          return yield* Effect.interrupt;
        case "Unavailable":
          held.state = outcome._tag;
          held.retryAfter = outcome.retryAfter;
          if (!outcome.isForAll) {
            return yield* new FulfilmentUnavailable({
              message: "away",
              retryAfter: Duration.millis(outcome.retryAfter),
            });
          }
          held.isForAll = true;
          process.closedUntil = Math.max(
            process.closedUntil,
            now() + outcome.retryAfter,
          );
          return yield* new FulfilmentUnavailable({
            message: "away",
            pause: Duration.millis(outcome.retryAfter),
          });
      }
    });

  const start = Effect.gen(function* () {
    const process = {
      name: `P${processes.length + 1}`,
      draining: false,
      former: false,
      crashedAt: new Map(),
      held: new Map(),
      unanswered: new Set(),
      claimed: new Map(),
      isDead: false,
      isFrozen: false,
      isStopped: false,
      thawed: Latch.makeUnsafe(false),
      scope: yield* Scope.make(),
      owning: yield* Scope.make(),
      crashing: new Set<Partition>(),
      lost: new Set<Partition>(),
      closedUntil: 0,
    } as Omit<Process, "services"> as Process;
    const services = yield* Layer.buildWithMemoMap(
      Orders.layer.pipe(
        Layer.provideMerge(
          Layer.effect(
            OrderProcessor,
            Effect.map(OrderProcessor, choosingInTurns),
          ).pipe(Layer.provide(OrderProcessor.layer(settings))),
        ),
        Layer.provide(Layer.succeed(Fulfilment, workOf(process))),
        Layer.provideMerge(
          Layer.succeed(OrderRepository, repositoryOf(process)),
        ),
        Layer.provide(Database.layerMemory),
      ),
      Layer.makeMemoMapUnsafe(),
      process.scope,
    );
    Object.assign(process, { services });
    witness.note(process.name, "starts");
    trouble();
    processes.push(process);
    owner = process;
    // As `PartitionsLocal` does, with fewer of them.
    const { run } = Context.get(services, OrderProcessor);
    yield* Effect.forkIn(
      Effect.forEach(shared, (partition) => run(partition), {
        concurrency: shared.length,
        discard: true,
      }),
      process.owning,
    );
  });

  /** Gives its partitions up, as when told to stop; takes a while. */
  const drain = (process: Process) =>
    Effect.gen(function* () {
      if (process.draining || process.isDead) return;
      process.draining = true;
      witness.note(process.name, "drains");
      yield* Scope.close(process.owning, Exit.void);
      yield* running(process);
      witness.note(process.name, "has stopped");
      process.isStopped = true;
      yield* Scope.close(process.scope, Exit.void);
      if (owner === process) owner = undefined;
    }).pipe(Effect.forkDetach, Effect.asVoid);

  const kill = (process: Process) =>
    Effect.suspend(() => {
      witness.note(process.name, "is killed");
      process.isDead = true;
      trouble();
      if (owner === process) owner = undefined;
      // Only its gauges are here: nothing that could still be seen.
      return Scope.close(process.scope, Exit.void);
    });

  const freeze = (process: Process) => {
    if (process.isFrozen) return;
    witness.note(process.name, "freezes");
    process.isFrozen = true;
    process.thawed.closeUnsafe();
  };

  const isThere = (process: Process) => !process.isDead && !process.isStopped;

  /** What a caller asks, of a process that listens: it may take its time. */
  const ask = (
    turn: number,
    what: (
      orders: Orders["Service"],
      process: Process,
    ) => Effect.Effect<void, RepositoryUnavailable>,
  ) => {
    const listening = processes.filter(isThere);
    const process = listening[turn % listening.length];
    if (process === undefined) return Effect.void;
    const orders = Context.get(process.services, Orders);
    return what(orders, process).pipe(
      Effect.catchTag("RepositoryUnavailable", ({ reason }) =>
        Effect.sync(() => witness.note(process.name, `answers 503: ${reason}`)),
      ),
      Effect.forkDetach,
      Effect.asVoid,
    );
  };

  const newOrder = (order_id: string, content: "same" | "other"): NewOrder => ({
    order_id: OrderId.make(order_id),
    user_id: UserId.make("USER001"),
    item_ids: ["ITEM001"],
    total_amount: TotalAmount.make(content === "same" ? 10 : 20),
  });

  const wasHandedOver = (order_id: string, by: Process) => {
    const seen = witness.reference.orders.get(order_id)?.begun ?? 0;
    handedOver.set(order_id, { by, at: now(), seen });
  };

  const place = (step: Step & { _tag: "Place" }) => {
    const order = newOrder(`O${step.order}`, step.content);
    const { order_id } = order;
    if (!plans.has(order_id)) plans.set(order_id, Array.from(step.work));
    return ask(step.order, (orders, process) =>
      Effect.gen(function* () {
        const placed = yield* Effect.result(orders.place(order));
        if (
          Result.isFailure(placed) &&
          placed.failure._tag === "RepositoryUnavailable"
        )
          return yield* placed.failure;
        const kept = witness.reference.orders.get(order_id)?.content;
        const isTheSame = kept === String(order.total_amount);
        if (Result.isSuccess(placed) !== isTheSame) {
          witness.fault(
            `placing ${order_id} with ${order.total_amount} was ${Result.isSuccess(placed) ? "accepted" : "refused"}, and it is kept with ${kept}`,
          );
        }
        if (Result.isSuccess(placed) && placed.success.isNew) {
          wasHandedOver(order_id, process);
        }
      }),
    );
  };

  const backlog = Effect.fnUntraced(function* (count: number) {
    const process = owner;
    if (process === undefined) return;
    const partition = shared[0] as Partition;
    const repository = Context.get(process.services, OrderRepository);
    const processor = Context.get(process.services, OrderProcessor);
    const begin = witness.reference.orders.size;
    const orders = Array.from({ length: count }, (_, index) =>
      newOrder(`B${begin + index}`, "same"),
    );
    for (const order of orders) yield* repository.insert(order, partition);
    for (const { order_id } of orders) {
      processor.handOver(partition, order_id, 0);
      wasHandedOver(order_id, process);
    }
  });

  const take = (step: Step): Effect.Effect<void, RepositoryUnavailable> => {
    switch (step._tag) {
      case "Place":
        return place(step);
      case "Cancel":
        return ask(step.order, (orders) =>
          Effect.catchTags(orders.cancel(`O${step.order}`), {
            OrderNotFound: () => Effect.void,
            OrderNotInStatus: () => Effect.void,
          }).pipe(Effect.asVoid),
        );
      case "Retry":
        return ask(step.order, (orders, process) =>
          Effect.matchEffect(orders.retry(`O${step.order}`), {
            onFailure: (error) =>
              error._tag === "RepositoryUnavailable"
                ? Effect.fail(error)
                : Effect.void,
            onSuccess: ({ order_id }) =>
              Effect.sync(() => wasHandedOver(order_id, process)),
          }),
        );
      case "RetryMany":
        return ask(0, (orders) =>
          Effect.asVoid(orders.retryMany({ limit: step.limit })),
        );
      case "Backlog":
        return Effect.forkDetach(Effect.ignore(backlog(step.orders)));
      case "LockRow":
        faults.locked = {
          order_id: `O${step.order}`,
          until: now() + step.ms,
        };
        return Effect.void;
      case "Pass":
        return Effect.void;
      case "Start":
        return owner === undefined ? start : Effect.void;
      case "Crash": {
        const target =
          step.which === "owner"
            ? owner
            : processes.find((process) => process.former && isThere(process));
        return target === undefined ? Effect.void : kill(target);
      }
      case "Drain":
        return owner === undefined ? Effect.void : drain(owner);
      case "ActorCrash":
        for (const partition of shared) owner?.crashing.add(partition);
        return Effect.void;
      case "Freeze":
        if (owner !== undefined) freeze(owner);
        return Effect.void;
      case "Takeover": {
        // One former owner at a time is enough.
        const isFree = !processes.some((_) => _.former && isThere(_));
        if (owner === undefined || !isFree) return Effect.void;
        freeze(owner);
        owner.former = true;
        return start;
      }
      case "Thaw":
        return Effect.forEach(
          processes.filter((process) => process.isFrozen && !process.isDead),
          (process) => {
            witness.note(process.name, "goes on");
            trouble();
            process.isFrozen = false;
            process.thawed.openUnsafe();
            return process.former
              ? Effect.forkDetach(
                  Effect.andThen(
                    Effect.sleep(step.unawareFor),
                    Effect.suspend(() => drain(process)),
                  ),
                )
              : Effect.void;
          },
          { discard: true },
        );
      case "Outage":
        faults.awayUntil = now() + step.ms;
        witness.note("database", `is away for ${step.ms} ms`);
        trouble(step.ms);
        return Effect.void;
      case "CutAnswers":
        faults.cut = { of: step.of, times: step.times };
        return Effect.void;
      case "LateChanges":
        faults.late = { of: step.of, times: step.times, ms: step.late };
        return Effect.void;
      case "LateCommits":
        faults.lateCommits = { times: step.times, ms: step.ms };
        return Effect.void;
      case "BrokenCall":
        faults.broken = { of: step.of, times: 1 };
        return Effect.void;
      case "SlowCalls":
        faults.slow = { times: step.times, ms: step.ms };
        return Effect.void;
    }
  };

  function statusOf(process: Process): ProcessorStatus;
  function statusOf(process: Process | undefined): ProcessorStatus | undefined;
  function statusOf(process: Process | undefined) {
    return process && Context.get(process.services, OrderProcessor).status();
  }

  /** While nothing is broken, no order waits that could be worked on. */
  const checkPrompt = () => {
    if (owner === undefined || owner.isFrozen || owner.draining) return;
    if (now() < owner.closedUntil) return;
    const status = statusOf(owner);
    if (status.down.length > 0) return trouble(foundWithin);
    if (status.inWork >= settings.concurrency) return;
    for (const order of witness.reference.all()) {
      if (order.status !== "PENDING" || !order.isVisible) continue;
      // Another claimed the partition: its owner has yet to notice.
      if (!witness.owns(owner, order.partition)) continue;
      const told = handedOver.get(order.order_id);
      if (
        told?.by === owner &&
        told.at > troubledUntil &&
        told.seen === order.begun
      ) {
        return witness.fault(
          `${order.order_id} waits, though its owner was told of it and has room`,
        );
      }
      // What it has in hand was taken from it, and it does not know yet.
      if (owner.held.has(order.order_id)) continue;
      const since = Math.max(
        order.dueAt,
        order.visibleSince,
        troubledUntil,
        owner.closedUntil,
        witness.endedAt.get(order.order_id) ?? 0,
      );
      const most = order.wasPassed ? foundLateWithin : foundWithin;
      if (now() - since > most) {
        return witness.fault(
          `${order.order_id} has been due for ${now() - since} ms, and its owner has room`,
        );
      }
    }
  };

  const check = Effect.suspend(() => {
    if (witness.faults.length === 0) checkPrompt();
    return witness.faults.length === 0
      ? Effect.void
      : Effect.fail(witness.faults);
  });

  const pass = (ms: number) => Effect.andThen(TestClock.adjust(ms), check);

  /**
   * Does something a millisecond from now, and lets everything happen that
   * comes of it: `TestClock` waits for whatever a sleeper that woke sets going.
   */
  const play = (effect: Effect.Effect<void, RepositoryUnavailable>) =>
    Effect.gen(function* () {
      yield* Effect.forkDetach(
        Effect.andThen(Effect.sleep(1), Effect.ignore(effect)),
      );
      yield* pass(1);
    });

  const step = (step: Step) =>
    step._tag === "Pass"
      ? pass(step.ms)
      : play(Effect.suspend(() => take(step)));

  /** Lets time pass until it holds. */
  const within = Effect.fnUntraced(function* (
    ms: number,
    what: string,
    holds: () => boolean,
  ) {
    for (let passed = 0; !holds(); passed += 1000) {
      if (passed >= ms) {
        witness.fault(`${what} after ${ms / 1000} s without faults`);
        return yield* check;
      }
      yield* pass(1000);
    }
  });

  const unfinished = (isDone: (status: string) => boolean) =>
    witness.reference.all().filter(({ status }) => !isDone(status));

  const restart = Effect.gen(function* () {
    yield* step({ _tag: "Drain" });
    yield* within(10_000, "a drain has not ended", () => owner === undefined);
    yield* step({ _tag: "Start" });
  });

  /** Nothing breaks any more: every promise is to be kept now. */
  const recover = Effect.gen(function* () {
    faults.awayUntil = now();
    faults.cut.times = faults.late.times = faults.slow.times = 0;
    faults.lateCommits.times = 0;
    faults.broken.times = 0;
    faults.locked.until = now();
    for (const process of processes) process.crashing.clear();
    yield* step({ _tag: "Thaw", unawareFor: 100 });
    if (owner?.draining === true) yield* restart;
    yield* step({ _tag: "Start" });

    yield* within(
      recoveryMax,
      "an order is not final",
      () => faults.onTheirWay === 0 && witness.reference.all().every(isFinal),
    );
    // Until it has stopped, it may claim what its successor owns.
    yield* within(
      10_000,
      "a former owner has not stopped",
      () => !processes.some((process) => process.former && isThere(process)),
    );
    yield* within(
      claimedWithin,
      "its owner has not claimed its partitions again",
      () => shared.every((_) => owner !== undefined && witness.owns(owner, _)),
    );
    // Whatever was given up is done now that it can be.
    plans.clear();
    yield* step({ _tag: "RetryMany", limit: 500 });
    yield* within(
      10_000,
      "a retried order is not COMPLETED",
      () =>
        unfinished((status) => status === "COMPLETED" || status === "CANCELLED")
          .length === 0,
    );
    witness.checkTally();

    yield* within(restartMax, "its owner has not come to rest", () => {
      const status = statusOf(owner);
      return (
        status?.inWork === 0 &&
        status.mailboxDepth === 0 &&
        status.down.length === 0 &&
        now() >= (owner?.closedUntil ?? 0)
      );
    });

    // All the room there was is there again.
    const probes = Array.from(
      { length: settings.concurrency + 1 },
      (_, index) => `probe${index}`,
    );
    for (const probe of probes) {
      plans.set(probe, [{ _tag: "Succeed", after: 700 }]);
      yield* play(
        ask(processes.filter(isThere).length - 1, (orders) =>
          Effect.asVoid(Effect.ignore(orders.place(newOrder(probe, "same")))),
        ),
      );
    }
    const inWork = unfinished((status) => status !== "PROCESSING").length;
    if (inWork !== settings.concurrency) {
      witness.fault(`there is room for ${inWork} orders only`);
    }
    yield* within(
      5000,
      "a probe is not COMPLETED",
      () =>
        unfinished((status) => status !== "PENDING" && status !== "PROCESSING")
          .length === 0,
    );
    yield* step({ _tag: "Drain" });
    yield* within(5000, "a drain has not ended", () => owner === undefined);
    witness.checkTally();
    yield* check;
  });

  return { step, recover, witness };
});

/**
 * Plays a schedule, and then waits for every promise to be kept; what happened
 * in it, as it is told of one that breaks a promise.
 */
export const play = (
  schedule: Schedule,
  options: PlayOptions = {},
): Effect.Effect<string, Broken> =>
  Effect.gen(function* () {
    const world = yield* make(schedule, options);
    yield* Effect.andThen(
      Effect.forEach(schedule.steps, world.step, { discard: true }),
      world.recover,
    ).pipe(
      Effect.mapError(
        (what) =>
          new Broken({
            what,
            schedule: describeSchedule(schedule),
            trace: world.witness.trace(traceLinesMax),
          }),
      ),
    );
    return world.witness.trace(Number.POSITIVE_INFINITY);
  }).pipe(
    Random.withSeed(schedule.jitter),
    Effect.provideService(ProcessMutants, options.mutants ?? noMutants),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.provideService(References.TracerEnabled, false),
    Effect.provide(TestClock.layer({ warningDelay: busyMax })),
  );
