/**
 * The ids of events. To callers they say nothing; here they are the database
 * they are of, and a place in its log.
 */
import type { EventPlace } from "./OrderEvent.ts";

/** The largest `bigint` of the database. */
const recordMax = 2n ** 63n - 1n;

export const eventIdOf = (
  origin: string,
  { at, index, record }: EventPlace,
): string =>
  [
    origin,
    record.toString(36),
    index.toString(36),
    ...(at === undefined ? [] : [at.toString(36)]),
  ].join("-");

const format =
  /^([0-9a-z]{1,20})-([0-9a-z]{1,13})-([0-9a-z]{1,5})(?:-([0-9a-z]{1,10}))?$/;

const bigintIn = (text: string): bigint => {
  let value = 0n;
  for (const digit of text) value = value * 36n + BigInt(parseInt(digit, 36));
  return value;
};

/** What an id says; none for what `eventIdOf` never made. */
export const placeIn = (
  id: string,
): { readonly origin: string; readonly place: EventPlace } | undefined => {
  const [, origin, record, index, at] = format.exec(id) ?? [];
  if (origin === undefined || record === undefined || index === undefined) {
    return undefined;
  }
  const place = {
    record: bigintIn(record),
    index: parseInt(index, 36),
    ...(at === undefined ? {} : { at: parseInt(at, 36) }),
  };
  return place.record > recordMax ? undefined : { origin, place };
};
