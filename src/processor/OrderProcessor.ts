/**
 * The order-processor actors of this process, and their supervision. Who owns
 * which partition is decided elsewhere (`PartitionsLocal`): that calls `run`
 * for each, and interrupts it when the partition is to be given up.
 *
 *     PartitionsLocal
 *       `- OrderProcessor.run(partition)    restarts, one for one
 *            `- OrderActor                  one fiber an order whose work takes time
 */
import {
  Cause,
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Layer,
  Metric,
  Schema,
  Semaphore,
} from "effect";
import type { OrderId } from "../domain/Order.ts";
import type { RetryPolicy } from "../domain/OrderLifecycle.ts";
import { type Partition, partitions } from "../domain/Partition.ts";
import { Database } from "../persistence/Database.ts";
import { OrderRepository } from "../persistence/OrderRepository.ts";
import * as ByteBudget from "./ByteBudget.ts";
import { Fulfilment } from "./Fulfilment.ts";
import * as Gate from "./Gate.ts";
import * as OrderActor from "./OrderActor.ts";
import * as ProcessorMetrics from "./ProcessorMetrics.ts";

/** Actors crash faster than restarting them can help. */
export class ProcessorCollapsed extends Schema.TaggedError<ProcessorCollapsed>()(
  "ProcessorCollapsed",
  { message: Schema.String },
) {}

export interface OrderProcessorOptions {
  /** Orders in work at once, over all actors of the process. */
  readonly concurrency: number;
  readonly attemptTimeout: Duration.Duration;
  readonly retryPolicy: RetryPolicy;
  /** How long orders in work may go on when the process is to stop. */
  readonly drainTimeout: Duration.Duration;
}

/** Restarts of a crashed actor wait 500 ms x 1.5^n, at most 10 s. */
const restartWait = (crashes: number) =>
  Duration.millis(Math.min(500 * 1.5 ** (crashes - 1), 10_000));

/**
 * Restarts in vain within the window, over all actors, that may be: an actor
 * crashed again though it had been restarted within the window. The first crash
 * of an actor is not counted, so that one event may crash every actor.
 */
const restartsInVainMax = 20;
const restartsWindow = Duration.seconds(60);

/**
 * How long orders in work may go on in a partition that is given up while the
 * process goes on: the partition's other orders stand still as long. After a
 * lease was lost, so do those of all partitions here, and nobody else takes
 * them, for this instance is alive (`PartitionsCluster`).
 */
const handOverMax = Duration.seconds(5);

/**
 * The most that the items of all orders in work take, as JSON, however many
 * orders may be in work: in memory an order takes a few times that.
 */
export const bytesInWorkMax = 32 * 2 ** 20;

/**
 * So many new orders in a row are one partition's: those that are stored
 * together are then begun together, and completed together.
 */
const ordersInARow = 32;

/** How fresh the gauges are. */
const gaugeInterval = Duration.seconds(1);

export interface ProcessorStatus {
  /** The partitions owned here, working or about to restart. */
  readonly owned: ReadonlyArray<Partition>;
  /** Those of them whose actor is not running. */
  readonly down: ReadonlyArray<Partition>;
  /** Those of them with orders to work on of which none moves. */
  readonly stalled: ReadonlyArray<Partition>;
  /** Orders in the mailboxes. */
  readonly mailboxDepth: number;
  /** Orders in work. */
  readonly inWork: number;
}

/** What a partition is given up for; asked when it is. */
export type LeavingFor = () => "stop" | "new owner";

export class OrderProcessor extends Context.Service<
  OrderProcessor,
  {
    /**
     * Works a partition until interrupted, then drains it: as long as a stop
     * of the process allows, unless it is left to a new owner.
     */
    run(partition: Partition, leavingFor?: LeavingFor): Effect.Effect<never>;
    /**
     * A partition for a new order: one owned here, so that it stays here. A few
     * orders in a row get the same.
     */
    readonly choosePartition: () => Partition;
    /** Tells the partition's actor, if it is here, of a PENDING order. */
    readonly handOver: (
      partition: Partition,
      order_id: OrderId,
      item_bytes: number,
    ) => void;
    readonly status: () => ProcessorStatus;
    /** Never succeeds; fails when the restarts are used up. */
    readonly collapsed: Effect.Effect<never, ProcessorCollapsed>;
  }
>()("processor/OrderProcessor") {
  static readonly layer = (options: OrderProcessorOptions) =>
    Layer.effect(OrderProcessor, make(options));
}

const make = Effect.fnUntraced(function* (options: OrderProcessorOptions) {
  const repository = yield* OrderRepository;
  const fulfilment = yield* Fulfilment;
  const database = yield* Database;
  const permits = yield* Semaphore.make(options.concurrency);
  const bytes = ByteBudget.make(bytesInWorkMax);
  const collapsed = yield* Deferred.make<never, ProcessorCollapsed>();
  const gate = yield* Gate.make;
  const actorOptions = {
    ...options,
    repository,
    fulfilment,
    permits,
    bytes,
    gate,
  };
  const handOverTimeout = Duration.min(options.drainTimeout, handOverMax);

  /** Owned partitions; with their actor while it runs. */
  const owned = new Map<Partition, OrderActor.OrderActor | undefined>();
  /** When they were. */
  let restartsInVain: Array<bigint> = [];

  /** Counts a restart; collapses the processor when there are too many. */
  const countRestartInVain = Effect.gen(function* () {
    const now = yield* Clock.monotonicTimeNanos;
    const since = now - Duration.toNanosUnsafe(restartsWindow);
    restartsInVain = [...restartsInVain.filter((time) => time > since), now];
    if (restartsInVain.length <= restartsInVainMax) return;
    yield* Deferred.fail(
      collapsed,
      new ProcessorCollapsed({
        message: `order-processor actors were restarted in vain ${restartsInVain.length} times within ${Duration.format(restartsWindow)}: giving up, so that whoever runs this process can act (see the errors above)`,
      }),
    );
    return yield* Effect.never;
  });

  const runOnce = (partition: Partition, leavingFor: LeavingFor) =>
    Effect.gen(function* () {
      yield* database.migrated;
      const actor = yield* OrderActor.make(partition, {
        ...actorOptions,
        drainTimeout: () =>
          leavingFor() === "stop" ? options.drainTimeout : handOverTimeout,
      });
      owned.set(partition, actor);
      return yield* actor.run;
    }).pipe(
      Effect.scoped,
      Effect.onExit(() => Effect.sync(() => owned.set(partition, undefined))),
    );

  const supervised = Effect.fnUntraced(function* (
    partition: Partition,
    leavingFor: LeavingFor,
  ) {
    let crashes = 0;
    while (true) {
      const [lived, exit] = yield* runOnce(partition, leavingFor).pipe(
        Effect.exit,
        Effect.timed,
      );
      if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) {
        return yield* exit;
      }
      crashes = Duration.isGreaterThan(lived, restartsWindow) ? 1 : crashes + 1;
      yield* Effect.logError(
        `the actor of partition ${partition} crashed; it starts again in ${Duration.format(restartWait(crashes))}`,
        exit.cause,
      );
      yield* Metric.update(ProcessorMetrics.actorRestarts, 1);
      if (crashes > 1) yield* countRestartInVain;
      yield* Effect.sleep(restartWait(crashes));
    }
  });

  const status = (): ProcessorStatus => {
    const actors = Array.from(owned);
    const those = (
      which: (actor: OrderActor.OrderActor | undefined) => boolean,
    ) =>
      actors
        .filter(([, actor]) => which(actor))
        .map(([partition]) => partition)
        .sort((a, b) => a - b);
    return {
      owned: those(() => true),
      down: those((actor) => actor === undefined),
      stalled: those((actor) => actor?.isStalled() === true),
      mailboxDepth: actors.reduce((sum, [, _]) => sum + (_?.depth() ?? 0), 0),
      inWork: actors.reduce((sum, [, _]) => sum + (_?.inWork() ?? 0), 0),
    };
  };

  yield* Effect.suspend(() => {
    const { inWork, mailboxDepth } = status();
    return Effect.andThen(
      Metric.update(ProcessorMetrics.mailboxDepth, mailboxDepth),
      Metric.update(ProcessorMetrics.inWork, inWork),
    );
  }).pipe(
    Effect.andThen(Effect.sleep(gaugeInterval)),
    Effect.forever,
    Effect.forkScoped,
  );

  let chosen = partitions[0] as Partition;
  let timesChosen = 0;
  const choosePartition = () => {
    const isMine = owned.size === 0 || owned.has(chosen);
    if (isMine && timesChosen % ordersInARow !== 0) {
      timesChosen += 1;
      return chosen;
    }
    const mine = owned.size === 0 ? partitions : Array.from(owned.keys());
    chosen = mine[(mine.indexOf(chosen) + 1) % mine.length] as Partition;
    timesChosen = 1;
    return chosen;
  };

  return OrderProcessor.of({
    run: (partition, leavingFor = () => "stop") =>
      Effect.suspend(() => {
        owned.set(partition, undefined);
        return supervised(partition, leavingFor);
      }).pipe(
        Effect.ensuring(Effect.sync(() => owned.delete(partition))),
        Effect.annotateLogs({ partition }),
      ),
    choosePartition,
    handOver: (partition, order_id, item_bytes) =>
      owned.get(partition)?.handOver({ order_id, item_bytes }),
    status,
    collapsed: Deferred.await(collapsed),
  });
});
