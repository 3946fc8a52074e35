/** The machine of the `orders` command, on Node. */
import { createReadStream, type ReadStream } from "node:fs";
import { open, rename, rm, stat, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { Effect, Stream } from "effect";
import { FileFault, type Machine, OutputClosed } from "../cli/Machine.ts";

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

const streamOf = (path: string, from: () => Readable) =>
  Stream.suspend(() =>
    Stream.fromAsyncIterable<Uint8Array, FileFault>(
      from(),
      faultOf(path, "read"),
    ),
  );

/** Several packed parts one after the other are one text. */
const unpacked = (file: ReadStream): Readable => {
  const gunzip = createGunzip({ chunkSize: chunkBytes });
  file.on("error", (error) => gunzip.destroy(error));
  gunzip.on("close", () => file.destroy());
  return file.pipe(gunzip);
};

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
    return { size: found.size, modified: found.mtimeMs };
  });

const openCut = (path: string, keep: number) =>
  Effect.gen(function* () {
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
  stdin: streamOf("standard input", () => process.stdin),
  write,
  tell,
  ask,
  read: (path, { gunzip = false, length, offset = 0 } = {}) =>
    length === 0
      ? Stream.empty
      : streamOf(path, () => {
          const file = createReadStream(path, {
            highWaterMark: chunkBytes,
            start: offset,
            ...(length === undefined ? {} : { end: offset + length - 1 }),
          });
          return gunzip ? unpacked(file) : file;
        }),
  look,
  openCut,
  replace,
  rename: (from, to) => attempt(to, "write", () => rename(from, to)),
  remove: (path) => attempt(path, "remove", () => rm(path, { force: true })),
});
