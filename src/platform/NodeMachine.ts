/** The machine of the `orders` command, on Node. */
import {
  constants,
  createReadStream,
  open as openNumber,
  type Stats,
} from "node:fs";
import { open, rename, rm, stat, writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { createGunzip } from "node:zlib";
import { Effect, Stream } from "effect";
import {
  FileFault,
  type Machine,
  type OpenFile,
  OutputClosed,
} from "../cli/Machine.ts";

/** As much of a file as is read at once. */
const chunkBytes = 256 * 1024;

const faultOf = (path: string, tried: string) => (error: unknown) =>
  new FileFault({
    path,
    tried,
    code: (error as NodeJS.ErrnoException)?.code ?? String(error),
  });

const attempt = <A>(path: string, tried: string, run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: faultOf(path, tried) });

/**
 * The chunks of a stream. It ends with its reader: an iterator of Node's own
 * waits for the next chunk first, which may never come.
 */
const chunksOf = (
  source: Readable,
  chunks: AsyncIterator<Uint8Array>,
): AsyncIterable<Uint8Array> => ({
  [Symbol.asyncIterator]: () => ({
    next: () => chunks.next(),
    return: async () => {
      source.destroy();
      return { done: true, value: undefined };
    },
  }),
});

const streamOf = (
  path: string,
  from: () => Readable,
  chunks = (source: Readable): AsyncIterator<Uint8Array> =>
    source[Symbol.asyncIterator](),
) =>
  Stream.suspend(() => {
    const source = from();
    return Stream.fromAsyncIterable<Uint8Array, FileFault>(
      chunksOf(source, chunks(source)),
      faultOf(path, "read"),
    );
  });

/** Several packed parts one after the other are one text. */
const unpacked = (packed: Readable): Readable => {
  const gunzip = createGunzip({ chunkSize: chunkBytes });
  packed.on("error", (error) => gunzip.destroy(error));
  gunzip.on("close", () => packed.destroy());
  return packed.pipe(gunzip);
};

/** The chunks of a pipe, unpacked where it begins as gzip does. */
async function* plainChunks(source: Readable): AsyncGenerator<Uint8Array> {
  const chunks: AsyncIterator<Uint8Array> = source[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  while (head.length < 2) {
    const { done, value } = await chunks.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  const all = async function* () {
    if (head.length > 0) yield head;
    for (let next = await chunks.next(); !next.done; ) {
      yield next.value;
      next = await chunks.next();
    }
  };
  const isPacked = head[0] === 0x1f && head[1] === 0x8b;
  yield* isPacked ? unpacked(Readable.from(all())) : all();
}

/** Names of what the process has already. Opened by name, a socket fails. */
const isStdin = (path: string) =>
  /^\/(dev\/stdin|dev\/fd\/0|proc\/self\/fd\/0)$/.test(path);
const isStdout = (path: string) =>
  /^\/(dev\/stdout|dev\/fd\/1|proc\/self\/fd\/1)$/.test(path);

const isStream = (path: string, stats: Stats) =>
  !stats.isFile() || /^\/(dev|proc)\//.test(path);

const stdout = "standard output";

const write = (text: string | Uint8Array) =>
  Effect.callback<void, OutputClosed | FileFault>((resume) => {
    process.stdout.write(text, (error) => {
      if (error === null || error === undefined) return resume(Effect.void);
      resume(
        Effect.fail(
          (error as NodeJS.ErrnoException).code === "EPIPE"
            ? new OutputClosed()
            : faultOf(stdout, "write")(error),
        ),
      );
    });
  });

const tell = (text: string) =>
  Effect.callback<void>((resume) => {
    process.stderr.write(text, () => resume(Effect.void));
  });

/** The terminal keeps its own editing, so Ctrl-C is a signal as everywhere. */
const ask = (question: string) =>
  Effect.callback<string | undefined>((resume) => {
    process.stderr.write(question);
    const lines = createInterface({ input: process.stdin, terminal: false });
    lines.once("line", (line) => {
      resume(Effect.succeed(line));
      lines.close();
    });
    lines.once("close", () => resume(Effect.succeed(undefined)));
    return Effect.sync(() => lines.close());
  });

const look = (path: string) =>
  attempt(path, "read", async () => {
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (found === undefined) return undefined;
    if (found.isDirectory())
      throw Object.assign(new Error(), { code: "EISDIR" });
    return {
      size: found.size,
      modified: found.mtimeMs,
      isStream: isStream(path, found),
      isPipe: found.isFIFO(),
    };
  });

/** Ends the wait of an `open` for a writer, by being one for a moment. */
const releaseReader = (path: string) =>
  Effect.promise(() =>
    open(path, constants.O_WRONLY | constants.O_NONBLOCK).then(
      (file) => file.close(),
      () => {},
    ),
  );

/**
 * A pipe by its name. It is read as a socket is: a file is read in a thread,
 * and the process cannot end before that thread has got something.
 */
const readPipe = (path: string) =>
  attempt(path, "read", () => promisify(openNumber)(path, "r")).pipe(
    Effect.onInterrupt(() => releaseReader(path)),
    Effect.map((fd) =>
      streamOf(
        path,
        () => new Socket({ fd, readable: true, writable: false }),
        plainChunks,
      ),
    ),
    Stream.unwrap,
  );

const read: Machine["Service"]["read"] = (
  path,
  { gunzip = false, length, offset = 0 } = {},
) => {
  if (length === 0) return Stream.empty;
  if (isStdin(path)) {
    return streamOf("standard input", () => process.stdin, plainChunks);
  }
  return Stream.unwrap(
    Effect.map(look(path), (found) => {
      if (found?.isPipe === true) return readPipe(path);
      const open = () =>
        createReadStream(path, {
          highWaterMark: chunkBytes,
          // Where a place is named, Node asks for it, which a pipe refuses.
          ...(offset === 0 ? {} : { start: offset }),
          ...(length === undefined ? {} : { end: offset + length - 1 }),
        });
      return found?.isStream === true
        ? streamOf(path, open, plainChunks)
        : streamOf(path, () => (gunzip ? unpacked(open()) : open()));
    }),
  );
};

const toStdout: OpenFile = {
  write: (chunk) =>
    Effect.catchTag(write(chunk), "OutputClosed", () =>
      Effect.fail(faultOf(stdout, "write")({ code: "EPIPE" })),
    ),
  sync: Effect.void,
  close: Effect.void,
};

const openStream = (path: string): Effect.Effect<OpenFile, FileFault> =>
  isStdout(path)
    ? Effect.succeed(toStdout)
    : Effect.map(
        attempt(path, "write", () => open(path, "a")),
        (file) => ({
          write: (chunk) => attempt(path, "write", () => file.writeFile(chunk)),
          sync: Effect.void,
          close: Effect.promise(() => file.close().catch(() => {})),
        }),
      );

const openCut = (path: string, keep: number) =>
  Effect.gen(function* () {
    const found = yield* look(path);
    if (found?.isStream === true) return yield* openStream(path);
    const file = yield* attempt(path, "write", async () => {
      const opened = await open(path, keep === 0 ? "w" : "r+");
      await opened.truncate(keep);
      return opened;
    });
    let place = keep;
    return {
      write: (chunk: string | Uint8Array) =>
        attempt(path, "write", async () => {
          const bytes =
            typeof chunk === "string" ? Buffer.from(chunk, "utf8") : chunk;
          for (let done = 0; done < bytes.length; ) {
            const { bytesWritten } = await file.write(
              bytes,
              done,
              bytes.length - done,
              place,
            );
            done += bytesWritten;
            place += bytesWritten;
          }
        }),
      sync: attempt(path, "write", () => file.sync()),
      close: Effect.promise(() => file.close().catch(() => {})),
    };
  });

/** Renamed in one step, and whole on the disk before. */
const replace = (path: string, text: string) =>
  attempt(path, "write", async () => {
    const next = `${path}.new`;
    await writeFile(next, text, { flush: true });
    await rename(next, path);
  });

export const machine = (): Machine["Service"] => ({
  args: process.argv.slice(2),
  env: (name) => process.env[name] || undefined,
  stdinIsTerminal: process.stdin.isTTY === true,
  stdoutIsTerminal: process.stdout.isTTY === true,
  stderrIsTerminal: process.stderr.isTTY === true,
  columns: Effect.sync(
    () => process.stdout.columns || process.stderr.columns || 80,
  ),
  stdin: read("/dev/stdin"),
  write,
  tell,
  ask,
  read,
  look,
  openCut,
  replace,
  rename: (from, to) => attempt(to, "write", () => rename(from, to)),
  remove: (path) =>
    Effect.flatMap(look(path), (found) =>
      found?.isStream === true
        ? Effect.void
        : attempt(path, "remove", () => rm(path, { force: true })),
    ),
});
