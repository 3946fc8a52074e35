/**
 * Where a page of a list ended, in a form that says nothing to callers: they
 * take it from a page's `Link` and give it back.
 */
import { DateTime, Result, Schema } from "effect";
import { Base64Url } from "effect/encoding";

export interface PageEnd {
  readonly created_at: DateTime.Utc;
  readonly seq: bigint;
}

export const cursorOf = (end: PageEnd): string =>
  Base64Url.encode(`${end.created_at.epochMilliseconds}.${end.seq}`);

/** The largest `bigint` of the database. */
const seqMax = 2n ** 63n - 1n;

/** `undefined` for what `cursorOf` never made. */
export const parseCursor = (cursor: string): PageEnd | undefined => {
  const text = Base64Url.decodeString(cursor);
  if (Result.isFailure(text)) return undefined;
  const [, created, seq] = /^(\d{1,15})\.(\d{1,19})$/.exec(text.success) ?? [];
  if (created === undefined || seq === undefined) return undefined;
  if (BigInt(seq) > seqMax) return undefined;
  return {
    created_at: DateTime.makeUnsafe(Number(created)),
    seq: BigInt(seq),
  };
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
