/** The orders of a batch, each apart: so that one that is bad harms no other. */
import { Effect, Result } from "effect";
import type { HttpApiError } from "effect/http-api";
import { batchSizeMax } from "../api/PlaceOrders.ts";
import { BodyTooLarge } from "../api/Problems.ts";
import * as JsonBody from "./JsonBody.ts";

/** An order as it was written, or why it cannot be read. */
export type Row = Result.Result<
  unknown,
  HttpApiError.BadRequestProblem | BodyTooLarge
>;

const [quote, backslash] = [0x22, 0x5c];
const [comma, open, close] = [0x2c, 0x5b, 0x5d];
const [openObject, closeObject] = [0x7b, 0x7d];

/** The elements of an array, as text, in a text that is valid JSON. */
export const elementsOf = (text: string): ReadonlyArray<string> => {
  const elements: Array<string> = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at += 1;
      while (text.charCodeAt(at) !== quote) {
        at += text.charCodeAt(at) === backslash ? 2 : 1;
      }
    } else if (code === open || code === openObject) {
      depth += 1;
      if (depth === 1) start = at + 1;
    } else if (code === close || code === closeObject) {
      depth -= 1;
      if (depth === 0) elements.push(text.slice(start, at));
    } else if (code === comma && depth === 1) {
      elements.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return elements.length === 1 && elements[0]?.trim() === "" ? [] : elements;
};

/** Valid JSON, of which every number and key is looked at later. */
const isValid = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

const noArray = JsonBody.broken(
  "Send a JSON array of orders, or an order on each line as application/x-ndjson.",
);

const wrongSize = (size: number) =>
  JsonBody.broken(
    size === 0
      ? "The batch is empty: send at least one order."
      : `A batch has at most ${batchSizeMax} orders, and this has ${size}: send it in parts. None of it was placed.`,
  );

const ofRightSize = <A>(
  rows: ReadonlyArray<A>,
): Effect.Effect<ReadonlyArray<A>, HttpApiError.BadRequestProblem> =>
  rows.length === 0 || rows.length > batchSizeMax
    ? Effect.fail(wrongSize(rows.length))
    : Effect.succeed(rows);

/** The orders of a JSON array. */
export const ofArray = (
  text: string,
): Effect.Effect<ReadonlyArray<Row>, HttpApiError.BadRequestProblem> =>
  Effect.suspend(() => {
    const plain = JsonBody.parsePlain(text);
    if (Array.isArray(plain)) {
      return Effect.map(ofRightSize(plain), (rows) =>
        rows.map((row) => Result.succeed(row)),
      );
    }
    // As text, each is read by itself: two equal keys are that order's fault.
    if (isValid(text)) {
      return text.trimStart().startsWith("[")
        ? Effect.map(ofRightSize(elementsOf(text)), (rows) =>
            rows.map(JsonBody.jsonOf),
          )
        : Effect.fail(noArray);
    }
    const value = JsonBody.jsonOf(text);
    return Effect.fail(Result.isFailure(value) ? value.failure : noArray);
  });

/** A line of the body, without its end, as long as that is not too long. */
export type Line = Uint8Array | "too long";

const newline = 0x0a;
const isBlank = (byte: number) =>
  byte === 0x20 || byte === 0x09 || byte === 0x0d;

/** Finds the lines in pieces that end anywhere. Blank ones are passed over. */
export class LineSplitter {
  readonly #max: number;
  /** The beginning of a line that has not ended. */
  #begun = new Uint8Array(0);
  #size = 0;

  /** @param max bytes of a line */
  constructor(max: number) {
    this.#max = max;
  }

  /** Bytes of a line that has not ended. */
  get pending(): number {
    return Math.min(this.#size, this.#max);
  }

  /** The lines that end in this piece. */
  push(piece: Uint8Array): ReadonlyArray<Line> {
    const lines: Array<Line> = [];
    let from = 0;
    while (true) {
      const to = piece.indexOf(newline, from);
      if (to === -1) {
        this.#keep(piece.subarray(from));
        return lines;
      }
      const line = this.#line(piece.subarray(from, to));
      if (line !== undefined) lines.push(line);
      from = to + 1;
    }
  }

  /** The last line, where no newline ends it. */
  end(): ReadonlyArray<Line> {
    const line = this.#line(new Uint8Array(0));
    return line === undefined ? [] : [line];
  }

  #keep(piece: Uint8Array) {
    const size = this.#size + piece.length;
    if (size <= this.#max && piece.length > 0) {
      if (size > this.#begun.length) {
        const larger = new Uint8Array(
          Math.min(this.#max, Math.max(size, this.#begun.length * 2)),
        );
        larger.set(this.#begun.subarray(0, this.#size));
        this.#begun = larger;
      }
      this.#begun.set(piece, this.#size);
    }
    this.#size = size;
  }

  #line(last: Uint8Array): Line | undefined {
    let line = last;
    if (this.#size > 0) {
      this.#keep(last);
      line = this.#begun.subarray(0, this.#size);
      const isTooLong = this.#size > this.#max;
      this.#begun = new Uint8Array(0);
      this.#size = 0;
      if (isTooLong) return "too long";
    } else if (last.length > this.#max) return "too long";
    return line.every(isBlank) ? undefined : line;
  }
}

/** The order on a line. */
export const ofLine = (line: Line, max: number): Row =>
  line === "too long"
    ? Result.fail(
        new BodyTooLarge({ detail: `A line may have at most ${max} bytes.` }),
      )
    : Result.flatMap(JsonBody.textOf(line), JsonBody.jsonOf);

/** The orders on all lines of a body. */
export const ofLines = (
  bytes: Uint8Array,
): Effect.Effect<ReadonlyArray<Row>, HttpApiError.BadRequestProblem> =>
  Effect.suspend(() => {
    const splitter = new LineSplitter(bytes.length);
    const lines = [...splitter.push(bytes), ...splitter.end()];
    return Effect.map(ofRightSize(lines), (lines) =>
      lines.map((line) => ofLine(line, bytes.length)),
    );
  });
