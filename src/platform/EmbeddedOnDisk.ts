/**
 * PGlite that waits for the disk: a commit is answered once the write-ahead log
 * is on it, as by a PostgreSQL server.
 *
 * As it comes, PGlite does not wait. It starts PostgreSQL with `fsync` off, and
 * its file system on Node has no `fsync`. What is relied on here to change that
 * (`test/persistence/embeddedOnDisk.test.ts` fails when a version changes it):
 *
 * - `startParams` are PostgreSQL's own, and of two the later counts.
 * - A file system of one's own is given the options of the Emscripten module.
 *   `fsync(2)` calls the `fsync` of the file system's `stream_ops`, if there is
 *   one, and returns what that returns: an errno, or 0. `fdatasync(2)` calls
 *   nothing: hence `wal_sync_method`.
 * - Module option `onAbort` is called when PostgreSQL gives up (PANIC).
 */
import fs from "node:fs";
import { dirname } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { NodeFS } from "@electric-sql/pglite/nodefs";
import { sync, syncAll } from "./DiskSync.ts";

/** An open file or directory of Emscripten's. */
interface OpenFile {
  readonly nfd: number;
}

/** EIO, as WebAssembly's system interface numbers it. */
const inputOutputError = 29;

const fsync = ({ nfd }: OpenFile): number => {
  try {
    fs.fsyncSync(nfd);
    return 0;
  } catch {
    return inputOutputError;
  }
};

type Init = NodeFS["init"];

class SyncedNodeFS extends NodeFS {
  readonly #onAbort: () => void;

  constructor(directory: string, onAbort: () => void) {
    super(directory);
    this.#onAbort = onAbort;
  }

  override async init(...[database, options]: Parameters<Init>) {
    const { emscriptenOpts } = await super.init(database, options);
    const addFsync: NonNullable<typeof emscriptenOpts.preRun>[number] = (
      module,
    ) => {
      Object.assign(module.FS.filesystems.NODEFS.stream_ops, { fsync });
    };
    return {
      emscriptenOpts: {
        ...emscriptenOpts,
        preRun: [addFsync, ...(emscriptenOpts.preRun ?? [])],
        onAbort: this.#onAbort,
      },
    };
  }
}

/**
 * After a PANIC (the disk is full, or refuses to write) PostgreSQL must not go
 * on: what it holds is not what is on the disk. A server ends all its processes
 * and begins again from its log. Here that is this process, at once: PGlite
 * itself would run on, and never return from the next statement.
 */
const endProcess = (reason: string) => {
  fs.writeSync(
    2,
    `order-service: the embedded database cannot go on, and the process ends with it (${reason}): no order is lost that was answered 201.\n`,
  );
  process.exit(1);
};

/**
 * A new database has another name until it is complete and on the disk: PGlite
 * takes what is there by its name for a database, however far it came.
 */
const make = async (directory: string) => {
  const unfinished = `${directory}.new`;
  fs.rmSync(unfinished, { recursive: true, force: true });
  const database = await PGlite.create(unfinished);
  await database.close();
  syncAll(unfinished);
  fs.renameSync(unfinished, directory);
  sync(dirname(directory));
};

const startParams = [
  ...PGlite.defaultStartParams,
  ...[
    "fsync=on",
    "wal_sync_method=fsync",
    // All of it is in memory, used or not. Half of PostgreSQL's 128 MB is as
    // fast; a quarter takes 1.05 times the CPU for an order, an eighth 1.2.
    "shared_buffers=64MB",
  ].flatMap((setting) => ["-c", setting]),
];

/** Opens the database in a directory, which is made if there is none. */
export const open = async (directory: string): Promise<PGlite> => {
  if (!fs.existsSync(directory)) await make(directory);
  let lastWords = "no reason given";
  return await PGlite.create({
    fs: new SyncedNodeFS(directory, () => endProcess(lastWords)),
    startParams,
    onStderr: (line) => {
      const [, last] = /(?:PANIC|FATAL):\s+(.*)/.exec(line) ?? [];
      if (last !== undefined) lastWords = last;
      return false;
    },
  }).catch((error) => {
    // PGlite says only that it "failed to initialize properly".
    throw Object.assign(
      new Error(`${String(error)} (${lastWords})`, { cause: error }),
      lastWords.endsWith("No space left on device") ? { code: "ENOSPC" } : {},
    );
  });
};
