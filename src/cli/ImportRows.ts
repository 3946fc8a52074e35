/**
 * The rows of a file that is imported, in batches: from NDJSON as they are, so
 * that no digit is lost, from CSV as JSON made of them. Never more of a file in
 * memory than a batch and the longest row.
 */
import { Effect, Stream } from "effect";
import { cellsOf, unguarded } from "./Csv.ts";
import { type CommandFailed, failed } from "./Failures.ts";

export type ImportFormat = "ndjson" | "csv";

export interface Row {
  /** In the file, from 1. */
  readonly line: number;
  /** The order as JSON on one line; `undefined` where it cannot be read. */
  readonly json: string | undefined;
  /** As it stands in the file. */
  readonly input: string;
  readonly fault: string | undefined;
}

/** How far a file has been read. */
export interface ReadTo {
  /** Bytes of its text. */
  readonly offset: number;
  /** Lines of it. */
  readonly line: number;
}

export interface Batch {
  readonly rows: ReadonlyArray<Row>;
  /** Behind its last row. */
  readonly end: ReadTo;
}

/** As many as the service takes at once. */
export const batchRows = 500;
/** Bytes of a batch, unless one row alone has more. */
const batchBytes = 1024 * 1024;
/** The longest row that is read: twice what the service takes, by default. */
export const rowMax = 2 * 1024 * 1024;
/** Whoever writes in smaller pieces than this is slow: rows do not wait then. */
const pieceMin = 16 * 1024;

const [newline, quote, comma] = [10, 34, 44];

/**
 * Finds the ends of rows. In CSV a line break within quotes ends none; a quote
 * begins a quoted cell only at its beginning, so that a stray one does no harm
 * to the rows after it.
 */
const rowEnds = (format: ImportFormat) => {
  let state: "start" | "plain" | "quoted" | "closing" = "start";
  return {
    restart: () => {
      state = "start";
    },
    /** The index of the row's last byte, from `from` on; -1 if it goes on. */
    next: (bytes: Uint8Array, from: number): number => {
      if (format === "ndjson") return bytes.indexOf(newline, from);
      for (let index = from; index < bytes.length; index += 1) {
        const byte = bytes[index];
        if (state === "quoted") {
          if (byte === quote) state = "closing";
        } else if (byte === newline) {
          state = "start";
          return index;
        } else if (byte === quote && state !== "plain") {
          state = "quoted";
        } else {
          state = byte === comma ? "start" : "plain";
        }
      }
      return -1;
    },
  };
};

const joined = (one: Uint8Array, other: Uint8Array): Uint8Array => {
  if (one.length === 0) return other;
  const bytes = new Uint8Array(one.length + other.length);
  bytes.set(one);
  bytes.set(other, one.length);
  return bytes;
};

/** Bytes of a row; of one that is too long, its beginning or the rest. */
type RowKind = "row" | "tooLong" | "rest";

/** The bytes of rows, as they come in pieces of any size. */
const rowReader = (
  format: ImportFormat,
  onRow: (bytes: Uint8Array, kind: RowKind) => void,
) => {
  let held: Uint8Array = new Uint8Array(0);
  let searched = 0;
  /** In a row that is too long, of which the beginning was told. */
  let isSkipping = false;
  const ends = rowEnds(format);

  const tooLong = (bytes: Uint8Array) => {
    // In CSV most likely a quote left open: its own line alone is at fault.
    const line = bytes.indexOf(newline);
    const end = line === -1 ? bytes.length : line + 1;
    isSkipping = line === -1;
    ends.restart();
    onRow(bytes.subarray(0, end), "tooLong");
    return end;
  };

  return {
    push: (chunk: Uint8Array) => {
      let bytes = joined(held, chunk);
      let from = 0;
      while (true) {
        if (isSkipping) {
          const line = bytes.indexOf(newline, from);
          isSkipping = line === -1;
          const end = isSkipping ? bytes.length : line + 1;
          onRow(bytes.subarray(from, end), "rest");
          from = searched = end;
          if (isSkipping) break;
        }
        const end = ends.next(bytes, searched);
        if (end !== -1) {
          onRow(bytes.subarray(from, end + 1), "row");
          from = end + 1;
        } else if (bytes.length - from > rowMax) {
          from += tooLong(bytes.subarray(from));
        } else {
          break;
        }
        searched = from;
        if (from > rowMax) {
          bytes = bytes.subarray(from);
          from = searched = 0;
        }
      }
      held = bytes.slice(from);
      searched = held.length;
    },
    end: () => {
      while (held.length > 0) {
        ends.restart();
        const end = ends.next(held, 0);
        const isOpen = end === -1 && format === "csv";
        const line = held.indexOf(newline);
        // A quote that is open at the end: one line after the other.
        const stop = isOpen && line !== -1 ? line : held.length - 1;
        onRow(held.subarray(0, stop + 1), isSkipping ? "rest" : "row");
        held = held.subarray(stop + 1);
      }
    },
  };
};

const utf8 = new TextDecoder("utf-8", { fatal: true });
const anyText = new TextDecoder("utf-8");

const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
};

/** Where the fields of an order stand in a row of CSV. */
export type CsvColumns = Readonly<Record<(typeof fields)[number], number>>;
const fields = ["order_id", "user_id", "item_ids", "total_amount"] as const;

/** The columns by the header of a file; the names of those that it lacks. */
export const columnsIn = (
  header: string,
): CsvColumns | ReadonlyArray<string> => {
  const names = cellsOf(header.trim()).cells.map((name) =>
    name.trim().toLowerCase(),
  );
  const missing = fields.filter((field) => !names.includes(field));
  return missing.length > 0
    ? missing
    : (Object.fromEntries(
        fields.map((field) => [field, names.indexOf(field)]),
      ) as CsvColumns);
};

/** Items as a JSON array, as exports have them, or with `;` in between. */
const itemsOf = (cell: string): string => {
  if (!cell.trimStart().startsWith("[")) {
    return JSON.stringify(
      cell
        .split(";")
        .map((item) => item.trim())
        .filter((item) => item !== ""),
    );
  }
  // As it is written, so that no digit is lost; a line break is only space.
  return cell.replace(/[\r\n]/g, " ");
};

const jsonOf = (cells: ReadonlyArray<string>, columns: CsvColumns): string => {
  const cell = (field: keyof CsvColumns) =>
    unguarded(cells[columns[field]] ?? "");
  const text = (field: keyof CsvColumns) =>
    `"${field}":${JSON.stringify(cell(field))}`;
  return `{${text("order_id")},${text("user_id")},"item_ids":${itemsOf(cell("item_ids"))},${text("total_amount")}}`;
};

/** The end of an export: no order. */
const isClosing = (cells: ReadonlyArray<string>) =>
  cells[0] === "# exported" && cells.slice(2).every((cell) => cell === "");
const closingLine = /^\{"exported":\d+\}$/;

type Read = Pick<Row, "json" | "fault"> | "none";

const readCsv = (input: string, columns: CsvColumns): Read => {
  const { cells, fault } = cellsOf(input);
  if (fault !== undefined) return { json: undefined, fault };
  if (isClosing(cells)) return "none";
  return { json: jsonOf(cells, columns), fault: undefined };
};

const readJson = (input: string): Read =>
  closingLine.test(input) ? "none" : { json: input, fault: undefined };

/** The header of CSV lacks what an order needs. */
export const headerFault = (missing: ReadonlyArray<string>) =>
  failed(
    `The header lacks ${missing.join(", ")}: the first line of CSV names the columns, ${fields.join(", ")} among them.`,
  );

/**
 * Reads batches from bytes.
 *
 * @param known the columns of CSV, where its header is not read again
 */
export const batchesOf = <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  format: ImportFormat,
  start: ReadTo,
  known?: CsvColumns,
): Stream.Stream<Batch, E | CommandFailed, R> =>
  Stream.suspend(() => {
    let { line, offset } = start;
    let columns = known;
    let missing: ReadonlyArray<string> | undefined;
    let rows: Array<Row> = [];
    let size = 0;
    let ready: Array<Batch> = [];

    const flush = () => {
      if (rows.length > 0) ready.push({ rows, end: { line, offset } });
      rows = [];
      size = 0;
    };

    const readRow = (input: string): Read => {
      if (format === "ndjson") return readJson(input.trim());
      if (columns !== undefined) return readCsv(input, columns);
      const found = columnsIn(input);
      if ("order_id" in found) columns = found;
      else missing = found;
      return "none";
    };

    const onRow = (bytes: Uint8Array, kind: RowKind) => {
      const first = line + 1;
      if (size + bytes.length > batchBytes) flush();
      offset += bytes.length;
      for (const byte of bytes) if (byte === newline) line += 1;
      if (kind === "rest") return;
      const text = textOf(bytes);
      const input = (text ?? anyText.decode(bytes)).replace(/\r?\n$/, "");
      if (input.trim() === "") return;
      const read: Read =
        kind === "tooLong"
          ? { json: undefined, fault: `has more than ${rowMax} bytes` }
          : text === undefined
            ? { json: undefined, fault: "is not UTF-8" }
            : readRow(input);
      if (read === "none") return;
      rows.push({ ...read, line: first, input });
      size += bytes.length;
      if (rows.length === batchRows) flush();
    };

    const reader = rowReader(format, onRow);
    const taken = Effect.suspend(() => {
      if (missing !== undefined) return Effect.fail(headerFault(missing));
      const batches = ready;
      ready = [];
      return Effect.succeed(batches);
    });
    return bytes.pipe(
      Stream.mapEffect((chunk) => {
        reader.push(chunk);
        if (chunk.length < pieceMin) flush();
        return taken;
      }),
      Stream.concat(
        Stream.fromEffect(
          Effect.suspend(() => {
            reader.end();
            flush();
            return taken;
          }),
        ),
      ),
      Stream.flattenIterable,
    );
  });
