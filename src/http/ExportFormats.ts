/**
 * The forms that exported orders are written in. Both end with a line that says
 * how many there were: where it is missing, there were more.
 */
import type { DateTime } from "effect";
import { type ExportFormat, exportTypes } from "../api/OrdersApi.ts";
import type { Order } from "../domain/Order.ts";
import { timeText, toJson } from "../domain/OrderJson.ts";

export interface Format {
  readonly contentType: string;
  readonly fileName: string;
  readonly head: string;
  /** Ends with the end of a line. */
  readonly write: (orders: ReadonlyArray<Order>) => string;
  readonly close: (exported: number) => string;
}

/**
 * Where a cell of a spreadsheet may begin: at the beginning of the text, and for
 * programs that take other separators than "," behind one of these; a quote
 * before it counts for nothing. What stands there and begins a formula (wide
 * forms too, as in East Asia) has a "'" put before it, and so has a "'": taking
 * one "'" off at each of these places gives the very text back.
 */
const formulaStarts = /(?=['=+\-@\t\r\n＝＋－＠])(?<=^"*|[;\t\r\n]"*)/g;

const textCell = (text: string): string =>
  `"${text.replace(formulaStarts, "'").replaceAll('"', '""')}"`;

const timeCell = (time: DateTime.Utc | null): string => timeText(time) ?? "";

const columns: Readonly<Record<keyof Order, (order: Order) => string>> = {
  order_id: (order) => textCell(order.order_id),
  user_id: (order) => textCell(order.user_id),
  item_ids: (order) => textCell(JSON.stringify(order.item_ids)),
  total_amount: (order) => String(order.total_amount),
  status: (order) => order.status,
  created_at: (order) => timeCell(order.created_at),
  updated_at: (order) => timeCell(order.updated_at),
  processing_started_at: (order) => timeCell(order.processing_started_at),
  processing_completed_at: (order) => timeCell(order.processing_completed_at),
  attempts: (order) => String(order.attempts),
  next_attempt_at: (order) => timeCell(order.next_attempt_at),
  last_error: ({ last_error }) =>
    last_error === null ? "" : textCell(last_error),
};
const cells = Object.values(columns);

/** RFC 4180, in lines that end with CR LF. */
const csv: Format = {
  contentType: `${exportTypes.csv}; charset=utf-8; header=present`,
  fileName: "orders.csv",
  // A byte order mark first: without it Excel reads the text as of another code.
  head: `\ufeff${Object.keys(columns).join(",")}\r\n`,
  write: (orders) =>
    orders
      .map((order) => `${cells.map((cell) => cell(order)).join(",")}\r\n`)
      .join(""),
  // As wide as all rows, and no order: it has no status.
  close: (exported) =>
    `# exported,${exported}${",".repeat(cells.length - 2)}\r\n`,
};

const ndjson: Format = {
  contentType: exportTypes.ndjson,
  fileName: "orders.ndjson",
  head: "",
  write: (orders) => orders.map((order) => `${toJson(order)}\n`).join(""),
  close: (exported) => `${JSON.stringify({ exported })}\n`,
};

export const formats: Readonly<Record<ExportFormat, Format>> = { ndjson, csv };

/** The media ranges of an `Accept`, with their weights. */
const rangesOf = (accept: string) =>
  accept.split(",").map((range) => {
    const [type = "", ...parameters] = range
      .split(";")
      .map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    const weight = Number(q?.slice(2) ?? 1);
    return { type, weight: weight >= 0 && weight <= 1 ? weight : 0 };
  });

/**
 * What `Accept` likes best (RFC 9110, section 12.5.1). What names neither form
 * gets NDJSON, as every other path answers with JSON whatever is accepted.
 */
export const formatAccepted = (accept: string | undefined): ExportFormat => {
  const ranges = rangesOf(accept ?? "*/*");
  const weightOf = (type: string) => {
    const [group] = type.split("/");
    for (const range of [type, `${group}/*`, "*/*"]) {
      const found = ranges.find((given) => given.type === range);
      if (found !== undefined) return found.weight;
    }
    return 0;
  };
  return weightOf(exportTypes.csv) > weightOf(exportTypes.ndjson)
    ? "csv"
    : "ndjson";
};
