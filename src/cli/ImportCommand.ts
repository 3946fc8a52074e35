/** `orders import`: a file of orders, placed in batches. */
import { Clock, Effect, Option } from "effect";
import { Argument, Command, Flag } from "effect/cli";
import { EndsWith, exitCodes } from "./Failures.ts";
import { makeSettling, runImport, type Tally } from "./Import.ts";
import { forgetPlace, keepPlace } from "./ImportPlace.ts";
import { type Source, sourceOf } from "./ImportSource.ts";
import { Machine } from "./Machine.ts";
import { lengthText, withProgress } from "./Progress.ts";
import { showOne } from "./Results.ts";
import { makeSender } from "./Sending.ts";
import { Url, withClient } from "./Settings.ts";
import { summaryView } from "./Views.ts";

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
