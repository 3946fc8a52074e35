/** What an import reads: a file, from where it stopped, or a stream. */
import { Effect, Option, Stream } from "effect";
import { failed, usedWrongly } from "./Failures.ts";
import type { Tally } from "./Import.ts";
import { type FileMark, keptPlace, markOf, placePath } from "./ImportPlace.ts";
import {
  type Batch,
  batchesOf,
  columnsIn,
  headerFault,
  type ImportFormat,
} from "./ImportRows.ts";
import { Machine } from "./Machine.ts";
import { Url } from "./Settings.ts";

const nothing: Tally = {
  ...{ offset: 0, line: 0, placed: 0, replayed: 0, rejected: 0 },
  rejected_bytes: 0,
};

/** What is imported, and from where on. */
export interface Source {
  /** Left out for a stream, which cannot be gone on with. */
  readonly file: { readonly path: string; readonly mark: FileMark } | undefined;
  readonly batches: Stream.Stream<Batch, unknown, Machine>;
  readonly start: Tally;
  /** Bytes of its text, where that is known. */
  readonly size: number | undefined;
}

/** What was asked for. */
interface Input {
  readonly file: string;
  readonly format: Option.Option<ImportFormat>;
  readonly restart: boolean;
}

const formatOf = Effect.fnUntraced(function* (
  { file, format }: Input,
  isStream: boolean,
) {
  if (Option.isSome(format)) return format.value;
  const [, ending] = /\.(\w+?)(?:\.gz)?$/.exec(file.toLowerCase()) ?? [];
  if (ending === "csv") return "csv";
  if (isStream || /^(ndjson|jsonl|json)$/.test(ending ?? "")) {
    return "ndjson";
  }
  return yield* usedWrongly(
    `The name ${file} does not tell what is in it: add --format ndjson or --format csv.`,
  );
});

const isGzip = (head: Uint8Array) => head[0] === 0x1f && head[1] === 0x8b;

/** Bytes of a text that is unpacked, without its first `offset`. */
const without = (offset: number) => (chunk: Uint8Array) => {
  const dropped = Math.min(offset, chunk.length);
  offset -= dropped;
  return chunk.subarray(dropped);
};

/** Where a file was left, if it is the same and is not to be begun anew. */
const startOf = Effect.fnUntraced(function* (input: Input, mark: FileMark) {
  const { tell } = yield* Machine;
  if (input.restart) return nothing;
  const kept = yield* keptPlace(input.file, mark, yield* Url);
  if (kept === undefined) return nothing;
  if (kept === "other") {
    yield* tell(
      `${placePath(input.file)} is of another state of the file, or of another service: beginning with the first row.\n`,
    );
    return nothing;
  }
  yield* tell(`Going on after line ${kept.line}.\n`);
  return kept;
});

/** The columns of a file that is gone on with. */
const headerOf = Effect.fnUntraced(function* (path: string, gunzip: boolean) {
  const { read } = yield* Machine;
  const [header = ""] = yield* read(path, { gunzip }).pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.take(1),
    Stream.runCollect,
  );
  const columns = columnsIn(header);
  return "order_id" in columns ? columns : yield* headerFault(columns);
});

const noArray = (path: string, format: ImportFormat, head: Uint8Array) =>
  format === "ndjson" && head[0] === "[".charCodeAt(0)
    ? usedWrongly(
        `${path} is a JSON array: an order on each line is needed.\nTry: jq -c '.[]' ${path} | orders import -`,
      )
    : Effect.void;

const fromFile = Effect.fnUntraced(function* (
  input: Input,
  format: ImportFormat,
) {
  const machine = yield* Machine;
  const path = input.file;
  const marked = yield* markOf(path);
  if (marked === undefined) {
    return yield* failed(`Cannot read ${path}: there is no such file.`);
  }
  const { head, mark } = marked;
  const gunzip = isGzip(head);
  if (!gunzip) yield* noArray(path, format, head);
  const start = yield* startOf(input, mark);
  const { offset } = start;
  const bytes = gunzip
    ? Stream.map(machine.read(path, { gunzip }), without(offset))
    : machine.read(path, { offset });
  const columns =
    format === "csv" && offset > 0 ? yield* headerOf(path, gunzip) : undefined;
  const source: Source = {
    file: { path, mark },
    batches: batchesOf(bytes, format, start, columns),
    start,
    size: gunzip ? undefined : mark.size,
  };
  return source;
});

/** Read as it comes, from its beginning to its end. */
const fromStream = Effect.fnUntraced(function* (
  path: string,
  format: ImportFormat,
) {
  const { read, stdin, stdinIsTerminal, tell } = yield* Machine;
  const isStdin = path === "-";
  if (isStdin && stdinIsTerminal) {
    yield* tell("Reading orders; Ctrl-D ends them.\n");
  }
  const bytes = (isStdin ? stdin : read(path)).pipe(
    Stream.zipWithIndex,
    Stream.mapEffect(([chunk, index]) =>
      Effect.as(
        index === 0 ? noArray(path, format, chunk) : Effect.void,
        chunk,
      ),
    ),
  );
  const source: Source = {
    file: undefined,
    batches: batchesOf(bytes, format, nothing),
    start: nothing,
    size: undefined,
  };
  return source;
});

export const sourceOf = Effect.fnUntraced(function* (input: Input) {
  const { look } = yield* Machine;
  const { file } = input;
  const isStream = file === "-" || (yield* look(file))?.isStream === true;
  const format = yield* formatOf(input, isStream);
  return yield* isStream ? fromStream(file, format) : fromFile(input, format);
});
