/**
 * A statement that many inputs share fails as a whole where the database refuses
 * the data of one: a character, a number, a constraint that somebody added. The
 * fault is narrowed down by halves, so that only its own input is refused.
 *
 * A run of many inputs with one fault takes 2 log2(n) statements more.
 */
import { Effect } from "effect";
import type { SqlError } from "effect/sql";

interface Cause {
  readonly _tag?: unknown;
  readonly code?: unknown;
  readonly constraint?: unknown;
}

const causeOf = ({ reason }: SqlError.SqlError) =>
  reason.cause as Cause | undefined;

/**
 * Data exceptions (SQLSTATE class 22) and violated constraints (23), and what
 * the driver could not encode: the same input fails again.
 */
export const isDataFault = (error: SqlError.SqlError): boolean =>
  causeOf(error)?._tag === "PgTypesCodecError" || /^2[23]/.test(codeOf(error));

/** Its SQLSTATE; empty where there is none. */
export const codeOf = (error: SqlError.SqlError): string =>
  String(causeOf(error)?.code ?? "");

/** Runs halves again after a data fault; `refused` answers a guilty input. */
export const byHalves = <In, Out>(
  run: (
    inputs: ReadonlyArray<In>,
  ) => Effect.Effect<ReadonlyArray<Out>, SqlError.SqlError>,
  nameOf: (input: In) => string,
  refused: (input: In, error: SqlError.SqlError) => Out,
): typeof run => {
  const runAll: typeof run = (inputs) =>
    Effect.catchIf(run(inputs), isDataFault, (error) => {
      const [first] = inputs;
      if (inputs.length === 1) {
        // Not the error itself: it may have the order's content in it.
        const refusal = {
          order_id: nameOf(first as In),
          code: codeOf(error),
          constraint: causeOf(error)?.constraint,
        };
        return Effect.as(
          Effect.logError(
            "the database refuses the data of an order: look for a constraint or a trigger that is not this service's. Other orders go on",
            refusal,
          ),
          [refused(first as In, error)],
        );
      }
      const half = Math.ceil(inputs.length / 2);
      return Effect.zipWith(
        runAll(inputs.slice(0, half)),
        runAll(inputs.slice(half)),
        (one, other) => [...one, ...other],
      );
    });
  return runAll;
};
