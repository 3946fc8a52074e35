/**
 * Archiving on a disk that is watched, and that dies whenever it is told to: all
 * that happens to the disk and to the table, in its order.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { NodeServices } from "@effect/platform-node";
import {
  Context,
  type Duration,
  Effect,
  FileSystem,
  Layer,
  Path,
  PlatformError,
  Scope,
} from "effect";
import { Partition } from "../../src/domain/Partition.ts";
import * as ArchiveFiles from "../../src/operations/ArchiveFiles.ts";
import { OrderArchiving } from "../../src/operations/OrderArchiving.ts";
import { Database } from "../../src/persistence/Database.ts";
import { OrderArchive } from "../../src/persistence/OrderArchive.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import * as Upkeep from "../../src/processor/Upkeep.ts";

/** Thrown where the process is killed: it does nothing from there on. */
const killed = "killed";

const make = Effect.gen(function* () {
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "archive-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true })),
  );
  const fs = yield* FileSystem.FileSystem;
  const path = yield* Path.Path;
  const memory = yield* Layer.build(OrderRepositoryMemory.layer);
  const store = Context.get(memory, OrderArchive);
  const repository = Context.get(memory, OrderRepository);
  /** What happened, and after how much of it the process is killed. */
  const happened: Array<string> = [];
  const world = {
    directory,
    repository,
    happened,
    killAfter: Number.POSITIVE_INFINITY,
    /** Whether the disk has no room. */
    isFull: false,
    upkeep: Upkeep.make(),
  };
  let isKilled = false;

  const happens = (what: string) =>
    Effect.suspend(() => {
      if (isKilled || happened.length >= world.killAfter) {
        isKilled = true;
        return Effect.die(killed);
      }
      happened.push(what);
      return Effect.void;
    });

  const watched = (file: FileSystem.File, path: string): FileSystem.File => {
    const name = path === directory ? "directory" : "file";
    return {
      ...file,
      stat: file.stat,
      sync: Effect.andThen(happens(`sync ${name}`), file.sync),
      truncate: (length) =>
        Effect.andThen(happens("cut"), file.truncate(length)),
      writeAll: (bytes) =>
        Effect.gen(function* () {
          // A part of it may be all that was written.
          const half = bytes.subarray(0, bytes.length >> 1);
          yield* happens("begin to write");
          yield* file.writeAll(half);
          if (world.isFull) {
            return yield* PlatformError.systemError({
              _tag: "Unknown",
              module: "FileSystem",
              method: "write",
              description: "no space left on device",
              cause: Object.assign(new Error("ENOSPC"), { code: "ENOSPC" }),
            });
          }
          yield* happens("write");
          yield* file.writeAll(bytes.subarray(half.length));
        }),
    };
  };
  const disk = FileSystem.FileSystem.of({
    ...fs,
    open: (path, options) =>
      Effect.map(fs.open(path, options), (file) => watched(file, path)),
    remove: (path, options) =>
      Effect.andThen(happens("remove"), fs.remove(path, options)),
  });
  const archive = OrderArchive.of({
    ...store,
    openFile: (epoch, name) =>
      Effect.andThen(happens("note file"), store.openFile(epoch, name)),
    leave: (leaving) =>
      Effect.gen(function* () {
        yield* happens("leave");
        const left = yield* store.leave(leaving);
        // It may also die before it hears that it is done.
        yield* happens(left);
        return left;
      }),
  });

  /** Archives as a process does, until the scope ends; returns when it dies. */
  const process = Effect.fnUntraced(function* (retention: Duration.Duration) {
    isKilled = false;
    const files = yield* ArchiveFiles.make(directory).pipe(
      Effect.provideService(FileSystem.FileSystem, disk),
      Effect.provideService(Path.Path, path),
    );
    const scope = yield* Scope.Scope;
    const context = yield* Layer.buildWithScope(
      OrderArchiving.layer({ retention, files }).pipe(
        Layer.provide([
          Layer.succeed(OrderArchive, archive),
          Layer.succeed(Upkeep.Upkeep, world.upkeep),
          Database.layerMemory,
        ]),
      ),
      scope,
    );
    const archiving = Context.get(context, OrderArchiving);
    return yield* Effect.catchDefect(
      archiving.run(Partition.make(0)),
      (defect) => (defect === killed ? Effect.void : Effect.die(defect)),
    );
  });

  return Object.assign(world, { process });
});

export const archiveWorld = Effect.provide(make, NodeServices.layer);

/** The lines of all files, as `zcat` would read them. */
export const linesIn = (directory: string) =>
  Effect.promise(async () => {
    const names = (await readdir(directory)).sort();
    const texts = await Promise.all(
      names.map(async (name) =>
        gunzipSync(await readFile(join(directory, name))).toString(),
      ),
    );
    return texts.flatMap((text) => text.split("\n").slice(0, -1));
  });
