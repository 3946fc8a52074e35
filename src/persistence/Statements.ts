/**
 * How statements are run: shared by those who ask at the same time, ended in
 * time, and their failures read once, for all.
 */
import { Cause, Duration, Effect } from "effect";
import type { SqlClient, SqlError } from "effect/sql";
import * as Batching from "./Batching.ts";
import { Connections } from "./Connections.ts";
import { Database } from "./Database.ts";
import { describe } from "./DatabaseFault.ts";
import * as HeldOrders from "./HeldOrders.ts";
import type { Moving } from "./OrderMoves.ts";
import { RepositoryUnavailable } from "./OrderRepository.ts";

/** How long a caller waits for a statement before it hears "unavailable". */
const statementTimeout = Duration.seconds(10);

/** The wait for a lane counts, too: a caller waits no longer than that. */
const waitLimit: Batching.WaitLimit<RepositoryUnavailable> = {
  duration: statementTimeout,
  error: () =>
    new RepositoryUnavailable({
      reason: describe(new Cause.TimeoutError()).reason,
    }),
};

/** The most callers that one statement answers. */
const batchSize = 500;

/**
 * The most that the items of its orders take, as JSON: a larger insert would not
 * be in time, and a larger answer is had twice, by the client and as orders.
 */
export const itemBytesMax = 4 * 1024 * 1024;

/** From so many bytes on, a statement goes on a connection by itself. */
const heavyBytes = 256 * 1024;

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
  /** The statement that moves orders, with all that goes with it. */
  readonly moving: Moving;
  /** Says "unavailable" where asking again may help; all else is a defect. */
  readonly answer: <A>(
    effect: Effect.Effect<A, SqlError.SqlError>,
  ) => Effect.Effect<A, RepositoryUnavailable>;
  /** One statement for all who ask at the same time. */
  readonly batched: <In, Out>(
    name: string,
    run: Run<In, Out>,
    weight?: Batching.WeightLimit<In>,
    /** Whose statement it is; left out, it is one of those that work. */
    client?: SqlClient.SqlClient,
  ) => Batching.Batching<In, Out, RepositoryUnavailable>;
  /** The same for changes, past orders that another session holds. */
  readonly batchedPastHeld: <In extends { readonly order_id: string }, Out>(
    name: string,
    run: (
      inputs: ReadonlyArray<In>,
    ) => Effect.Effect<ReadonlyArray<Out>, SqlError.SqlError>,
    weight?: Batching.WeightLimit<In>,
  ) => Batching.Batching<In, Out, RepositoryUnavailable>;
}

/** The values were wrong, not the database: asking again would not help. */
const isOurFault = ({ reason }: SqlError.SqlError): boolean => {
  const cause = reason.cause as { _tag?: unknown; code?: unknown } | undefined;
  return (
    cause?._tag === "PgTypesCodecError" ||
    String(cause?.code ?? "").startsWith("22")
  );
};

/**
 * An order left the table, or was changed, while the statement was under way:
 * it has done nothing (`migrations/0004_archive.ts`).
 */
export const isMeanwhile = ({ reason }: SqlError.SqlError): boolean =>
  (reason.cause as { code?: unknown } | undefined)?.code === "OA001";

/** Asking again would fail again. */
const isDefect = (error: SqlError.SqlError): boolean => {
  switch (error.reason._tag) {
    case "SqlSyntaxError":
    case "UniqueViolation":
    case "ConstraintError":
      return true;
    default:
      return isOurFault(error);
  }
};

/** How a statement's failure is told. */
export const answering = Effect.map(
  Database,
  (database): Statements["answer"] => {
    const unavailable = (error: SqlError.SqlError | Cause.TimeoutError) =>
      Effect.andThen(
        database.failed(error),
        new RepositoryUnavailable({ reason: describe(error).reason }),
      );
    return (effect) =>
      Effect.andThen(
        database.isMigrated,
        effect.pipe(
          Effect.timeout(statementTimeout),
          Effect.catchTags({
            TimeoutError: unavailable,
            SqlError: (error) =>
              isDefect(error) ? Effect.die(error) : unavailable(error),
          }),
        ),
      );
  },
);

export const make = Effect.fnUntraced(function* (moving: Moving) {
  const { apart, working: sql } = yield* Connections;
  const answer = yield* answering;

  /**
   * Runs statements of `sql` on a connection that is shared with nobody. The
   * client (sql-pg 4.0.5) keeps what it has sent on a shared one, and what came
   * back, until there is a moment when nothing is under way on it: under load,
   * for minutes. Large statements would fill the memory.
   */
  const alone = <A>(effect: Effect.Effect<A, SqlError.SqlError>) =>
    Effect.scoped(
      Effect.flatMap(apart.reserve, (connection) =>
        Effect.provideService(effect, sql.transactionService, [connection, 0]),
      ),
    );

  const batched: Statements["batched"] = (name, run, weight, client = sql) => {
    const isHeavy: (inputs: Parameters<typeof run>[0]) => boolean = (inputs) =>
      client === sql &&
      weight !== undefined &&
      inputs.reduce((sum, input) => sum + weight.weigh(input), 0) > heavyBytes;
    return Batching.make({
      name: `OrderRepository.${name}`,
      size: batchSize,
      lanes,
      weight,
      waitLimit,
      run: (inputs) =>
        answer(isHeavy(inputs) ? alone(run(inputs)) : run(inputs)),
    });
  };

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
    moving,
    answer,
    batched,
    batchedPastHeld: (name, run, weight) =>
      batched(name, held.passing(run), weight),
  } satisfies Statements as Statements;
});
