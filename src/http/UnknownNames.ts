/** Refuses names that a request may not use, and says which was meant. */
import { Effect, Result, Schema } from "effect";
import { HttpApiError } from "effect/http-api";
import { withoutKeys } from "../domain/ApiKey.ts";
import { nameBegunAs, nearestName } from "../domain/NearestName.ts";
import { toBadRequest } from "./Placing.ts";

type Issue = NonNullable<HttpApiError.BadRequestProblem["errors"]>[number];

/** Of more than these, the first are named. */
const namedMax = 10;

/** So many characters of an unknown name are repeated. */
const shownMax = 50;

const kinds = {
  query: { noun: "parameter", plural: "parameters" },
  payload: { noun: "field", plural: "fields" },
} as const;
type Place = keyof typeof kinds;

/** What is wrong with each name that is not known. */
export const unknownNames = (
  place: Place,
  given: Iterable<string>,
  known: ReadonlyArray<string>,
): ReadonlyArray<Issue> => {
  const { noun, plural } = kinds[place];
  const unknown = Array.from(new Set(given)).filter(
    (name) => !known.includes(name),
  );
  return unknown.slice(0, namedMax).map((name) => {
    const meant = nearestName(name, known) ?? nameBegunAs(name, known);
    const advice =
      known.length === 0
        ? `It takes no ${plural}.`
        : meant === undefined
          ? `It takes ${known.map((one) => `\`${one}\``).join(", ")}.`
          : `Did you mean \`${meant}\`?`;
    return {
      path: [place, withoutKeys(name).slice(0, shownMax)],
      message: `is not a ${noun} of this request. ${advice}`,
    };
  });
};

/** The refusal, in whole sentences. */
export const refusalOf = (faults: ReadonlyArray<Issue>) =>
  new HttpApiError.BadRequestProblem({
    detail: faults
      .map(({ message, path }) => `\`${String(path.at(-1))}\` ${message}`)
      .join(" "),
    errors: faults,
  });

export const isRecord = (body: unknown): body is object =>
  typeof body === "object" && body !== null && !Array.isArray(body);

/**
 * Decodes a body of which every field has to be known, and tells all that is
 * wrong with it at once.
 */
export const decodeStrictly = <Fields extends Schema.Struct.Fields>(
  schema: Schema.Struct<Fields> & Schema.Codec<unknown, unknown>,
) => {
  const decode = Schema.decodeUnknownResult(schema, { errors: "all" });
  const known = Object.keys(schema.fields);
  return (
    body: unknown,
  ): Effect.Effect<
    Schema.Struct<Fields>["Type"],
    HttpApiError.BadRequestProblem
  > => {
    const decoded = Result.mapError(decode(body), toBadRequest);
    const faults = isRecord(body)
      ? unknownNames("payload", Object.keys(body), known)
      : [];
    if (faults.length === 0) {
      return Effect.fromResult(decoded) as Effect.Effect<
        Schema.Struct<Fields>["Type"],
        HttpApiError.BadRequestProblem
      >;
    }
    return Effect.fail(
      refusalOf([
        ...faults,
        ...(Result.isFailure(decoded) ? (decoded.failure.errors ?? []) : []),
      ]),
    );
  };
};
