/** `orders import`: a file of orders, placed in batches. */
import { Clock, Effect, Option, Stream } from "effect";
import { Argument, Command, Flag } from "effect/cli";
import { EndsWith, exitCodes, failed, usedWrongly } from "./Failures.ts";
import { makeSettling, runImport, type Tally } from "./Import.ts";
import {
  type FileMark,
  forgetPlace,
  keepPlace,
  keptPlace,
  markOf,
  placePath,
} from "./ImportPlace.ts";
import {
  type Batch,
  batchesOf,
  columnsIn,
  headerFault,
  type ImportFormat,
} from "./ImportRows.ts";
import { Machine } from "./Machine.ts";
import { lengthText, withProgress } from "./Progress.ts";
import { showOne } from "./Results.ts";
import { makeSender } from "./Sending.ts";
import { Url, withClient } from "./Settings.ts";
import { summaryView } from "./Views.ts";

const nothing: Tally = {
  ...{ offset: 0, line: 0, placed: 0, replayed: 0, rejected: 0 },
  rejected_bytes: 0,
};

/** What is imported, and from where on. */
interface Source {
  /** Left out for a stream, which cannot be gone on with. */
  readonly file: { readonly path: string; readonly mark: FileMark } | undefined;
  readonly batches: Stream.Stream<Batch, unknown, Machine>;
  readonly start: Tally;
  /** Bytes of its text, where that is known. */
  readonly size: number | undefined;
}

const flags = {
  file: Argument.String("file").pipe(
    Argument.withDescription(
      "NDJSON (an order a line) or CSV, also as .gz; - for standard input; a pipe is read as it comes",
    ),
  ),
  format: Flag.Literals("format", ["ndjson", "csv"]).pipe(
    Flag.withDescription(
      "Left out: by the name of the file; ndjson for - and for pipes",
    ),
    Flag.optional,
  ),
  rejects: Flag.String("rejects").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription(
      "Where rows that are refused go, with the reason; <file>.rejected.ndjson unless said, for - and for pipes orders.rejected.ndjson",
    ),
    Flag.optional,
  ),
  restart: Flag.Boolean("restart").pipe(
    Flag.withDescription("Begin with the first row, not where it stopped"),
    Flag.withDefault(false),
  ),
} as const;

type Input = Command.Command.Config.Infer<typeof flags>;

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

const sourceOf = Effect.fnUntraced(function* (input: Input) {
  const { look } = yield* Machine;
  const { file } = input;
  const isStream = file === "-" || (yield* look(file))?.isStream === true;
  const format = yield* formatOf(input, isStream);
  return yield* isStream ? fromStream(file, format) : fromFile(input, format);
});

const rows = ({ placed, rejected, replayed }: Tally) =>
  placed + replayed + rejected;

const number = (value: number) => Math.round(value).toLocaleString("en");

/** How it is going, in a line. */
const progressText = (
  tally: Tally,
  { size, start }: Source,
  seconds: number,
  waiting: string | undefined,
) => {
  const parts = [`${number(rows(tally))} orders`];
  const done = rows(tally) - rows(start);
  if (seconds > 0) parts.push(`${number(done / seconds)}/s`);
  if (size !== undefined && size > 0) {
    const read = tally.offset - start.offset;
    parts.push(`${Math.floor((100 * tally.offset) / size)} %`);
    if (read > 0) {
      const left = (seconds * (size - tally.offset)) / read;
      parts.push(`${lengthText(left)} left`);
    }
  }
  if (tally.rejected > 0) parts.push(`${number(tally.rejected)} rejected`);
  if (waiting !== undefined) parts.push(`waiting: ${waiting}`);
  return parts.join(", ");
};

const view = summaryView<Record<string, unknown>>({
  placed: "PLACED",
  replayed: "REPLAYED",
  rejected: "REJECTED",
  seconds: "SECONDS",
  per_second: "PER SECOND",
  rejects: "REJECTED ROWS",
});

const rejectsPath = ({ rejects }: Input, { file }: Source) =>
  Option.getOrElse(rejects, () =>
    file === undefined
      ? "orders.rejected.ndjson"
      : `${file.path}.rejected.ndjson`,
  );

/** Shows what came of it; the exit code is 1 where rows were rejected. */
const showEnd = Effect.fnUntraced(function* (
  rejectsTo: string,
  tally: Tally,
  done: number,
  seconds: number,
) {
  const { tell } = yield* Machine;
  const { placed, rejected, replayed } = tally;
  const rejects = rejected > 0 ? rejectsTo : null;
  yield* showOne(view, {
    ...{ placed, replayed, rejected },
    seconds: Math.round(seconds * 10) / 10,
    per_second: seconds > 0 ? Math.round(done / seconds) : done,
    rejects,
  });
  if (rejects !== null) {
    yield* tell(
      `${number(rejected)} ${rejected === 1 ? "row was" : "rows were"} refused: ${rejects} has each with its reason.\nMended, they can be imported: jq -r .input ${rejects}\n`,
    );
    return yield* new EndsWith({ exitCode: exitCodes.failed });
  }
});

const imported = Effect.fnUntraced(function* (input: Input, source: Source) {
  const { openCut, remove, tell } = yield* Machine;
  const url = yield* Url;
  const { file, start } = source;
  const rejects = rejectsPath(input, source);
  // Those of an import before this one.
  if (start.rejected_bytes === 0) yield* remove(rejects);
  const settling = makeSettling({
    start,
    openRejects: (keep) => openCut(rejects, keep),
    keep: (tally) =>
      file === undefined
        ? Effect.void
        : keepPlace(file.path, { version: 1, url, file: file.mark, ...tally }),
  });
  const began = yield* Clock.currentTimeMillis;
  yield* withClient(
    (client) =>
      Effect.gen(function* () {
        const { send, waiting } = yield* makeSender(client, url);
        yield* runImport(source.batches, send, settling).pipe(
          withProgress((seconds) =>
            progressText(settling.tally(), source, seconds, waiting()),
          ),
        );
      }),
    // A batch takes longer than an order.
    { timeout: "60 seconds" },
  ).pipe(
    Effect.onExit((exit) =>
      exit._tag === "Success"
        ? Effect.void
        : tell(
            file === undefined
              ? `Stopped after line ${settling.tally().line}. Sending the same again is safe: what is placed is not placed twice.\n`
              : `Stopped after line ${settling.tally().line}. To go on there, run the same command again.\n`,
          ),
    ),
  );
  if (file !== undefined) yield* forgetPlace(file.path);
  const ended = yield* Clock.currentTimeMillis;
  const tally = settling.tally();
  yield* showEnd(
    rejects,
    tally,
    rows(tally) - rows(start),
    (ended - began) / 1000,
  );
});

export const importOrders = Command.make("import", flags, (input) =>
  Effect.flatMap(sourceOf(input), (source) => imported(input, source)),
).pipe(
  Command.withDescription(
    "Place the orders of a file, also an export or an archive. Rows that are refused go to a file with the reason, and the others go on. Stopped, it goes on where it stopped when it is run again; nothing is placed twice",
  ),
  Command.withShortDescription("Place the orders of a file"),
  Command.withExamples([
    { command: "orders import orders.ndjson" },
    { command: "orders import orders.csv --rejects refused.ndjson" },
    {
      command: "orders import archive/2026-01-31.ndjson.gz",
      description: "An archive, back into an empty service",
    },
    { command: "zcat orders.ndjson.gz | orders import -" },
  ]),
);
