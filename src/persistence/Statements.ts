/**
 * How statements are run: shared by those who ask at the same time, ended in
 * time, and their failures read once, for all.
 */
import { Duration, Effect } from "effect";
import type { SqlError } from "effect/sql";
import * as Batching from "./Batching.ts";
import { Connections } from "./Connections.ts";
import { Database, describe } from "./Database.ts";
import * as HeldOrders from "./HeldOrders.ts";
import { RepositoryUnavailable } from "./OrderRepository.ts";

/** How long a caller waits for a statement before it hears "unavailable". */
const statementTimeout = Duration.seconds(10);

/** The most callers that one statement answers. */
const batchSize = 500;

/**
 * The most that the items of its orders take, as JSON: a larger insert would not
 * be in time, and a larger answer is had twice, by the client and as orders.
 */
export const itemBytesMax = 4 * 1024 * 1024;

/** A limit on a statement's orders by what is known of their size. */
export const byItemBytes: Batching.WeightLimit<{
  readonly item_bytes: number;
}> = { weigh: ({ item_bytes }) => item_bytes, max: itemBytesMax };

/** The most statements of one kind under way at once. */
const lanes = 2;

/** A statement over many inputs, which answers each in its place. */
export type Run<In, Out> = (
  inputs: ReadonlyArray<In>,
) => Effect.Effect<
  ReadonlyArray<Out | Batching.Refused<RepositoryUnavailable>>,
  SqlError.SqlError
>;

export interface Statements {
  /** Says "unavailable" where asking again may help; all else is a defect. */
  readonly answer: <A>(
    effect: Effect.Effect<A, SqlError.SqlError>,
  ) => Effect.Effect<A, RepositoryUnavailable>;
  /** One statement for all who ask at the same time. */
  readonly batched: <In, Out>(
    name: string,
    run: Run<In, Out>,
    weight?: Batching.WeightLimit<In>,
  ) => (input: In) => Effect.Effect<Out, RepositoryUnavailable>;
  /** The same for changes, past orders that another session holds. */
  readonly batchedPastHeld: <In extends { readonly order_id: string }, Out>(
    name: string,
    run: (
      inputs: ReadonlyArray<In>,
    ) => Effect.Effect<ReadonlyArray<Out>, SqlError.SqlError>,
    weight?: Batching.WeightLimit<In>,
  ) => (input: In) => Effect.Effect<Out, RepositoryUnavailable>;
}

/** The values were wrong, not the database: asking again would not help. */
const isOurFault = ({ reason }: SqlError.SqlError): boolean => {
  const cause = reason.cause as { _tag?: unknown; code?: unknown } | undefined;
  return (
    cause?._tag === "PgTypesCodecError" ||
    String(cause?.code ?? "").startsWith("22")
  );
};

const unavailable = (
  error: SqlError.SqlError,
): Effect.Effect<never, RepositoryUnavailable> => {
  switch (error.reason._tag) {
    case "SqlSyntaxError":
    case "UniqueViolation":
    case "ConstraintError":
      return Effect.die(error);
    default:
      return isOurFault(error)
        ? Effect.die(error)
        : Effect.fail(new RepositoryUnavailable({ reason: describe(error) }));
  }
};

export const make = Effect.gen(function* () {
  const { working: sql } = yield* Connections;
  const database = yield* Database;

  const answer: Statements["answer"] = (effect) =>
    Effect.andThen(
      database.isMigrated,
      effect.pipe(
        Effect.timeout(statementTimeout),
        Effect.catchTags({
          TimeoutError: () =>
            new RepositoryUnavailable({
              reason: `the database did not answer within ${Duration.format(statementTimeout)}`,
            }),
          SqlError: unavailable,
        }),
      ),
    );

  const batched: Statements["batched"] = (name, run, weight) =>
    Batching.make({
      name: `OrderRepository.${name}`,
      size: batchSize,
      lanes,
      weight,
      run: (inputs) => answer(run(inputs)),
    });

  const held = HeldOrders.make((order_ids) =>
    Effect.map(
      sql<{ order_id: string }>`
        WITH free AS MATERIALIZED (
          SELECT order_id FROM orders WHERE order_id = ANY(${order_ids}::text[])
          FOR NO KEY UPDATE SKIP LOCKED
        )
        SELECT order_id FROM orders WHERE order_id = ANY(${order_ids}::text[])
          AND order_id NOT IN (SELECT order_id FROM free)`,
      (rows) => new Set(rows.map((row) => row.order_id)),
    ),
  );

  return {
    answer,
    batched,
    batchedPastHeld: (name, run, weight) =>
      batched(name, held.passing(run), weight),
  } satisfies Statements as Statements;
});
