/**
 * What the command needs of the machine that it runs on: its words, its
 * terminal, and files. Small, so that what runs it needs no package besides
 * `effect`; `platform/NodeMachine.ts` is Node's.
 */
import { Context, type Effect, Schema, type Stream } from "effect";

/** A file that cannot be read or written, in words for whoever named it. */
export class FileFault extends Schema.TaggedError<FileFault>()("FileFault", {
  path: Schema.String,
  /** `ENOENT`, `EACCES`, ... */
  code: Schema.String,
  /** What was tried: `read`, `write`, ... */
  tried: Schema.String,
}) {}

/** Whoever read what is written to standard output has gone, as `head` does. */
export class OutputClosed extends Schema.TaggedError<OutputClosed>()(
  "OutputClosed",
  {},
) {}

export interface FileState {
  /** In bytes. */
  readonly size: number;
  /** When its content last changed, in milliseconds since 1970. */
  readonly modified: number;
  /**
   * A pipe, a terminal or another device, or standard input or output by its
   * name: it is read or written once, from the beginning, and nothing stands
   * beside it.
   */
  readonly isStream: boolean;
}

/** A file that is written to from its beginning or from its end. */
export interface OpenFile {
  write(chunk: string | Uint8Array): Effect.Effect<void, FileFault>;
  /** Until what was written is on the disk. */
  readonly sync: Effect.Effect<void, FileFault>;
  readonly close: Effect.Effect<void>;
}

export class Machine extends Context.Service<
  Machine,
  {
    readonly args: ReadonlyArray<string>;
    /** A variable of the environment; `undefined` also where it is empty. */
    env(name: string): string | undefined;
    readonly stdinIsTerminal: boolean;
    readonly stdoutIsTerminal: boolean;
    readonly stderrIsTerminal: boolean;
    /** Of the terminal, now. */
    readonly columns: Effect.Effect<number>;
    /** Unpacked where it is gzip, as every stream that is read. */
    readonly stdin: Stream.Stream<Uint8Array, FileFault>;
    /** To standard output, once there is room. */
    write(
      text: string | Uint8Array,
    ): Effect.Effect<void, OutputClosed | FileFault>;
    /** To standard error; what cannot be told is left out. */
    tell(text: string): Effect.Effect<void>;
    /** Asks on the terminal; `undefined` at the end of the input. */
    ask(question: string): Effect.Effect<string | undefined>;
    /** A file's bytes, from `offset` on or unpacked; a stream's all. */
    read(
      path: string,
      options?: {
        readonly offset?: number;
        readonly length?: number;
        readonly gunzip?: boolean;
      },
    ): Stream.Stream<Uint8Array, FileFault>;
    /** `undefined` if there is none. */
    look(path: string): Effect.Effect<FileState | undefined, FileFault>;
    /**
     * Opens a file for writing, with its first `keep` bytes and no more; of a
     * stream, nothing is cut.
     */
    openCut(path: string, keep: number): Effect.Effect<OpenFile, FileFault>;
    /** Puts a whole text in the place of a file: it is the old one or the new. */
    replace(path: string, text: string): Effect.Effect<void, FileFault>;
    rename(from: string, to: string): Effect.Effect<void, FileFault>;
    /** No fault where there is none; a stream is left alone. */
    remove(path: string): Effect.Effect<void, FileFault>;
  }
>()("cli/Machine") {}
