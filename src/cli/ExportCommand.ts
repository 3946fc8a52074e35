/** `orders export`: all orders that pass a filter, whole or not at all. */
import { Clock, Effect, Option, Stream } from "effect";
import { Argument, Command, Flag } from "effect/cli";
import { filterFlags, queryOf } from "./Filters.ts";
import { type FileFault, Machine, type OutputClosed } from "./Machine.ts";
import { withProgress } from "./Progress.ts";
import { showOne } from "./Results.ts";
import { withClient } from "./Settings.ts";
import { summaryView } from "./Views.ts";

const flags = {
  file: Argument.String("file").pipe(
    Argument.withDescription("Where it goes; left out, or -, standard output"),
    Argument.withDefault("-"),
  ),
  format: Flag.Literals("format", ["ndjson", "csv"]).pipe(
    Flag.withDescription("Left out: by the name of the file, else ndjson"),
    Flag.optional,
  ),
  ...filterFlags,
} as const;

type Input = Command.Command.Config.Infer<typeof flags>;

const formatOf = ({ file, format }: Input) =>
  Option.getOrElse(format, () =>
    file.toLowerCase().endsWith(".csv") ? "csv" : "ndjson",
  );

/** The closing line says how many orders there were. */
const exportedIn = (tail: string): number =>
  Number(/exported"?[:,](\d+)[^\n]*\r?\n$/.exec(tail)?.[1] ?? 0);

/** More than the closing line has. */
const tailBytes = 100;

/** What came so far. */
interface Come {
  bytes: number;
  tail: string;
}

const sizeText = (bytes: number): string =>
  bytes < 1_000_000
    ? `${Math.round(bytes / 1000).toLocaleString("en")} kB`
    : `${(bytes / 1_000_000).toFixed(1)} MB`;

const view = summaryView<Record<string, unknown>>({
  exported: "EXPORTED",
  bytes: "BYTES",
  seconds: "SECONDS",
  file: "FILE",
});

type Sink = (
  bytes: Uint8Array,
) => Effect.Effect<void, FileFault | OutputClosed>;

/** To a file that has its name only once it is whole, and on the disk. */
const toFile = <A, E, R>(
  path: string,
  use: (write: Sink) => Effect.Effect<A, E, R>,
) =>
  Effect.gen(function* () {
    const { openCut, rename } = yield* Machine;
    const part = `${path}.part`;
    const done = yield* Effect.acquireUseRelease(
      openCut(part, 0),
      (file) => Effect.tap(use(file.write), file.sync),
      ({ close }) => close,
    );
    yield* rename(part, path);
    return done;
  });

const exported = Effect.fnUntraced(function* (input: Input) {
  const machine = yield* Machine;
  const { file } = input;
  const come: Come = { bytes: 0, tail: "" };
  const latin1 = new TextDecoder("latin1");
  const began = yield* Clock.currentTimeMillis;

  const read = (write: Sink) =>
    withClient(
      (client) =>
        client.exportText({ format: formatOf(input), ...queryOf(input) }).pipe(
          Stream.runForEach((bytes) => {
            come.bytes += bytes.length;
            const last = latin1.decode(bytes.subarray(-tailBytes));
            come.tail = (come.tail + last).slice(-tailBytes);
            return write(bytes);
          }),
        ),
      { timeout: "60 seconds", retry: { times: 2 } },
    ).pipe(
      withProgress(
        (seconds) =>
          `${sizeText(come.bytes)}, ${sizeText(seconds > 0 ? come.bytes / seconds : 0)}/s`,
      ),
    );

  if (file === "-") return yield* read(machine.write);
  if ((yield* machine.look(file))?.isStream === true) {
    return yield* Effect.acquireUseRelease(
      machine.openCut(file, 0),
      ({ write }) => read(write),
      ({ close }) => close,
    );
  }
  yield* toFile(file, read).pipe(
    Effect.onExit((exit) =>
      exit._tag === "Failure" && come.bytes > 0
        ? machine.tell(`${file}.part has what came, which is not all.\n`)
        : Effect.void,
    ),
  );
  const ended = yield* Clock.currentTimeMillis;
  yield* showOne(view, {
    exported: exportedIn(come.tail),
    bytes: come.bytes,
    seconds: Math.round((ended - began) / 100) / 10,
    file,
  });
});

export const exportOrders = Command.make("export", flags, exported).pipe(
  Command.withDescription(
    "Write all orders that pass the filter, newest first, as NDJSON or CSV. A file has its name only once it is whole; what was cut is in <file>.part",
  ),
  Command.withShortDescription("Write orders to a file"),
  Command.withExamples([
    { command: "orders export orders.ndjson" },
    { command: "orders export orders.csv --status COMPLETED" },
    {
      command: "orders export | gzip > orders.ndjson.gz",
      description: "With pipefail set, a cut export fails",
    },
  ]),
);
