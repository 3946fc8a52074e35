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
import { byHalves, codeOf, isDataFault } from "./DataFaults.ts";
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

/**
 * SQL that makes a statement wait for the synchronous standbys, if there are
 * any, with a commit of its own. What the statement reads may be committed on
 * this server alone: a cancelled wait or a restart of the server shows it early.
 * Its commit comes later in the WAL, so what was read is as durable then.
 */
export const durably = `(SELECT CASE
  WHEN current_setting('synchronous_standby_names') <> ''
  THEN pg_logical_emit_message(true, 'order-service', '') END) AS durable_to`;

/** For a change that changed nothing, and is answered from what is stored. */
export const durable = (sql: SqlClient.SqlClient) =>
  Effect.asVoid(sql`SELECT ${sql.literal(durably)}`);

/** A statement over many inputs, which answers each in its place. */
export type Run<In, Out, E = never> = (
  inputs: ReadonlyArray<In>,
) => Effect.Effect<
  ReadonlyArray<Out | Batching.Refused<RepositoryUnavailable | E>>,
  SqlError.SqlError
>;

type Refusal<In, Out> = (
  input: In,
  error: SqlError.SqlError,
) => Out | Batching.Refused<RepositoryUnavailable>;

export interface Statements {
  /** The statement that moves orders, with all that goes with it. */
  readonly moving: Moving;
  /** Says "unavailable" where asking again may help; all else is a defect. */
  readonly answer: <A>(
    effect: Effect.Effect<A, SqlError.SqlError>,
  ) => Effect.Effect<A, RepositoryUnavailable>;
  /** One statement for all who ask at the same time. */
  readonly batched: <In, Out, E = never>(
    name: string,
    run: Run<In, Out, E>,
    weight?: Batching.WeightLimit<In>,
    /** Whose statement it is; left out, it is one of those that work. */
    client?: SqlClient.SqlClient,
  ) => Batching.Batching<In, Out, RepositoryUnavailable | E>;
  /**
   * The same for changes, past orders that another session holds or whose data
   * the database refuses.
   */
  readonly batchedPastHeld: <In extends { readonly order_id: string }, Out>(
    name: string,
    run: (
      inputs: ReadonlyArray<In>,
    ) => Effect.Effect<ReadonlyArray<Out>, SqlError.SqlError>,
    weight?: Batching.WeightLimit<In>,
    /** Answers an order whose data is refused; left out, it is asked again. */
    refused?: Refusal<In, Out>,
  ) => Batching.Batching<In, Out, RepositoryUnavailable>;
}

/**
 * An order left the table, or was changed, while the statement was under way:
 * it has done nothing (`migrations/0004_archive.ts`).
 */
export const isMeanwhile = ({ reason }: SqlError.SqlError): boolean =>
  (reason.cause as { code?: unknown } | undefined)?.code === "OA001";

/** It is asked for again, as nothing else may happen to the order. */
const refusedAlone = (_: unknown, error: SqlError.SqlError) =>
  new Batching.Refused(
    new RepositoryUnavailable({
      reason: `the database refuses the change of the order (${codeOf(error)})`,
      isHeld: true,
    }),
  );

/** Asking again would fail again. */
const isDefect = (error: SqlError.SqlError): boolean => {
  switch (error.reason._tag) {
    case "SqlSyntaxError":
    case "UniqueViolation":
    case "ConstraintError":
      return true;
    default:
      return isDataFault(error);
  }
};

/**
 * Whoever waits for this may leave at once. What was begun is interrupted, and
 * ends later where it must not be cut off.
 */
const leavable = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.withFiber(({ context }) =>
    Effect.callback<A, E>((resume) => {
      const fiber = Effect.runForkWith(context)(effect);
      fiber.addObserver(resume);
      return Effect.sync(() => fiber.interruptUnsafe());
    }),
  );

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
        leavable(effect).pipe(
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
    batchedPastHeld: (name, run, weight, refused = refusedAlone) =>
      batched(
        name,
        byHalves(held.passing(run), ({ order_id }) => order_id, refused),
        weight,
      ),
  } satisfies Statements as Statements;
});
