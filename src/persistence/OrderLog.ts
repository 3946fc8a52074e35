/**
 * The table as a log: what an actor has to do, in the order in which it came.
 *
 * A partition is read forward from a place, and each order on the straight way
 * is met once. What has left that way (postponed, given back, retried) is aside:
 * it is found by when it is due. The place up to which all is done is kept with
 * the partition, so that its next owner reads on from there. So finding what is
 * to be done costs the same however much is done, also while another session
 * holds a snapshot.
 *
 * `LogHorizon` says how far the place may move.
 */
import { Effect } from "effect";
import type { SqlClient, SqlError } from "effect/sql";
import type { Partition } from "../domain/Partition.ts";
import * as LogHorizon from "./LogHorizon.ts";
import type { Epoch, LogPlace, LogRead, OpenOrder } from "./OrderRepository.ts";
import type { Statements } from "./Statements.ts";

/** The most rows of one partition that are read at once. */
const rowsMax = 2000;

/** The last number taken: a new sequence has one to give, and has given none. */
export const lastNumber =
  "CASE WHEN is_called THEN last_value ELSE last_value - 1 END";

/**
 * Selects the moment of a statement (`LogHorizon`), of the log numbered by it.
 *
 * The `xmax` of a snapshot is no bound for those that have begun: it is the id
 * after the last that has ended, and whoever began later is not below it. `age`
 * counts from the id that is to be given next.
 */
export const momentOf = (sequence: "orders_seq" | "order_events_seq") => `
  SELECT ${lastNumber} AS last,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint
      + age(pg_snapshot_xmax(pg_current_snapshot())::xid) AS next
  FROM ${sequence}`;

const moment = momentOf("orders_seq");

/**
 * Whether `o` changed in what is now the future: the database's clock was set
 * back since. Such a row is due at once, because its `due_at` is as far ahead. A
 * minute is more than a concurrent statement can be ahead of this one.
 */
export const isFromAhead = "o.updated_at > now() + interval '1 minute'";

/**
 * The rows of a partition that are not yet due, the last due first. A clock that
 * was set back leaves its rows there. So a few rows show whether there are any.
 */
const lastDue = `
  SELECT order_id, item_bytes, seq, status, begun, attempts, updated_at
  FROM orders
  WHERE partition = asked.partition AND due_at IS NOT NULL AND due_at > now()
  ORDER BY due_at DESC, seq DESC`;

/**
 * Looks how far the log is settled, for those who read no partition: once to note
 * a number, and once to see whether all that could be below it has ended.
 */
export const settle = (
  sql: SqlClient.SqlClient,
  horizon: LogHorizon.LogHorizon,
): Effect.Effect<LogPlace, SqlError.SqlError> => {
  const look = Effect.suspend(() => {
    const settled = horizon.asking();
    return Effect.map(sql<LogHorizon.Moment>`${sql.literal(moment)}`, ([at]) =>
      at === undefined ? horizon.settledTo() : settled(at),
    );
  });
  return Effect.andThen(look, look);
};

interface LogAsked {
  readonly partition: Partition;
  readonly after: LogPlace;
  readonly limit: number;
}

interface AsideAsked {
  readonly partition: Partition;
  readonly limit: number;
}

interface PlaceKept {
  readonly partition: Partition;
  readonly epoch: Epoch;
  readonly place: LogPlace;
}

/** An open order as it is read; `begun` and `attempts` are those of now. */
interface OpenRow {
  readonly asked: bigint;
  readonly order_id: OpenOrder["order_id"];
  readonly item_bytes: number;
  readonly seq: bigint;
  readonly status: string;
  readonly begun: number;
  readonly attempts: number;
}

interface LogRow extends OpenRow {
  /** What follows is null where no row was read. */
  readonly is_open: boolean | null;
  /** How many rows were read, and how many open ones up to this. */
  readonly scanned: bigint;
  readonly nth: bigint;
  readonly last: bigint;
  readonly xmin: bigint;
  readonly next: bigint;
}

const openOrder = (row: OpenRow): OpenOrder => ({
  order_id: row.order_id,
  item_bytes: row.item_bytes,
  seq: row.seq,
  underway:
    row.status === "PROCESSING"
      ? { order_id: row.order_id, attempt: row.begun, attempts: row.attempts }
      : undefined,
});

const later = (one: LogPlace, other: LogPlace) => (one > other ? one : other);

/**
 * Only rows with something to say are sent: open ones, and the last read. At the
 * end of the log all that is settled has been read, also where a partition has no
 * order: its place moves on with the others'.
 */
const logRead = (
  { after, limit }: LogAsked,
  rows: ReadonlyArray<LogRow>,
  settledTo: LogPlace,
): LogRead => {
  const last = rows.at(-1);
  if (last === undefined || last.is_open === null) {
    return {
      open: [],
      readTo: later(after, settledTo),
      isEnd: true,
      settledTo,
    };
  }
  const open = rows
    .filter((row) => row.is_open)
    .slice(0, limit)
    .map(openOrder);
  if (Number(last.nth) > limit) {
    const readTo = open.at(-1)?.seq ?? after;
    return { open, readTo, isEnd: false, settledTo };
  }
  const isEnd = Number(last.scanned) < rowsMax;
  const readTo = isEnd ? later(last.seq, settledTo) : last.seq;
  return { open, readTo, isEnd, settledTo };
};

export const make = (
  sql: SqlClient.SqlClient,
  { answer, batched }: Statements,
  instance: string,
) => {
  const horizon = LogHorizon.make();

  const readAll = (asked: ReadonlyArray<LogAsked>) =>
    Effect.suspend(() => {
      const settled = horizon.asking();
      return Effect.map(
        sql<LogRow>`
          SELECT asked.n AS asked, log.*, moment.*
          FROM unnest(
            ${asked.map((_) => _.partition)}::smallint[],
            ${asked.map((_) => String(_.after))}::text[]::bigint[],
            ${asked.map((_) => _.limit)}::integer[]
          ) WITH ORDINALITY AS asked (partition, after, "limit", n)
          CROSS JOIN (${sql.literal(moment)}) AS moment
          LEFT JOIN LATERAL (
            SELECT * FROM (
              SELECT rows.*, count(*) OVER () AS scanned,
                count(*) FILTER (WHERE is_open)
                  OVER (ROWS UNBOUNDED PRECEDING) AS nth,
                row_number() OVER () AS number
              FROM (
                SELECT order_id, item_bytes, seq, status, begun, attempts,
                  status IN ('PENDING', 'PROCESSING') AND due_at IS NULL
                    AS is_open
                FROM orders
                WHERE seq > asked.after AND partition = asked.partition
                ORDER BY seq LIMIT ${rowsMax}::integer
              ) AS rows
            ) AS counted
            WHERE (is_open AND nth <= asked."limit") OR number = scanned
          ) AS log ON true`,
        (rows) => {
          const [first] = rows;
          const settledTo =
            first === undefined ? horizon.settledTo() : settled(first);
          const read = Map.groupBy(rows, (row) => Number(row.asked));
          return asked.map((one, index) =>
            logRead(one, read.get(index + 1) ?? [], settledTo),
          );
        },
      );
    });

  const readAsideAll = (asked: ReadonlyArray<AsideAsked>) =>
    Effect.map(
      sql<OpenRow>`
        SELECT asked.n AS asked, aside.*
        FROM unnest(
          ${asked.map((_) => _.partition)}::smallint[],
          ${asked.map((_) => _.limit)}::integer[]
        ) WITH ORDINALITY AS asked (partition, "limit", n)
        CROSS JOIN LATERAL (
          (SELECT order_id, item_bytes, seq, status, begun, attempts
          FROM orders
          WHERE partition = asked.partition AND due_at IS NOT NULL
            AND due_at <= now()
          ORDER BY due_at, seq
          LIMIT asked."limit")
          UNION ALL
          (SELECT order_id, item_bytes, seq, status, begun, attempts
          FROM (${sql.literal(lastDue)}
            LIMIT CASE WHEN EXISTS (
              SELECT FROM (${sql.literal(lastDue)} LIMIT 10) AS o
              WHERE ${sql.literal(isFromAhead)}
            ) THEN asked."limit" ELSE 0 END
          ) AS o
          WHERE ${sql.literal(isFromAhead)})
          LIMIT asked."limit"
        ) AS aside`,
      (rows) => {
        const read = Map.groupBy(rows, (row) => Number(row.asked));
        return asked.map((_, index) =>
          (read.get(index + 1) ?? []).map(openOrder),
        );
      },
    );

  const keepPlaces = (kept: ReadonlyArray<PlaceKept>) =>
    Effect.as(
      sql`
        UPDATE partition_owners AS w SET place = given.place
        FROM unnest(
          ${kept.map((_) => _.partition)}::smallint[],
          ${kept.map((_) => _.epoch)}::integer[],
          ${kept.map((_) => String(_.place))}::text[]::bigint[]
        ) AS given (partition, epoch, place)
        WHERE w.partition = given.partition AND w.epoch = given.epoch
          AND w.place < given.place`,
      kept.map(() => undefined),
    );

  const readLog = batched("readLog", readAll).one;
  const readAside = batched("readAside", readAsideAll).one;
  const keepPlace = batched("keepPlace", keepPlaces).one;

  return {
    horizon,
    readLog: (partition: Partition, after: LogPlace, limit: number) =>
      readLog({ partition, after, limit }),
    readAside: (partition: Partition, limit: number) =>
      readAside({ partition, limit }),
    keepPlace: (partition: Partition, epoch: Epoch, place: LogPlace) =>
      keepPlace({ partition, epoch, place }),
    claim: (partition: Partition) =>
      answer(
        sql<{ epoch: Epoch; place: LogPlace }>`
          WITH claimed AS (
            UPDATE partition_owners SET epoch = epoch + 1
            WHERE partition = ${partition}::smallint
            RETURNING partition, epoch, place
          ), noted AS (
            INSERT INTO partition_claims (partition, epoch, instance)
            SELECT partition, epoch, ${instance}::text FROM claimed
          )
          SELECT epoch, place FROM claimed`,
      ).pipe(
        Effect.map(([row]) => ({
          epoch: row?.epoch ?? 0,
          place: row?.place ?? 0n,
        })),
        Effect.withSpan("OrderRepository.claim"),
      ),
    epoch: (partition: Partition) =>
      answer(
        sql<{ epoch: Epoch }>`
          SELECT epoch FROM partition_owners
          WHERE partition = ${partition}::smallint`,
      ).pipe(
        Effect.map(([row]) => row?.epoch ?? 0),
        Effect.withSpan("OrderRepository.epoch"),
      ),
  };
};
