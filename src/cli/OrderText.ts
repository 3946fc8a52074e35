/**
 * An order as somebody wrote it down in JSON, without a digit of it lost:
 * `JSON.parse` would round what a double cannot hold.
 */
import { Effect } from "effect";
import type { OrderToPlace } from "../client/OrderClient.ts";
import { type CommandFailed, failed } from "./Failures.ts";

/** `-12.50e3` as its digits and its power of ten, so that equals are equal. */
const canonical = (number: string): string => {
  const [, sign = "", whole = "", part = "", power = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(number) ?? [];
  const all = `${whole}${part}`.replace(/^0+/, "");
  const digits = all.replace(/0+$/, "");
  return `${sign}${digits}e${Number(power) - part.length + all.length - digits.length}`;
};

const isExact = (source: string, value: number) =>
  canonical(source) === canonical(String(value));

/** What a reviver is told besides key and value (ES2026). */
interface Source {
  readonly source?: string;
}

const parse = JSON.parse as (
  text: string,
  reviver: (
    this: object,
    key: string,
    value: unknown,
    context: Source,
  ) => unknown,
) => unknown;

/** The service takes these as text, too, and so exactly. */
const fieldsAsText = new Set(["order_id", "user_id", "total_amount"]);

/** The value of a JSON text, and its numbers as they were written. */
const read = (text: string) => {
  /** By what holds them: the inexact ones, and those of `fieldsAsText`. */
  const numbers = new Map<object, Map<string, string>>();
  const value = parse(text, function (key, value, { source }) {
    if (typeof value !== "number" || source === undefined) return value;
    if (fieldsAsText.has(key) || !isExact(source, value)) {
      const held = numbers.get(this) ?? new Map<string, string>();
      numbers.set(this, held.set(key, source));
    }
    return value;
  });
  return { value, numbers };
};

const manyHint = "For several orders, use orders import.";

/** What is to be placed; all else of it the service looks at. */
export const orderIn = (
  text: string,
): Effect.Effect<OrderToPlace, CommandFailed> =>
  Effect.gen(function* () {
    const { numbers, value } = yield* Effect.try({
      try: () => read(text),
      catch: (error) =>
        failed(`This is not JSON: ${(error as Error).message}.\n${manyHint}`),
    });
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return yield* failed(
        `Not an order: a JSON object is needed.\n${manyHint}`,
      );
    }
    for (const [holder, held] of numbers) {
      for (const [key, source] of held) {
        const isField = holder === value && fieldsAsText.has(key);
        if (!isField && !isExact(source, Number(source))) {
          return yield* failed(
            `The number ${source} cannot be kept exactly: write it as a string, in quotes.`,
          );
        }
      }
    }
    return {
      ...value,
      ...Object.fromEntries(
        [...(numbers.get(value) ?? [])].filter(([key]) =>
          fieldsAsText.has(key),
        ),
      ),
    } as unknown as OrderToPlace;
  });
