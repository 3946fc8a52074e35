/**
 * Lets orders leave the table that have been final for longer than they are
 * kept. With a directory they are in a file there first, on the disk.
 *
 * A batch is written, and then its orders leave, in one transaction that also
 * says how long the file is. Whoever dies in between leaves an end of a file
 * that is not true: it is cut off by who comes next, and by who writes next. So
 * an order is in the table or in a file, and in one place only.
 *
 * It goes with a partition, so that one instance does it at a time; a former
 * owner is fenced by the archive's own epoch, and has files of its own.
 */
import {
  Cause,
  Clock,
  Context,
  DateTime,
  Duration,
  Effect,
  Layer,
  Metric,
  type PlatformError,
  Result,
} from "effect";
import { diskFault } from "../domain/DiskFault.ts";
import type { Partition } from "../domain/Partition.ts";
import { Database } from "../persistence/Database.ts";
import { type ArchiveFile, OrderArchive } from "../persistence/OrderArchive.ts";
import type {
  Epoch,
  LogPlace,
  RepositoryUnavailable,
} from "../persistence/OrderRepository.ts";
import { Upkeep } from "../processor/Upkeep.ts";
import { type ArchiveFiles, encode, nameFor } from "./ArchiveFiles.ts";
import * as Pace from "./ArchivePace.ts";

const archived = Metric.counter("orders_archived_total", {
  description: "Orders that left the table by this process.",
  incremental: true,
});
const failures = Metric.counter("orders_archive_failures_total", {
  description: "Batches of orders that could not be written to ARCHIVE_DIR.",
  incremental: true,
});

/** Whose owner does it. */
const partitionOfArchive = 0;

/** Orders looked at in one go: 1 or 2 ms of PostgreSQL. */
const lookLimit = 1000;

/** The most that the items of a batch take, as JSON. */
const bytesMax = 4 * 1024 * 1024;

/** After a failure, and while somebody else has the archive. */
const waitAgain = Duration.seconds(1);
const waitAgainMax = Duration.seconds(30);

/** The log is told of the same failure once in so long. */
const tellInterval = Duration.minutes(1);

const share = (time: Duration.Duration, part: number, max: Duration.Duration) =>
  Duration.clamp(Duration.times(time, 1 / part), {
    minimum: Duration.millis(100),
    maximum: max,
  });

export interface ArchivingOptions {
  /** How long orders are kept after they are final. */
  readonly retention: Duration.Duration;
  /** Where they are then; left out: nowhere. */
  readonly files: ArchiveFiles | undefined;
}

export class OrderArchiving extends Context.Service<
  OrderArchiving,
  {
    /** Goes on until interrupted; a batch under way is then finished. */
    run(partition: Partition): Effect.Effect<never>;
  }
>()("operations/OrderArchiving") {
  /** Nothing ever leaves. */
  static readonly layerOff = Layer.succeed(OrderArchiving, {
    run: () => Effect.never,
  });

  static readonly layer = (options: ArchivingOptions) =>
    Layer.effect(
      OrderArchiving,
      Effect.gen(function* () {
        const database = yield* Database;
        const archive = yield* OrderArchive;
        const upkeep = yield* Upkeep;
        const archiving = Effect.andThen(
          database.migrated,
          upkeep.during("archive", make(archive, upkeep, options)),
        );
        return {
          run: (partition) =>
            partition === partitionOfArchive ? archiving : Effect.never,
        };
      }),
    );
}

type Failure = RepositoryUnavailable | PlatformError.PlatformError;

/** What one claim of the archive has done so far. */
interface Holding {
  readonly epoch: Epoch;
  file: (ArchiveFile & { readonly day: string }) | undefined;
  size: number;
}

const make = (
  archive: OrderArchive["Service"],
  upkeep: Upkeep,
  { files, retention }: ArchivingOptions,
): Effect.Effect<never> => {
  /** Orders become final some time after they are placed: most within this. */
  const slack = share(retention, 10, Duration.minutes(10));
  const restInterval = share(retention, 20, Duration.seconds(10));
  /** All are looked through again for what became final later. */
  const againInterval = share(retention, 4, Duration.minutes(10));

  /** The file of today; `undefined` where the archive is somebody else's. */
  const fileOf = Effect.fnUntraced(function* (holding: Holding) {
    const day = DateTime.formatIso(yield* DateTime.now).slice(0, 10);
    if (holding.file?.day === day) return holding.file;
    const name = yield* nameFor(day);
    const isMine = yield* archive.openFile(holding.epoch, name);
    holding.file = isMine ? { name, bytes: 0, day } : undefined;
    return holding.file;
  });

  /** Writes orders down, if they are kept in files, and lets them leave. */
  const leave = Effect.fnUntraced(function* (
    holding: Holding,
    chosen: Pace.Chosen["orders"],
  ) {
    const leaving = yield* archive.read(chosen.map((_) => _.order_id));
    if (leaving.length === 0) return "left" as const;
    let file: ArchiveFile | undefined;
    if (files !== undefined) {
      const mine = yield* fileOf(holding);
      if (mine === undefined) return "fenced" as const;
      const bytes = yield* encode(leaving.map(({ order }) => order));
      file = yield* files.append(mine, bytes);
    }
    const [took, left] = yield* Effect.timed(
      archive.leave({
        epoch: holding.epoch,
        orders: leaving.map(({ begun, order }) => ({
          order_id: order.order_id,
          status: order.status,
          begun,
        })),
        file,
      }),
    );
    if (left === "left") {
      if (file !== undefined && holding.file !== undefined) {
        holding.file = { ...holding.file, bytes: file.bytes };
      }
      yield* Metric.update(archived, leaving.length);
    }
    holding.size = Pace.sizeAfter(holding.size, Duration.toMillis(took));
    return left;
  });

  const step = Effect.fnUntraced(function* (holding: Holding, after: LogPlace) {
    const seen = yield* archive.look({
      after,
      limit: lookLimit,
      age: retention,
      slack,
    });
    const chosen = Pace.choose(seen, {
      after,
      limit: lookLimit,
      size: holding.size,
      bytesMax,
    });
    const left =
      chosen.orders.length === 0
        ? "left"
        : yield* leave(holding, chosen.orders);
    return { ...chosen, left };
  });

  /** As long as the archive is ours; returns when it is somebody else's. */
  const hold = Effect.fnUntraced(function* (again: Again) {
    const { epoch, files: former } = yield* archive.claim;
    if (files !== undefined) yield* again(Effect.forEach(former, files.cut));
    const holding: Holding = { epoch, file: undefined, size: Pace.sizeStart };
    const now = Clock.currentTimeMillis;
    let place: LogPlace = 0n;
    let begunAt = yield* now;
    while (true) {
      const [took, done] = yield* Effect.timed(
        again(Effect.uninterruptible(step(holding, place))),
      );
      // Somebody else has it, and may do it.
      if (done.left === "fenced") return;
      yield* upkeep.succeeded("archive");
      if (done.left === "left") place = done.readTo;
      if (!done.isEnd) {
        yield* pause(holding, Pace.pauseAfter(Duration.toMillis(took)));
        continue;
      }
      yield* Effect.sleep(restInterval);
      if ((yield* now) - begunAt >= Duration.toMillis(againInterval)) {
        place = 0n;
        begunAt = yield* now;
      }
    }
  });

  return Effect.gen(function* () {
    const again = yield* againAfterFiles(upkeep);
    while (true) {
      // Whether what was asked for last has happened is known by who claims.
      yield* Effect.catchTag(hold(again), "RepositoryUnavailable", (error) =>
        upkeep.failed("archive", Cause.fail(error)),
      );
      yield* Effect.sleep(waitAgain);
    }
  });
};

/** Waits, and longer where the process had no time even to wake in time. */
const pause = Effect.fnUntraced(function* (holding: Holding, millis: number) {
  const clock = yield* Clock.Clock;
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6;
  const from = now();
  yield* Effect.sleep(millis);
  const back = Pace.backAfter(now() - from - millis);
  if (back === 0) return;
  holding.size = Pace.sizeWhenBusy(holding.size);
  yield* Effect.sleep(back);
});

type Again = <A>(
  effect: Effect.Effect<A, Failure>,
) => Effect.Effect<A, RepositoryUnavailable>;

/** Does it again for as long as the disk refuses, and tells it now and then. */
const againAfterFiles = (upkeep: Upkeep) =>
  Effect.sync((): Again => {
    let toldAt = Number.NEGATIVE_INFINITY;
    const tell = Effect.fnUntraced(function* (
      error: PlatformError.PlatformError,
    ) {
      yield* Metric.update(failures, 1);
      const now = yield* Clock.currentTimeMillis;
      if (now - toldAt < Duration.toMillis(tellInterval)) return;
      toldAt = now;
      yield* Effect.logError(
        `orders cannot be written to ARCHIVE_DIR, and stay in the table until they can: ${diskFault(error) ?? error.message}`,
        error.message,
      );
    });
    return Effect.fnUntraced(function* <A>(effect: Effect.Effect<A, Failure>) {
      let wait = waitAgain;
      while (true) {
        const done = yield* Effect.result(effect);
        if (Result.isSuccess(done)) return done.success;
        if (done.failure._tag === "RepositoryUnavailable") {
          return yield* done.failure;
        }
        yield* tell(done.failure);
        yield* upkeep.failed("archive", Cause.fail(done.failure));
        yield* Effect.sleep(wait);
        wait = Duration.min(Duration.times(wait, 2), waitAgainMax);
      }
    });
  });
