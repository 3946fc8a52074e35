/**
 * Orders in PostgreSQL. Every change is one statement, and so one transaction:
 * the orders it moves and the statistics it changes are both there or neither.
 * Statements are shared by concurrent callers (`Batching`).
 *
 * Rows are met in the order of their ids, or passed over while another holds
 * them, and the statistics last, so that two statements never wait for each
 * other in a circle.
 */
import {
  type Cause,
  type DateTime,
  Duration,
  Effect,
  Layer,
  Option,
  Schema,
  Semaphore,
} from "effect";
import type { SqlError, Statement } from "effect/sql";
import { type NewOrder, type Order, OrderId } from "../domain/Order.ts";
import { moves } from "../domain/OrderLifecycle.ts";
import type { Partition } from "../domain/Partition.ts";
import * as Batching from "./Batching.ts";
import { Connections } from "./Connections.ts";
import { Database } from "./Database.ts";
import { describe } from "./DatabaseFault.ts";
import * as HeldOrders from "./HeldOrders.ts";
import * as OrderCount from "./OrderCount.ts";
import * as OrderPages from "./OrderPages.ts";
import {
  type Attempt,
  type Begun,
  type CountPlace,
  type DueOrder,
  type Epoch,
  type Failure,
  type OrderQuery,
  OrderRepository,
  type OrderTally,
  type Placement,
  type Release,
  RepositoryUnavailable,
  type Retried,
  type RetryQuery,
  type Underway,
} from "./OrderRepository.ts";
import {
  at,
  decodeOrder,
  decodeSmallOrder,
  isLarge,
  type LargeOrder,
  orderColumns,
  smallOrderColumns,
  toDate,
} from "./OrderRow.ts";

/** Slots of the statistics; see `migrations/0001_orders.ts`. */
const statisticsSlots = 64;

/** How long a caller waits for a statement before it hears "unavailable". */
const statementTimeout = Duration.seconds(10);

/** The most orders in one statement. */
const batchSize = 500;

/**
 * The most their items take, as JSON: a larger insert would not be in time, and
 * what a larger answer takes is had twice, by the client and as orders.
 */
const itemBytesMax = 4 * 1024 * 1024;

/** From so many bytes on, a statement goes on a connection by itself. */
const heavyBytes = 256 * 1024;

/** The most statements of one kind under way at once. */
const lanes = 2;

interface Placing {
  readonly order: NewOrder;
  /** Its items, as JSON. */
  readonly items: string;
  readonly partition: Partition;
}

/** What is known of an order after its insert: of a large one, not its items. */
interface Stored {
  readonly order: Order | LargeOrder;
  readonly isNew: boolean;
}

interface Beginning extends DueOrder {
  readonly epoch: Epoch;
}

const make = Effect.gen(function* () {
  const { apart, listsMax, reading, working: sql } = yield* Connections;
  const database = yield* Database;
  const lists = yield* Semaphore.make(listsMax);

  const unavailable = (error: SqlError.SqlError | Cause.TimeoutError) =>
    Effect.andThen(
      database.failed(error),
      new RepositoryUnavailable({ reason: describe(error).reason }),
    );

  /** Says "unavailable" where asking again may help; all else is a defect. */
  const answer = <A>(
    effect: Effect.Effect<A, SqlError.SqlError>,
  ): Effect.Effect<A, RepositoryUnavailable> =>
    Effect.andThen(
      database.isMigrated,
      effect.pipe(
        Effect.timeout(statementTimeout),
        Effect.catchTags({
          TimeoutError: unavailable,
          SqlError: (error) => {
            switch (error.reason._tag) {
              case "SqlSyntaxError":
              case "UniqueViolation":
              case "ConstraintError":
                return Effect.die(error);
              default:
                return isOurFault(error)
                  ? Effect.die(error)
                  : unavailable(error);
            }
          },
        }),
      ),
    );

  const batched = <In, Out>(
    name: string,
    run: (
      inputs: ReadonlyArray<In>,
    ) => Effect.Effect<
      ReadonlyArray<Out | Batching.Refused<RepositoryUnavailable>>,
      SqlError.SqlError
    >,
    weight?: Batching.WeightLimit<In>,
  ) => {
    const isHeavy = (inputs: ReadonlyArray<In>) =>
      weight !== undefined &&
      inputs.reduce((sum, input) => sum + weight.weigh(input), 0) > heavyBytes;
    return Batching.make<In, Out, RepositoryUnavailable>({
      name: `OrderRepository.${name}`,
      size: batchSize,
      lanes,
      weight,
      run: (inputs) =>
        answer(isHeavy(inputs) ? alone(run(inputs)) : run(inputs)),
    });
  };

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

  const columns = sql.literal(orderColumns);
  const smallColumns = sql.literal(smallOrderColumns);

  /** Whether the partition of `o` is still owned as `given` says. */
  const isOwned = sql.literal(`EXISTS (
    SELECT FROM partition_owners AS w
    WHERE w.partition = o.partition AND w.epoch = given.epoch)`);

  /**
   * The second half of every change: brings the statistics in step with the
   * rows of `moved (was, became, seconds)`.
   */
  const counted = () => {
    const slot = Math.floor(Math.random() * statisticsSlots);
    return sql`counted AS (
      UPDATE order_statistics AS s SET
        accepted = s.accepted + d.accepted,
        pending = s.pending + d.pending,
        processing = s.processing + d.processing,
        completed = s.completed + d.completed,
        failed = s.failed + d.failed,
        cancelled = s.cancelled + d.cancelled,
        processing_seconds = s.processing_seconds + d.seconds
      FROM (
        SELECT
          count(*) FILTER (WHERE was IS NULL) AS accepted,
          count(*) FILTER (WHERE became = 'PENDING')
            - count(*) FILTER (WHERE was = 'PENDING') AS pending,
          count(*) FILTER (WHERE became = 'PROCESSING')
            - count(*) FILTER (WHERE was = 'PROCESSING') AS processing,
          count(*) FILTER (WHERE became = 'COMPLETED') AS completed,
          count(*) FILTER (WHERE became = 'FAILED')
            - count(*) FILTER (WHERE was = 'FAILED') AS failed,
          count(*) FILTER (WHERE became = 'CANCELLED') AS cancelled,
          coalesce(sum(seconds), 0) AS seconds
        FROM moved HAVING count(*) > 0
      ) AS d
      WHERE s.slot = ${slot}::smallint
    )`;
  };

  const insertAll = Effect.fnUntraced(function* (
    placings: ReadonlyArray<Placing>,
  ) {
    // The same id twice in one batch: the first is placed, the others find it.
    const byId = new Map<string, Placing>();
    for (const placing of placings) {
      if (!byId.has(placing.order.order_id)) {
        byId.set(placing.order.order_id, placing);
      }
    }
    const given = Array.from(byId.values()).sort((a, b) =>
      a.order.order_id < b.order.order_id ? -1 : 1,
    );
    const inserted = yield* sql<{ order_id: string; created_at: Date }>`
      WITH moved AS (
        INSERT INTO orders (order_id, user_id, item_ids, total_amount, partition)
        SELECT order_id, user_id, item_ids::json, total_amount, partition
        FROM unnest(
          ${given.map((_) => _.order.order_id)}::text[],
          ${given.map((_) => _.order.user_id)}::text[],
          ${given.map((_) => _.items)}::text[],
          ${given.map((_) => String(_.order.total_amount))}::numeric[],
          ${given.map((_) => _.partition)}::smallint[]
        ) AS given (order_id, user_id, item_ids, total_amount, partition)
        ON CONFLICT (order_id) DO NOTHING
        RETURNING order_id, created_at, NULL AS was, status AS became,
          0::float8 AS seconds
      ), ${counted()}
      SELECT order_id, created_at FROM moved`;

    const stored = new Map<string, Stored>();
    for (const { created_at, order_id } of inserted) {
      const placing = byId.get(order_id);
      if (placing === undefined) continue;
      stored.set(order_id, {
        order: placed(placing.order, at(created_at)),
        isNew: true,
      });
    }
    const others = given
      .map((_) => _.order.order_id)
      .filter((order_id) => !stored.has(order_id));
    if (others.length > 0) {
      const rows = yield* sql`SELECT ${smallColumns} FROM orders AS o
        WHERE o.order_id = ANY(${others}::text[])`;
      for (const row of rows) {
        const order = decodeSmallOrder(row);
        stored.set(order.order_id, { order, isNew: false });
      }
    }
    return placings.map((placing): Stored => {
      const placement = stored.get(placing.order.order_id);
      if (placement === undefined) {
        throw new Error(`order ${placing.order.order_id} was not stored`);
      }
      return byId.get(placing.order.order_id) === placing
        ? placement
        : { order: placement.order, isNew: false };
    });
  });

  const beginAll = (asked: ReadonlyArray<Beginning>) => {
    const named = (_: { order_id: OrderId; epoch: Epoch }) =>
      `${_.epoch} ${_.order_id}`;
    const given = Array.from(
      new Map(asked.map((_) => [named(_), _])).values(),
    ).sort((a, b) => (a.order_id < b.order_id ? -1 : 1));
    return Effect.map(
      sql`
        WITH moved AS (
          UPDATE orders AS o SET
            status = ${moves.begin.to},
            attempts = o.attempts + 1,
            begun = o.begun + 1,
            processing_started_at = now(),
            updated_at = now()
          FROM unnest(
            ${given.map((_) => _.order_id)}::text[],
            ${given.map((_) => _.epoch)}::integer[]
          ) AS given (order_id, epoch)
          WHERE o.order_id = given.order_id
            AND o.status = ${moves.begin.from} AND o.due_at <= now()
            AND ${isOwned}
          RETURNING ${columns}, o.begun AS attempt, given.epoch,
            ${moves.begin.from}::text AS was, o.status AS became,
            0::float8 AS seconds
        ), ${counted()}
        SELECT * FROM moved`,
      (rows) => {
        const begun = new Map<string, Begun>();
        for (const row of rows) {
          const order = decodeOrder(row);
          const attempt = row.attempt as number;
          const epoch = row.epoch as Epoch;
          begun.set(named({ order_id: order.order_id, epoch }), {
            order,
            attempt,
          });
        }
        return asked.map((_) => {
          const mine = Option.fromUndefinedOr(begun.get(named(_)));
          begun.delete(named(_));
          return mine;
        });
      },
    );
  };

  /**
   * Runs a statement over attempts, each given to it once, and tells each
   * caller whether it was theirs that the statement moved.
   */
  const endAll =
    <In extends Attempt>(
      run: (
        given: ReadonlyArray<In>,
      ) => Effect.Effect<ReadonlyArray<unknown>, SqlError.SqlError>,
    ) =>
    (attempts: ReadonlyArray<In>) => {
      const named = ({ attempt, order_id }: Attempt) =>
        `${attempt} ${order_id}`;
      const first = new Map<string, In>();
      for (const attempt of attempts) {
        if (!first.has(named(attempt))) first.set(named(attempt), attempt);
      }
      const given = Array.from(first.values()).sort((a, b) =>
        a.order_id < b.order_id ? -1 : 1,
      );
      return Effect.map(run(given), (rows) => {
        const moved = new Set((rows as ReadonlyArray<Attempt>).map(named));
        return attempts.map((attempt) => moved.delete(named(attempt)));
      });
    };

  /** The rows whose attempt under way is the one given: the fence. */
  const isUnderway = sql.literal(`o.order_id = given.order_id
    AND o.status = 'PROCESSING' AND o.begun = given.attempt`);

  const completeAll = endAll(
    (given: ReadonlyArray<Attempt>) =>
      sql`
        WITH moved AS (
          UPDATE orders AS o SET
            status = ${moves.complete.to},
            processing_completed_at = now(),
            updated_at = now()
          FROM unnest(
            ${given.map((_) => _.order_id)}::text[],
            ${given.map((_) => _.attempt)}::integer[]
          ) AS given (order_id, attempt)
          WHERE ${isUnderway}
          RETURNING o.order_id, given.attempt, ${moves.complete.from}::text AS was,
            o.status AS became,
            greatest(0, extract(epoch FROM
              o.processing_completed_at - o.processing_started_at))::float8
              AS seconds
        ), ${counted()}
        SELECT order_id, attempt FROM moved`,
  );

  const failAll = endAll(
    (given: ReadonlyArray<Failure>) =>
      sql`
        WITH moved AS (
          UPDATE orders AS o SET
            status = CASE WHEN given.for_good
              THEN ${moves.bury.to} ELSE ${moves.postpone.to} END,
            due_at = now() + given.wait * interval '1 millisecond',
            last_error = given.error,
            updated_at = now()
          FROM unnest(
            ${given.map((_) => _.order_id)}::text[],
            ${given.map((_) => _.attempt)}::integer[],
            ${given.map((_) => toText(_.error))}::text[],
            ${given.map((_) => _.wait === undefined)}::boolean[],
            ${given.map((_) => toMillis(_.wait))}::text[]::float8[],
            ${given.map((_) => String(_.epoch ?? -1))}::text[]::integer[]
          ) AS given (order_id, attempt, error, for_good, wait, epoch)
          WHERE ${isUnderway} AND (given.epoch < 0 OR ${isOwned})
          RETURNING o.order_id, given.attempt, ${moves.bury.from}::text AS was,
            o.status AS became, 0::float8 AS seconds
        ), ${counted()}
        SELECT order_id, attempt FROM moved`,
  );

  const releaseAll = endAll(
    (given: ReadonlyArray<Release>) =>
      sql`
        WITH moved AS (
          UPDATE orders AS o SET
            status = ${moves.release.to},
            attempts = o.attempts - 1,
            due_at = now() + given.wait * interval '1 millisecond',
            last_error = coalesce(nullif(given.error, ''), o.last_error),
            updated_at = now()
          FROM unnest(
            ${given.map((_) => _.order_id)}::text[],
            ${given.map((_) => _.attempt)}::integer[],
            ${given.map((_) => toMillis(_.wait))}::text[]::float8[],
            ${given.map((_) => toText(_.error ?? ""))}::text[]
          ) AS given (order_id, attempt, wait, error)
          WHERE ${isUnderway}
          RETURNING o.order_id, given.attempt, ${moves.release.from}::text AS was,
            o.status AS became, 0::float8 AS seconds
        ), ${counted()}
        SELECT order_id, attempt FROM moved`,
  );

  const dueInAll = (
    asked: ReadonlyArray<{ partition: Partition; limit: number }>,
  ) =>
    Effect.map(
      sql<DueOrder & { place: bigint }>`
        SELECT asked.place, open.order_id, open.item_bytes
        FROM unnest(
          ${asked.map((_) => _.partition)}::smallint[],
          ${asked.map((_) => _.limit)}::integer[]
        ) WITH ORDINALITY AS asked (partition, "limit", place)
        CROSS JOIN LATERAL (
          SELECT order_id, item_bytes FROM orders
          WHERE partition = asked.partition AND final_status IS NULL
            AND due_at <= now() AND status = 'PENDING'
          ORDER BY due_at, seq
          LIMIT asked."limit"
        ) AS open`,
      (rows) => {
        const due = Map.groupBy(rows, (row) => Number(row.place));
        return asked.map((_, index) =>
          (due.get(index + 1) ?? []).map(({ item_bytes, order_id }) => ({
            order_id,
            item_bytes,
          })),
        );
      },
    );

  const bySize = {
    weigh: ({ item_bytes }: { readonly item_bytes: number }) => item_bytes,
    max: itemBytesMax,
  };
  const insertSmall = batched("insert", insertAll, {
    weigh: ({ items }) => items.length,
    max: itemBytesMax,
  });
  const begin = batched("begin", held.passing(beginAll), bySize);
  const due = batched("due", dueInAll);

  const findAll = <A>(
    ids: ReadonlyArray<string>,
    selected: Statement.Fragment,
    decode: (row: Readonly<Record<string, unknown>>) => A,
  ) =>
    Effect.map(
      reading`SELECT ${selected} FROM orders AS o
        WHERE o.order_id = ANY(${ids}::text[])`,
      (rows) => {
        const found = new Map(
          rows.map((row) => [row.order_id as string, decode(row)]),
        );
        return ids.map((id) => Option.fromUndefinedOr(found.get(id)));
      },
    );
  const findSmall = batched("find", (ids: ReadonlyArray<string>) =>
    findAll(ids, smallColumns, decodeSmallOrder),
  );
  const findLarge = batched(
    "findLarge",
    (orders: ReadonlyArray<LargeOrder>) =>
      findAll(
        orders.map(({ order_id }) => order_id),
        columns,
        decodeOrder,
      ),
    bySize,
  );
  const find = (order_id: string) =>
    isOrderId(order_id)
      ? Effect.flatMap(findSmall(order_id), (found) =>
          Option.isSome(found) && isLarge(found.value)
            ? findLarge(found.value)
            : Effect.succeed(found as Option.Option<Order>),
        )
      : Effect.succeedNone;

  const insert = (placing: Placing) =>
    Effect.flatMap(
      insertSmall(placing),
      ({ isNew, order }): Effect.Effect<Placement, RepositoryUnavailable> => {
        const item_bytes = placing.items.length;
        return isLarge(order)
          ? Effect.map(findLarge(order), (found) => ({
              order: Option.getOrThrow(found),
              isNew,
              item_bytes,
            }))
          : Effect.succeed({ order, isNew, item_bytes });
      },
    );

  const list = Effect.fn("OrderRepository.list")((query: OrderQuery) =>
    Effect.map(
      answer(lists.withPermit(OrderPages.select(reading, query))),
      (rows) => OrderPages.pageOf(rows, query),
    ),
  );

  const tally = answer(
    Effect.map(
      reading<{
        accepted: number;
        pending: number;
        processing: number;
        completed: number;
        failed: number;
        cancelled: number;
        seconds: number;
        age: number | null;
      }>`
        SELECT
          sum(accepted)::float8 AS accepted,
          sum(pending)::float8 AS pending,
          sum(processing)::float8 AS processing,
          sum(completed)::float8 AS completed,
          sum(failed)::float8 AS failed,
          sum(cancelled)::float8 AS cancelled,
          sum(processing_seconds) AS seconds,
          (
            SELECT greatest(0, extract(epoch FROM now() - created_at))::float8
            FROM orders WHERE final_status IS NULL AND status = 'PENDING'
            ORDER BY final_status, created_at, seq LIMIT 1
          ) AS age
        FROM order_statistics`,
      ([row]): OrderTally => ({
        accepted: row?.accepted ?? 0,
        counts: {
          PENDING: row?.pending ?? 0,
          PROCESSING: row?.processing ?? 0,
          COMPLETED: row?.completed ?? 0,
          FAILED: row?.failed ?? 0,
          CANCELLED: row?.cancelled ?? 0,
        },
        processingSeconds: row?.seconds ?? 0,
        oldestPendingSeconds: row?.age ?? undefined,
      }),
    ),
  ).pipe(Effect.withSpan("OrderRepository.tally"));

  const cancel = Effect.fn("OrderRepository.cancel")((order_id: string) =>
    !isOrderId(order_id)
      ? Effect.succeedNone
      : answer(apart`
      WITH moved AS (
        UPDATE orders AS o SET status = ${moves.cancel.to}, updated_at = now()
        WHERE order_id = ${order_id}::text AND status = ${moves.cancel.from}
        RETURNING ${columns}, ${moves.cancel.from}::text AS was,
          status AS became, 0::float8 AS seconds
      ), ${counted()}
      SELECT * FROM moved`).pipe(
          Effect.map(([row]) =>
            Option.map(Option.fromUndefinedOr(row), decodeOrder),
          ),
        ),
  );

  /**
   * Makes FAILED orders PENDING; `chosen` names them by `order_id`. Many come
   * back as what their actors need of them: their items would take memory.
   */
  const retryAll = (chosen: Statement.Fragment, returned: Statement.Fragment) =>
    answer(apart<Retried>`
      WITH chosen AS MATERIALIZED (${chosen}), moved AS (
        UPDATE orders AS o SET
          status = ${moves.retry.to}, attempts = 0, due_at = now(),
          updated_at = now()
        WHERE order_id = ANY(ARRAY(SELECT order_id FROM chosen))
          AND status = ${moves.retry.from}
        RETURNING ${returned}, o.partition, o.item_bytes,
          ${moves.retry.from}::text AS was, status AS became,
          0::float8 AS seconds
      ), ${counted()}
      SELECT * FROM moved`);

  const retry = Effect.fn("OrderRepository.retry")((order_id: string) =>
    !isOrderId(order_id)
      ? Effect.succeedNone
      : retryAll(sql`SELECT ${order_id}::text AS order_id`, columns).pipe(
          Effect.map(([row]) =>
            Option.map(Option.fromUndefinedOr(row), (row) => ({
              ...retriedIn(row),
              order: decodeOrder(row),
            })),
          ),
        ),
  );

  const retryMany = Effect.fn("OrderRepository.retryMany")(
    (query: RetryQuery) => {
      const column = query.user_id === undefined ? "final_status" : "user_id";
      const chosen = sql`
        SELECT order_id FROM orders
        WHERE ${sql.and([
          ...OrderPages.stretch(
            sql,
            column,
            query.user_id ?? moves.retry.from,
            sql.literal("'-infinity'"),
            query.created_before === undefined
              ? sql.literal("'infinity'")
              : sql`${toDate(query.created_before)}`,
          ),
          sql`status = ${moves.retry.from}`,
        ])}
        ORDER BY ${sql.literal(column)}, created_at, seq
        LIMIT ${query.limit}::integer
        FOR UPDATE SKIP LOCKED`;
      return Effect.map(retryAll(chosen, sql.literal("o.order_id")), (rows) =>
        rows.map(retriedIn),
      );
    },
  );

  return OrderRepository.of({
    insert: (order, partition) =>
      insert({ order, items: JSON.stringify(order.item_ids), partition }),
    find,
    list,
    tally,
    count: Effect.fn("OrderRepository.count")(
      (after: CountPlace | undefined, limit: number) =>
        answer(OrderCount.step(reading, after, limit)),
    ),
    isEmpty: answer(
      Effect.map(
        reading`SELECT 1 FROM orders ORDER BY created_at, seq LIMIT 1`,
        (rows) => rows.length === 0,
      ),
    ),
    due: (partition, limit) => due({ partition, limit }),
    underway: (partition) =>
      answer(
        reading<Underway>`
          SELECT order_id, begun AS attempt, attempts FROM orders
          WHERE partition = ${partition}::smallint AND final_status IS NULL
            AND status = 'PROCESSING'`,
      ).pipe(Effect.withSpan("OrderRepository.underway")),
    claim: (partition) =>
      answer(
        apart<{ epoch: Epoch }>`
          UPDATE partition_owners SET epoch = epoch + 1
          WHERE partition = ${partition}::smallint RETURNING epoch`,
      ).pipe(
        Effect.map(([row]) => row?.epoch ?? 0),
        Effect.withSpan("OrderRepository.claim"),
      ),
    epoch: (partition) =>
      answer(
        sql<{ epoch: Epoch }>`
          SELECT epoch FROM partition_owners
          WHERE partition = ${partition}::smallint`,
      ).pipe(
        Effect.map(([row]) => row?.epoch ?? 0),
        Effect.withSpan("OrderRepository.epoch"),
      ),
    begin: (order_id, epoch, item_bytes = 0) =>
      begin({ order_id, epoch, item_bytes }),
    complete: batched("complete", held.passing(completeAll)),
    fail: batched("fail", held.passing(failAll)),
    release: batched("release", held.passing(releaseAll)),
    cancel,
    retry,
    retryMany,
  });
});

const retriedIn = ({ item_bytes, order_id, partition }: Retried): Retried => ({
  order_id,
  partition,
  item_bytes,
});

/** An order that has just been placed. */
const placed = (order: NewOrder, created_at: DateTime.Utc): Order => ({
  order_id: order.order_id,
  user_id: order.user_id,
  item_ids: order.item_ids,
  total_amount: order.total_amount,
  status: "PENDING",
  created_at,
  updated_at: created_at,
  processing_started_at: null,
  processing_completed_at: null,
  attempts: 0,
  next_attempt_at: null,
  last_error: null,
});

/** The values were wrong, not the database: asking again would not help. */
const isOurFault = ({ reason }: SqlError.SqlError): boolean => {
  const cause = reason.cause as { _tag?: unknown; code?: unknown } | undefined;
  return (
    cause?._tag === "PgTypesCodecError" ||
    String(cause?.code ?? "").startsWith("22")
  );
};

/** What cannot be the id of an order is not looked for: it may not be text. */
const isOrderId = Schema.is(OrderId);

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

/** Orders in PostgreSQL. */
export const layer = Layer.effect(OrderRepository, make);
