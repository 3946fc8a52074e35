/** Reads the orders of a batch, each by itself, and says what is wrong with them. */
import { Clock, Effect, Result } from "effect";
import { HttpApiError } from "effect/http-api";
import { isLosslessNumber } from "lossless-json";
import type { BodyTooLarge } from "../api/Problems.ts";
import type { NewOrder } from "../domain/Order.ts";
import type { Row } from "./BatchRows.ts";
import { readOrder } from "./Placing.ts";

/** The longest text that is told back as an id. */
const idCharactersMax = 100;

/** The id of an order that may be broken in other ways; null if it has none. */
const idIn = (row: unknown): string | null => {
  if (typeof row !== "object" || row === null) return null;
  const { order_id: given } = row as { readonly order_id?: unknown };
  const id = isLosslessNumber(given) ? given.value : given;
  const text =
    typeof id === "string"
      ? id.trim()
      : Number.isSafeInteger(id)
        ? String(id)
        : "";
  return text !== "" && text.length <= idCharactersMax && text.isWellFormed()
    ? text
    : null;
};

/** An order of a batch, or why there is none, and what it is called. */
export interface Read {
  readonly order_id: string | null;
  readonly order: Result.Result<
    NewOrder,
    HttpApiError.BadRequestProblem | BodyTooLarge
  >;
}

const read = (row: Row): Read =>
  Result.isFailure(row)
    ? { order_id: null, order: Result.fail(row.failure) }
    : { order_id: idIn(row.success), order: readOrder(row.success) };

/** So long a batch is read, or answered, without a turn for others. */
const turnMillisMax = 5;

/** Says whether the turn has been long enough, and begins the next if so. */
export const turns = Effect.map(Clock.Clock, (clock) => {
  let since = clock.currentTimeMillisUnsafe();
  return (): boolean => {
    const now = clock.currentTimeMillisUnsafe();
    if (now - since < turnMillisMax) return false;
    since = now;
    return true;
  };
});

/** What is wrong with many bad orders may take a second to say. */
export const readAll = Effect.fnUntraced(function* (rows: ReadonlyArray<Row>) {
  const isLong = yield* turns;
  const reads: Array<Read> = [];
  for (const row of rows) {
    reads.push(read(row));
    if (isLong()) yield* Effect.yieldNow;
  }
  return reads;
});

/** All that is wrong with orders of which none is to be placed. */
export const faultsOf = (reads: ReadonlyArray<Read>) =>
  reads.flatMap(({ order }, index) => {
    if (Result.isSuccess(order)) return [];
    const { failure } = order;
    const errors =
      failure instanceof HttpApiError.BadRequestProblem
        ? (failure.errors ?? [])
        : [{ path: ["payload"], message: failure.detail ?? failure.title }];
    return errors.map(({ message, path }) => ({
      path: ["payload", index, ...path.slice(1)],
      message,
    }));
  });
