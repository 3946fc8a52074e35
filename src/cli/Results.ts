/** What a command has found, as a table for people or as data for programs. */
import { Effect, Option, Stream } from "effect";
import { csvLine } from "./Csv.ts";
import { Machine } from "./Machine.ts";
import { safeJson, safeText, shortened, widthOf } from "./SafeText.ts";
import { type Format, Output } from "./Settings.ts";

const colours = { red: 31, green: 32, yellow: 33, blue: 34, dim: 2, bold: 1 };
export type Colour = keyof typeof colours;

export interface Column<A> {
  readonly title: string;
  readonly of: (value: A) => string;
  /** Places it takes at most where there is not room for all; 24 unless said. */
  readonly width?: number;
  readonly right?: boolean;
  readonly colour?: (value: A) => Colour | undefined;
}

/** How results of a kind are shown. */
export interface View<A> {
  /** The fields of its JSON that CSV has, in their order. */
  readonly fields: ReadonlyArray<string>;
  readonly columns: ReadonlyArray<Column<A>>;
}

/** Colours are for terminals, and for those who want them. */
export const mayColour = ({
  env,
  stdoutIsTerminal,
}: Machine["Service"]): boolean => {
  if (env("NO_COLOR") !== undefined || env("TERM") === "dumb") return false;
  const forced = env("FORCE_COLOR");
  return (
    (forced !== undefined && !/^(0|false)$/i.test(forced)) || stdoutIsTerminal
  );
};

/** The format asked for, or the one that suits where the output goes. */
export const format = Effect.gen(function* () {
  const machine = yield* Machine;
  return Option.getOrElse(
    yield* Output,
    (): Format => (machine.stdoutIsTerminal ? "table" : "json"),
  );
});

const paint = (
  text: string,
  colour: Colour | undefined,
  isColoured: boolean,
) =>
  isColoured && colour !== undefined
    ? `\x1b[${colours[colour]}m${text}\x1b[0m`
    : text;

const gap = "  ";

/**
 * How wide each column is: as wide as its cells, and where that is too much for
 * the terminal, the widest are cut.
 */
const widthsOf = <A>(
  columns: ReadonlyArray<Column<A>>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  room: number,
): ReadonlyArray<number> => {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => widthOf(row[index] ?? ""))),
  );
  const least = columns.map(({ title, width = 24 }, index) =>
    Math.min(widths[index] ?? 0, Math.max(title.length, width)),
  );
  let over =
    widths.reduce((sum, width) => sum + width, 0) +
    gap.length * (columns.length - 1) -
    room;
  while (over > 0) {
    const spare = widths.map((width, index) => width - (least[index] ?? 0));
    const most = Math.max(...spare);
    if (most <= 0) break;
    const widest = spare.indexOf(most);
    const off = Math.min(over, most);
    widths[widest] = (widths[widest] ?? 0) - off;
    over -= off;
  }
  return widths;
};

const padded = (
  text: string,
  width: number,
  right: boolean,
  isLast: boolean,
) => {
  const space = " ".repeat(Math.max(0, width - widthOf(text)));
  if (right) return space + text;
  return isLast ? text : text + space;
};

interface Table<A> {
  readonly head: string;
  readonly line: (value: A) => string;
}

const cellsOf = <A>({ columns }: View<A>, value: A) =>
  columns.map(({ of }) => safeText(of(value)));

const tableOf = <A>(
  view: View<A>,
  first: ReadonlyArray<A>,
  room: number,
  isColoured: boolean,
): Table<A> => {
  const { columns } = view;
  const widths = widthsOf(
    columns,
    first.map((value) => cellsOf(view, value)),
    room,
  );
  const line = (
    cells: ReadonlyArray<string>,
    colour: (column: Column<A>) => Colour | undefined,
  ) =>
    `${columns
      .map((column, index) => {
        const width = widths[index] ?? 0;
        const text = padded(
          shortened(cells[index] ?? "", width),
          width,
          column.right === true,
          index === columns.length - 1,
        );
        return paint(text, colour(column), isColoured);
      })
      .join(gap)
      .trimEnd()}\n`;
  return {
    head: line(
      columns.map(({ title }) => title),
      () => "bold",
    ),
    line: (value) =>
      line(cellsOf(view, value), (column) => column.colour?.(value)),
  };
};

const jsonOf = (value: unknown, space?: number) =>
  safeJson(JSON.stringify(value, null, space));

const csvOf = <A>({ fields }: View<A>, value: A) => {
  // Times become text as in JSON.
  const plain = JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
  return csvLine(fields.map((field) => plain[field]));
};

/** Rows by which the widths of a table are found. */
const measuredRows = 500;

/** One result: in a table, a line for each of its fields. */
export const showOne = Effect.fnUntraced(function* <A extends object>(
  view: View<A>,
  value: A,
) {
  const machine = yield* Machine;
  switch (yield* format) {
    case "json":
      return yield* machine.write(`${jsonOf(value, 2)}\n`);
    case "ndjson":
      return yield* machine.write(`${jsonOf(value)}\n`);
    case "csv":
      return yield* machine.write(csvLine(view.fields) + csvOf(view, value));
    case "table": {
      const width = Math.max(...view.columns.map(({ title }) => title.length));
      const isColoured = mayColour(machine);
      const lines = view.columns.map(({ colour, of, title }) => {
        const text = safeText(of(value));
        return `${paint(title.padEnd(width), "bold", isColoured)}${gap}${paint(text, colour?.(value), isColoured)}`.trimEnd();
      });
      return yield* machine.write(`${lines.join("\n")}\n`);
    }
  }
});

/**
 * Many results, as they come. `live`: they come one after the other, for as
 * long as somebody looks: then JSON is a line for each, too, as an array would
 * not end.
 */
export const showAll = Effect.fnUntraced(function* <A extends object, E, R>(
  view: View<A>,
  results: Stream.Stream<A, E, R>,
  { live = false }: { readonly live?: boolean } = {},
) {
  const machine = yield* Machine;
  const asked = yield* format;
  const writeAll = (text: (values: ReadonlyArray<A>) => string) =>
    Stream.runForEachArray(results, (values) => machine.write(text(values)));

  switch (live && asked === "json" ? "ndjson" : asked) {
    case "ndjson":
      return yield* writeAll((values) =>
        values.map((value) => `${jsonOf(value)}\n`).join(""),
      );
    case "csv":
      yield* machine.write(csvLine(view.fields));
      return yield* writeAll((values) =>
        values.map((value) => csvOf(view, value)).join(""),
      );
    case "json": {
      let before = "[\n";
      yield* writeAll((values) => {
        const text = before + values.map((value) => jsonOf(value)).join(",\n");
        before = ",\n";
        return text;
      });
      return yield* machine.write(before === "[\n" ? "[]\n" : "\n]\n");
    }
    case "table": {
      const room = machine.stdoutIsTerminal
        ? yield* machine.columns
        : Number.POSITIVE_INFINITY;
      const isColoured = mayColour(machine);
      let table: Table<A> | undefined;
      const rows = live ? results : Stream.rechunk(results, measuredRows);
      yield* Stream.runForEachArray(rows, (values) => {
        let text = "";
        if (table === undefined) {
          table = tableOf(view, values, room, isColoured);
          text = table.head;
        }
        return machine.write(text + values.map(table.line).join(""));
      });
      if (table === undefined && !live)
        yield* machine.tell("There are none.\n");
      return;
    }
  }
});
