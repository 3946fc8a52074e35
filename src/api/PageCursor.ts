/**
 * Where a page of a list ended, in a form that says nothing to callers: they
 * take it from a page's `Link` and give it back.
 */
import { Result, Schema } from "effect";
import { Base64Url } from "effect/encoding";

/** The number of the last order that was looked at. */
interface PageEnd {
  readonly seq: bigint;
}

export const cursorOf = ({ seq }: PageEnd): string =>
  Base64Url.encode(String(seq));

/** The largest `bigint` of the database. */
const seqMax = 2n ** 63n - 1n;

/** `undefined` for what `cursorOf` never made. */
export const parseCursor = (cursor: string): PageEnd | undefined => {
  const text = Base64Url.decodeString(cursor);
  if (Result.isFailure(text) || !/^\d{1,19}$/.test(text.success)) {
    return undefined;
  }
  const seq = BigInt(text.success);
  return seq > seqMax ? undefined : { seq };
};

export const PageCursor = Schema.String.check(
  Schema.makeFilter<string>(
    (cursor) =>
      parseCursor(cursor) === undefined
        ? "is not a cursor of this service: follow the Link of a page"
        : undefined,
    { toJsonSchema: () => ({}) },
  ),
);
