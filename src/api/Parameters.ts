/** What may stand in the query of a request, and how it is refused. */
import { Schema, SchemaTransformation } from "effect";
import { UserId } from "../domain/Order.ts";

/** Not all that is checked can be said in JSON Schema. */
const noJsonSchema = { toJsonSchema: () => ({}) };

/** A parameter that may be given once. */
export const Once = Schema.String.annotate({
  message: "must be given only once",
});

/** A whole number, written as such. */
export const wholeNumber = (min: number, max: number) =>
  Once.check(
    Schema.makeFilter<string>((text) => {
      const number = /^\d{1,6}$/.test(text) ? Number(text) : -1;
      return number >= min && number <= max
        ? undefined
        : `must be a whole number from ${min} to ${max}`;
    }, noJsonSchema),
  ).pipe(Schema.decodeTo(Schema.NumberFromString));

/**
 * ISO 8601 with a four-digit year, for a day or a moment that exists.
 * `Date.parse` alone would take "1" and "Jan 1", and make 2 March of 30 February.
 */
const isTime = (text: string): boolean => {
  const [, day] =
    /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/i.exec(
      text,
    ) ?? [];
  if (day === undefined || Number.isNaN(Date.parse(text))) return false;
  return new Date(`${day}T00:00Z`).toISOString().startsWith(day);
};

/** A moment; UTC where the text names no offset, midnight where it names a day. */
export const time = (description: string) =>
  Once.annotate({ format: "date-time", description })
    .check(
      Schema.makeFilter<string>(
        (text) =>
          isTime(text)
            ? undefined
            : "must be a time such as 2026-01-31T12:00:00Z (ISO 8601; in a URL, write the + of an offset as %2B)",
        noJsonSchema,
      ),
    )
    .pipe(Schema.decodeTo(Schema.DateTimeUtcFromString));

export const optionalUserId = (description: string) =>
  Schema.optional(
    Once.annotate({ description }).pipe(
      Schema.decodeTo(UserId, SchemaTransformation.trim()),
    ),
  );
