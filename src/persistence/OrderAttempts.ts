/**
 * Attempts begin and end here, each by one statement for many. An attempt is
 * fenced twice: it begins only for the owner of its partition, and ends only if
 * it is the one under way.
 */
import { Duration, Effect, Option } from "effect";
import type { SqlClient, Statement } from "effect/sql";
import { moves } from "../domain/OrderLifecycle.ts";
import { isFromAhead } from "./OrderLog.ts";
import type { Kept, Told } from "./OrderMoves.ts";
import {
  type Attempt,
  type Beginning,
  type Begun,
  type Epoch,
  type Failure,
  historyMax,
  type Release,
} from "./OrderRepository.ts";
import { decodeOrder, orderColumns } from "./OrderRow.ts";
import { byItemBytes, type Statements } from "./Statements.ts";

/** Whether the partition of `o` is still owned as `given` says. */
const isOwned = `EXISTS (
  SELECT FROM partition_owners AS w
  WHERE w.partition = o.partition AND w.epoch = given.epoch)`;

/** A hundred years: what is longer is as good as for ever. */
const longestWait = Duration.days(36_525);

/** As text: the driver takes only numbers of one kind together in an array. */
const toMillis = (wait: Duration.Duration | undefined): string =>
  String(
    Duration.toMillis(
      Duration.clamp(wait ?? Duration.zero, {
        minimum: Duration.zero,
        maximum: longestWait,
      }),
    ),
  );

/** Words from anywhere, as near as a text in the database can be to them. */
const toText = (words: string): string =>
  words.replaceAll("\0", "\ufffd").toWellFormed();

/** Each once, in the order of their ids: so no two statements wait in a circle. */
const distinct = <In extends { readonly order_id: string }>(
  inputs: ReadonlyArray<In>,
  nameOf: (input: In) => string,
): ReadonlyArray<In> => {
  const first = new Map<string, In>();
  for (const input of inputs) {
    if (!first.has(nameOf(input))) first.set(nameOf(input), input);
  }
  return Array.from(first.values()).sort((a, b) =>
    a.order_id < b.order_id ? -1 : 1,
  );
};

const beginningOf = ({
  epoch,
  order_id,
}: Pick<Beginning, "epoch" | "order_id">) => `${epoch} ${order_id}`;

const attemptOf = ({ attempt, order_id }: Attempt) => `${attempt} ${order_id}`;

const beginning = (sql: SqlClient.SqlClient, { moving }: Statements) => {
  const begin = (given: ReadonlyArray<Beginning>) =>
    moving<Record<string, unknown>>(sql, {
      moved: sql`
        UPDATE orders AS o SET
          status = ${moves.begin.to},
          attempts = o.attempts + 1,
          begun = o.begun + 1,
          epoch = given.epoch,
          due_at = CASE WHEN o.due_at > now() THEN now() ELSE o.due_at END,
          processing_started_at = now(),
          updated_at = now()
        FROM unnest(
          ${given.map((_) => _.order_id)}::text[],
          ${given.map((_) => _.epoch)}::integer[]
        ) AS given (order_id, epoch)
        WHERE o.order_id = given.order_id
          AND o.status = ${moves.begin.from}
          AND (o.due_at IS NULL OR o.due_at <= now()
            OR ${sql.literal(isFromAhead)})
          AND ${sql.literal(isOwned)}
        RETURNING ${sql.literal(orderColumns)}, o.begun AS attempt, given.epoch,
          ${moves.begin.from}::text AS was, o.status AS became,
          0::float8 AS seconds`,
    });
  return (asked: ReadonlyArray<Beginning>) =>
    Effect.map(begin(distinct(asked, beginningOf)), (rows) => {
      const begun = new Map<string, Begun>();
      for (const row of rows) {
        const order = decodeOrder(row);
        begun.set(
          beginningOf({
            order_id: order.order_id,
            epoch: row.epoch as Epoch,
          }),
          { order, attempt: row.attempt as number },
        );
      }
      return asked.map((_) => {
        const mine = Option.fromUndefinedOr(begun.get(beginningOf(_)));
        begun.delete(beginningOf(_));
        return mine;
      });
    });
};

/** What an end does to the rows of `given`, and what more it is given. */
interface End<In extends Attempt> {
  /** The status before; of the one after the row says. */
  readonly from: string;
  readonly set: Statement.Fragment;
  /** Columns of `given` beside `order_id` and `attempt`: their names, and values. */
  readonly names: string;
  readonly values: (
    given: ReadonlyArray<In>,
  ) => ReadonlyArray<Statement.Fragment>;
  readonly where?: string;
  readonly seconds?: string;
  /** What `told` and `kept` are made of, beside the columns of all. */
  readonly returned?: string;
  readonly told?: Told;
  readonly kept?: Kept;
}

/**
 * Ends attempts, each if it is the one under way, and tells each caller whether
 * it was theirs that ended.
 */
const ending = <In extends Attempt>(
  sql: SqlClient.SqlClient,
  { moving }: Statements,
  { kept, told, ...how }: End<In>,
) => {
  const { from, names, returned = "", seconds = "0::float8" } = how;
  const { set, values, where = "true" } = how;
  const end = (given: ReadonlyArray<In>) =>
    moving<Attempt>(sql, {
      moved: sql`
        UPDATE orders AS o SET ${set}, updated_at = now()
        FROM unnest(${sql.join(
          ", ",
          false,
        )([
          sql`${given.map((_) => _.order_id)}::text[]`,
          sql`${given.map((_) => _.attempt)}::integer[]`,
          ...values(given),
        ])}) AS given (order_id, attempt${sql.literal(names)})
        WHERE o.order_id = given.order_id AND o.status = ${from}
          AND o.begun = given.attempt AND ${sql.literal(where)}
        RETURNING o.order_id, o.user_id, given.attempt, ${from}::text AS was,
          o.status AS became, ${sql.literal(seconds)} AS seconds
          ${sql.literal(returned)}`,
      selected: sql.literal("order_id, attempt"),
      told,
      kept,
    });
  return (attempts: ReadonlyArray<In>) =>
    Effect.map(end(distinct(attempts, attemptOf)), (rows) => {
      const ended = new Set(rows.map(attemptOf));
      return attempts.map((attempt) => ended.delete(attemptOf(attempt)));
    });
};

const completing = (sql: SqlClient.SqlClient, statements: Statements) =>
  ending<Attempt>(sql, statements, {
    from: moves.complete.from,
    set: sql`status = ${moves.complete.to}, due_at = NULL,
      processing_completed_at = now()`,
    names: ", work_seconds",
    values: (given) => [
      sql`${given.map((_) => String(_.workSeconds ?? 0))}::text[]::float8[]`,
    ],
    // A clock may be set meanwhile: it adds a minute to the work at most.
    seconds: `least(given.work_seconds + 60, greatest(given.work_seconds,
      extract(epoch FROM
        o.processing_completed_at - o.processing_started_at)::float8))`,
    told: { type: "order.completed", attempt: sql.literal("attempt") },
  });

/** An attempt that did not complete its order goes into the order's history. */
const keepingAttempts = (
  sql: SqlClient.SqlClient,
  outcome: string,
  where = "true",
): Kept => ({
  columns: "entry, attempt, began_at, epoch, outcome, error",
  rows: sql`SELECT order_id, 'attempt', attempt, began_at, epoch,
    ${sql.literal(outcome)}, error FROM moved WHERE ${sql.literal(where)}`,
});

/** An order may be given back for ever: then one in a hundred times is kept. */
const isKept = `attempt <= ${historyMax} OR attempt % 100 = 0`;

const returnedOfAttempts =
  ", o.processing_started_at AS began_at, o.epoch, nullif(given.error, '') AS error";

/** Postponed, an order is aside; a dead letter has ended. */
const failing = (sql: SqlClient.SqlClient, statements: Statements) =>
  ending<Failure>(sql, statements, {
    from: moves.bury.from,
    set: sql`
      status = CASE WHEN given.for_good
        THEN ${moves.bury.to} ELSE ${moves.postpone.to} END,
      ended = CASE WHEN given.for_good THEN ${moves.bury.to} END,
      due_at = CASE WHEN NOT given.for_good
        THEN now() + given.wait * interval '1 millisecond' END,
      last_error = given.error`,
    names: ", error, for_good, wait, epoch, is_lost",
    values: (given) => [
      sql`${given.map((_) => toText(_.error))}::text[]`,
      sql`${given.map((_) => _.wait === undefined)}::boolean[]`,
      sql`${given.map((_) => toMillis(_.wait))}::text[]::float8[]`,
      sql`${given.map((_) => String(_.epoch ?? -1))}::text[]::integer[]`,
      sql`${given.map((_) => _.isLost === true)}::boolean[]`,
    ],
    where: `(given.epoch < 0 OR ${isOwned})`,
    returned: `${returnedOfAttempts}, given.is_lost, o.due_at,
      CASE WHEN given.for_good THEN 'order.failed'
        ELSE 'order.attempt_failed' END AS event`,
    told: {
      type: sql.literal("event"),
      attempt: sql.literal("attempt"),
      details: sql.literal(`json_build_object('error', error, 'lost', is_lost,
        'next_attempt_at', floor(extract(epoch FROM due_at) * 1000))`),
    },
    kept: keepingAttempts(
      sql,
      "CASE WHEN is_lost THEN 'lost' ELSE 'failed' END",
    ),
  });

/** Given back, an order is aside, and its attempt is not counted. */
const releasing = (sql: SqlClient.SqlClient, statements: Statements) =>
  ending<Release>(sql, statements, {
    from: moves.release.from,
    set: sql`
      status = ${moves.release.to},
      attempts = o.attempts - 1,
      due_at = now() + given.wait * interval '1 millisecond',
      last_error = coalesce(nullif(given.error, ''), o.last_error)`,
    names: ", wait, error",
    values: (given) => [
      sql`${given.map((_) => toMillis(_.wait))}::text[]::float8[]`,
      sql`${given.map((_) => toText(_.error ?? ""))}::text[]`,
    ],
    returned: returnedOfAttempts,
    kept: keepingAttempts(sql, "'given_back'", isKept),
  });

export const make = (sql: SqlClient.SqlClient, statements: Statements) => {
  const { batchedPastHeld } = statements;
  return {
    // Refused, an order is passed over, and read again with the next scan.
    begin: batchedPastHeld(
      "begin",
      beginning(sql, statements),
      byItemBytes,
      Option.none,
    ).all,
    complete: batchedPastHeld("complete", completing(sql, statements)).all,
    fail: batchedPastHeld("fail", failing(sql, statements)).one,
    release: batchedPastHeld("release", releasing(sql, statements)).one,
  };
};
