/**
 * The files of archived orders: one JSON text of an order a line, as the API
 * answers it, in gzip. What is appended is on the disk when that succeeds.
 *
 * Each batch is a member of its own, which gzip may have any number of: a file
 * that is cut between two of them is whole.
 */
import { Effect, FileSystem, Path, type PlatformError, Random } from "effect";
import type { Order } from "../domain/Order.ts";
import { toJson } from "../domain/OrderJson.ts";
import type { ArchiveFile } from "../persistence/OrderArchive.ts";

/**
 * The most that is cut off a file, in bytes. A batch is never as long: a longer
 * end is not ours, as where two copies of a database share a directory.
 */
export const cutMax = 64 * 1024 * 1024;

/**
 * Written to see whether the directory takes files: what is left of it by a
 * process that was killed then is no archive, and goes with the next start.
 */
const probePrefix = ".probe-";

/** Orders are read by who runs the service, and by nobody else on the machine. */
const fileMode = 0o600;
const directoryMode = 0o700;

/** Orders as they stand in a file. */
export const encode = (orders: ReadonlyArray<Order>) =>
  Effect.promise(() =>
    new Response(
      new Blob(orders.map((order) => `${toJson(order)}\n`))
        .stream()
        .pipeThrough(new CompressionStream("gzip")),
    ).bytes(),
  );

/**
 * The name of a new file. Its random part is why nobody else writes to it: not
 * who was taken for dead, and no service on another database.
 */
export const nameFor = (day: string) =>
  Effect.map(
    Random.nextIntBetween(0, 2 ** 32 - 1),
    (number) =>
      `orders-${day}-${number.toString(16).padStart(8, "0")}.ndjson.gz`,
  );

export interface ArchiveFiles {
  /** Makes the directory if it is not there, and sees whether it takes files. */
  readonly check: Effect.Effect<void, PlatformError.PlatformError>;
  /**
   * Appends to a file, behind what is true of it, and makes it if need be; the
   * file as it is then, on the disk.
   */
  readonly append: (
    file: ArchiveFile,
    bytes: Uint8Array,
  ) => Effect.Effect<ArchiveFile, PlatformError.PlatformError>;
  /** Cuts off what is not true of it, if the file is here. */
  readonly cut: (
    file: ArchiveFile,
  ) => Effect.Effect<void, PlatformError.PlatformError>;
}

export const make = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem;
  const path = yield* Path.Path;
  const pathOf = ({ name }: Pick<ArchiveFile, "name">) =>
    path.join(directory, name);

  const syncDirectory = Effect.scoped(
    Effect.flatMap(fs.open(directory, { flag: "r" }), ({ sync }) => sync),
  );

  /** What is behind `bytes` was never true, or did not get on the disk. */
  const cutOpen = Effect.fnUntraced(function* (
    opened: FileSystem.File,
    { bytes, name }: ArchiveFile,
  ) {
    const length = Number((yield* opened.stat).size);
    if (length < bytes) {
      return yield* Effect.logError(
        "a file of archived orders is shorter than it was: restore it from a backup",
        { name, bytes, length },
      );
    }
    if (length === bytes) return;
    if (length - bytes > cutMax) {
      return yield* Effect.logError(
        "a file of archived orders is longer than it can be: do two databases share ARCHIVE_DIR?",
        { name, bytes, length },
      );
    }
    yield* opened.truncate(bytes);
    yield* opened.sync;
  });

  /** One by one: with `recursive` Node never returns in `/proc`. */
  const makeDirectory = (
    one: string,
  ): Effect.Effect<void, PlatformError.PlatformError> =>
    Effect.gen(function* () {
      if (yield* fs.exists(one)) return;
      const above = path.dirname(one);
      if (above !== one) yield* makeDirectory(above);
      yield* Effect.catchReason(
        fs.makeDirectory(one, { mode: directoryMode }),
        "PlatformError",
        "AlreadyExists",
        () => Effect.void,
      );
    });

  return {
    check: Effect.gen(function* () {
      yield* makeDirectory(path.resolve(directory));
      for (const name of yield* fs.readDirectory(directory)) {
        if (name.startsWith(probePrefix)) {
          yield* fs.remove(pathOf({ name }), { force: true });
        }
      }
      const random = yield* Random.nextIntBetween(0, 2 ** 32 - 1);
      const probe = pathOf({ name: `${probePrefix}${random.toString(16)}` });
      // A name that is there, as a link of somebody else's, is not written to.
      yield* Effect.scoped(
        Effect.flatMap(
          fs.open(probe, { flag: "wx", mode: fileMode }),
          (opened) => opened.writeAll(new Uint8Array(1)),
        ),
      );
      yield* fs.remove(probe, { force: true });
      const { mode } = yield* fs.stat(directory);
      if ((mode & 0o077) !== 0) {
        yield* Effect.logWarning(
          `ARCHIVE_DIR ${directory} can be read by other users of this machine, and archived orders with it: chmod 700 ${directory}`,
        );
      }
    }),
    append: Effect.fnUntraced(function* (file: ArchiveFile, more: Uint8Array) {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const opened = yield* fs.open(pathOf(file), {
            flag: "a",
            mode: fileMode,
          });
          yield* cutOpen(opened, file);
          yield* opened.writeAll(more);
          yield* opened.sync;
        }),
      );
      if (file.bytes === 0) yield* syncDirectory;
      return { ...file, bytes: file.bytes + more.length };
    }),
    cut: Effect.fnUntraced(function* (file: ArchiveFile) {
      if (!(yield* fs.exists(pathOf(file)))) return;
      if (file.bytes === 0) return yield* fs.remove(pathOf(file));
      yield* Effect.scoped(
        Effect.flatMap(fs.open(pathOf(file), { flag: "r+" }), (opened) =>
          cutOpen(opened, file),
        ),
      );
    }),
  } satisfies ArchiveFiles as ArchiveFiles;
});
