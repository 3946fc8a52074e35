/**
 * The log of events in PostgreSQL: a row is a record of all events of one type
 * that one statement made (`OrderMoves`), and is opened here.
 *
 * Reading costs the same however much is kept: an index leads to the place.
 */
import { Clock, DateTime, Effect } from "effect";
import type { SqlClient, SqlError } from "effect/sql";
import { eventIdOf, placeIn } from "../domain/EventId.ts";
import type { OrderId, UserId } from "../domain/Order.ts";
import {
  type EventPlace,
  type EventType,
  type OrderEvent,
  statusAfter,
} from "../domain/OrderEvent.ts";
import { Refused } from "./Batching.ts";
import { type EventLog, EventsGone, type EventsRead } from "./EventLog.ts";
import * as LogHorizon from "./LogHorizon.ts";
import { momentOf } from "./OrderLog.ts";
import { RepositoryUnavailable } from "./OrderRepository.ts";
import type { Statements } from "./Statements.ts";

/** What is told beside an order's id, its user and the number of its attempt. */
interface Detail {
  readonly error?: string | null;
  readonly lost?: boolean;
  /** In whole milliseconds since 1970, as the order itself says it. */
  readonly next_attempt_at?: number | null;
  readonly actor?: string | null;
}

interface RecordRow extends LogHorizon.Moment {
  readonly dropped_to: bigint;
  /** What follows is null where no record was read. */
  readonly no: bigint | null;
  readonly at: Date;
  readonly event: EventType;
  /** Null where all events of the record were read before. */
  readonly order_ids: ReadonlyArray<OrderId> | null;
  readonly user_ids: ReadonlyArray<UserId>;
  readonly attempts: ReadonlyArray<number> | null;
  readonly details: ReadonlyArray<Detail> | null;
}

/** The most events read at once, and so the most records. */
const eventsMax = 1000;

/** After all of a record, whatever its number is. */
const wholeRecord = 999_999;

/** For so long it is believed that the database is still the same. */
const originMillis = 15_000;

/** How often it is looked again for what is about to be settled. */
const looksMax = 3;

/** Looks for the latest event, at most, and the pause between two. */
const latestLooksMax = 100;
const latestPauseSeconds = 0.02;

/** Before all there is. */
const start: EventPlace = { record: 0n, index: wholeRecord };

const heldUpFromStart = new Refused(
  new RepositoryUnavailable({
    reason:
      "a transaction that is open holds up the readers of events, and nothing is known yet of what came before it",
  }),
);

const moment = momentOf("order_events_seq");

const eventsOf = (
  origin: string,
  row: RecordRow,
  from: number,
): ReadonlyArray<OrderEvent> => {
  const record = row.no as bigint;
  const time = DateTime.makeUnsafe(row.at.getTime());
  const at = row.at.getTime();
  return (row.order_ids ?? []).slice(from).map((order_id, offset) => {
    const index = from + offset;
    const place = { record, index, at };
    const { actor, error, lost, next_attempt_at } = row.details?.[index] ?? {};
    return {
      id: eventIdOf(origin, place),
      place,
      type: row.event,
      time,
      order_id,
      user_id: row.user_ids[index] as UserId,
      status: statusAfter[row.event],
      attempt: row.attempts?.[index] ?? 0,
      ...(error ? { error } : {}),
      ...(lost === true ? { lost } : {}),
      ...(next_attempt_at
        ? { next_attempt_at: DateTime.makeUnsafe(next_attempt_at) }
        : {}),
      ...(actor ? { actor } : {}),
    };
  });
};

export const make = (
  sql: SqlClient.SqlClient,
  { answer, batched }: Statements,
  {
    isOn,
    keepDays,
    untilWritten,
  }: Pick<EventLog["Service"], "isOn" | "keepDays" | "untilWritten">,
): EventLog["Service"] => {
  const { asking } = LogHorizon.make();

  /** The last number when it was last looked and not all was settled, and when. */
  let heldUp: { readonly last: bigint; readonly since: number } | undefined;
  const heldUpSeconds = Effect.gen(function* () {
    const settledIn = asking();
    const [at] = yield* sql<LogHorizon.Moment>`${sql.literal(moment)}`;
    const now = yield* Clock.currentTimeMillis;
    const settledTo = at === undefined ? 0n : settledIn(at);
    if (at === undefined || at.last <= settledTo) heldUp = undefined;
    else if (heldUp === undefined || heldUp.last <= settledTo) {
      heldUp = { last: at.last, since: now };
    }
    return heldUp === undefined ? 0 : (now - heldUp.since) / 1000;
  });

  /** What another database, restored from this one, has not in common with it. */
  const originNow = Effect.map(
    sql<{ origin: string }>`
      SELECT to_hex(hashtextextended(concat_ws('/',
        (SELECT system_identifier FROM pg_control_system()),
        (SELECT oid FROM pg_database WHERE datname = current_database()),
        'order_events'::regclass::oid), 0) & 281474976710655) AS origin`,
    ([row]) => row?.origin ?? "",
  );

  const recordsFrom = ({ index, record }: EventPlace, limit: number) =>
    sql<RecordRow>`
      SELECT moment.*, event_log.dropped_to, r.no, r.at, r.event, r.user_ids,
        r.attempts, r.details,
        CASE WHEN r.no > ${String(record)}::text::bigint
            OR r.size > ${index + 1}::integer
          THEN r.order_ids END AS order_ids
      FROM (${sql.literal(moment)}) AS moment
      CROSS JOIN event_log
      LEFT JOIN LATERAL (
        SELECT * FROM (
          SELECT *, sum(CASE WHEN no > ${String(record)}::text::bigint
              THEN size ELSE greatest(0, size - ${index + 1}::integer) END)
            OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
          FROM (
            SELECT * FROM order_events
            WHERE no >= ${String(record)}::text::bigint
            ORDER BY no LIMIT ${Math.min(limit, eventsMax) + 1}::integer
          ) AS records
        ) AS counted
        WHERE before IS NULL OR before < ${limit}::integer
      ) AS r ON true
      ORDER BY r.no`;

  /** Whether what comes after a place can be read here. */
  const check = (
    after: EventPlace,
    { dropped_to, last }: RecordRow,
    first: RecordRow | undefined,
  ) => {
    if (after.record < dropped_to) {
      return new EventsGone({ reason: "too old" });
    }
    const isOther =
      after.record > last ||
      (after.at !== undefined &&
        after.record > dropped_to &&
        (first?.no !== after.record || first.at.getTime() !== after.at));
    return isOther ? new EventsGone({ reason: "another database" }) : undefined;
  };

  /** One look: what is read, and whether another may find more. */
  const readOnce = Effect.fnUntraced(function* (
    origin: string,
    after: EventPlace,
    limit: number,
  ): Effect.fn.Return<
    EventsRead & { readonly mayBeMore: boolean },
    SqlError.SqlError | EventsGone
  > {
    const settledIn = asking();
    const rows = yield* recordsFrom(after, limit);
    const [first] = rows;
    if (first === undefined) throw new Error("event_log has no row");
    const settledTo = settledIn(first);
    const records = rows.filter((row) => row.no !== null);
    const gone = check(after, first, records[0]);
    if (gone !== undefined) return yield* gone;
    const events = records
      .filter(({ no }) => (no as bigint) <= settledTo)
      .flatMap((row) =>
        eventsOf(origin, row, row.no === after.record ? after.index + 1 : 0),
      );
    const taken = events.slice(0, limit);
    const place = taken.at(-1)?.place ?? after;
    const isEnd = events.length < limit;
    // So that nobody is thought to be behind who has read all there is.
    const end =
      isEnd && settledTo >= place.record
        ? {
            record: settledTo,
            index: wholeRecord,
            at: settledTo === place.record ? place.at : undefined,
          }
        : place;
    return {
      events: taken,
      end,
      endId: eventIdOf(origin, end),
      isEnd,
      mayBeMore: isEnd && first.last > settledTo,
    };
  });

  /**
   * After all that was numbered when it was asked. A transaction that is open
   * then is waited for, a little; after that it is what is known to be settled,
   * which may be some time ago. A process that has just begun knows nothing: it
   * says so where there are events, for else it would give all that is kept.
   */
  const latestNow = Effect.gen(function* () {
    let wanted: bigint | undefined;
    for (let looks = 1; ; looks += 1) {
      const settledIn = asking();
      const [at] = yield* sql<LogHorizon.Moment>`${sql.literal(moment)}`;
      if (at === undefined) throw new Error("order_events_seq has no row");
      const settledTo = settledIn(at);
      wanted ??= at.last;
      if (settledTo >= wanted || (settledTo > 0n && looks >= latestLooksMax)) {
        return { record: settledTo, index: wholeRecord };
      }
      if (looks >= latestLooksMax) {
        const seen = yield* sql`SELECT 1 FROM order_events ORDER BY no LIMIT 1`;
        return seen.length > 0 ? heldUpFromStart : start;
      }
      if (looks >= looksMax) {
        yield* sql`SELECT pg_sleep(${latestPauseSeconds}::float8)`;
      }
    }
  });

  /** Once for all who ask at the same time: a thousand may come back at once. */
  const latest = batched(
    "latestEvent",
    (asked: ReadonlyArray<void>) =>
      Effect.map(latestNow, (place) => asked.map(() => place)),
    undefined,
    sql,
  ).one;

  let known: { readonly origin: string; readonly at: number } | undefined;
  /** Asked again after a while: a database may be put in this one's place. */
  const origin = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis;
    if (known !== undefined && now - known.at < originMillis) {
      return known.origin;
    }
    const origin = yield* originNow;
    known = { origin, at: now };
    return origin;
  });

  const read = Effect.fnUntraced(
    function* (after: EventPlace, limit: number) {
      const from = yield* origin;
      let found = yield* readOnce(from, after, limit);
      for (
        let looks = 1;
        found.events.length === 0 && found.mayBeMore && looks < looksMax;
        looks += 1
      ) {
        found = yield* readOnce(from, after, limit);
      }
      return found as EventsRead;
    },
    Effect.tapErrorTag("SqlError", () => {
      // Whatever answers next may be another.
      known = undefined;
      return Effect.void;
    }),
  );

  return {
    isOn,
    oldest: answer(
      Effect.map(
        sql<{ dropped_to: bigint }>`SELECT dropped_to FROM event_log`,
        ([row]) => ({ record: row?.dropped_to ?? 0n, index: wholeRecord }),
      ),
    ),
    latest: Effect.suspend(() => latest()),
    place: (id) => {
      const found = placeIn(id);
      return Effect.flatMap(answer(origin), (origin) =>
        found?.origin === origin
          ? Effect.succeed(found.place)
          : Effect.fail(new EventsGone({ reason: "another database" })),
      );
    },
    idOf: (place) =>
      Effect.map(answer(origin), (origin) => eventIdOf(origin, place)),
    read: (after, limit) =>
      Effect.flatMap(
        answer(
          Effect.catchTag(
            read(after, Math.min(limit, eventsMax)),
            "EventsGone",
            (gone) => Effect.succeed(gone),
          ),
        ),
        (found) =>
          found instanceof EventsGone
            ? Effect.fail(found)
            : Effect.succeed(found),
      ),
    oldestAfter: ({ index, record }) =>
      answer(
        Effect.map(
          sql<{ at: Date }>`
              SELECT at FROM order_events
              WHERE no >= ${String(record)}::text::bigint
                AND (no > ${String(record)}::text::bigint
                  OR size > ${index + 1}::integer)
              ORDER BY no LIMIT 1`,
          ([row]) => row?.at.getTime(),
        ),
      ),
    heldUpSeconds: answer(heldUpSeconds),
    keepDays,
    untilWritten,
  };
};
