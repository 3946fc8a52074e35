/**
 * Subscriptions in PostgreSQL: a row each, found by its id. There are a hundred
 * at most, of which no two have the same slot; a new one takes the first that
 * is free.
 */
import { Duration, Effect, Layer, Option, Semaphore } from "effect";
import type { SqlError } from "effect/sql";
import { type Subscription, subscriptionsMax } from "../domain/Subscription.ts";
import { advisoryLockKey } from "./AdvisoryLockKey.ts";
import { Connections } from "./Connections.ts";
import { at, atOrNull } from "./OrderRow.ts";
import * as Statements from "./Statements.ts";
import {
  type ActiveSubscription,
  type ClaimedSubscription,
  SubscriptionStore,
} from "./SubscriptionStore.ts";

interface Row {
  readonly id: string;
  readonly url: string;
  readonly types: Subscription["types"];
  readonly status: Subscription["status"];
  readonly reason: string | null;
  readonly created_at: Date;
  readonly delivered: bigint;
  readonly delivered_at: Date | null;
  readonly failures: number;
  readonly failing_since: Date | null;
  readonly next_attempt_at: Date | null;
  readonly last_error: string | null;
  readonly lag_seconds: number;
}

const columns = `id, url, types, status, reason, created_at, delivered,
  delivered_at, failures, failing_since, next_attempt_at, last_error`;

/** The oldest event after the place, wanted or not: the index leads there. */
const lag = `coalesce((
  SELECT greatest(0, extract(epoch FROM clock_timestamp() - e.at))::float8
  FROM order_events AS e
  WHERE e.no >= s.place AND (e.no > s.place OR e.size > s.place_index + 1)
  ORDER BY e.no LIMIT 1), 0) AS lag_seconds`;

/** What is set where a receiver does not fail, or is not to have failed. */
const notFailing = `failures = 0, failing_since = NULL, next_attempt_at = NULL,
  last_error = NULL`;

const subscriptionOf = (row: Row): Subscription => ({
  id: row.id,
  url: row.url,
  types: row.types,
  status: row.status,
  reason: row.reason,
  created_at: at(row.created_at),
  delivered: Number(row.delivered),
  delivered_at: atOrNull(row.delivered_at),
  failures: row.failures,
  failing_since: atOrNull(row.failing_since),
  next_attempt_at: atOrNull(row.next_attempt_at),
  last_error: row.last_error,
  lag_seconds: row.lag_seconds,
});

/**
 * Whoever makes a subscription holds this lock until it is committed, so that no
 * two look for a free slot at once: a name of ours, as a number.
 */
const lockKey = advisoryLockKey(0x73756273);

interface ClaimRow
  extends Omit<ClaimedSubscription, "place" | "wait" | "epoch"> {
  readonly epoch: number;
  readonly place: bigint;
  readonly place_index: number;
  readonly place_at: bigint | null;
  readonly wait_millis: number;
}

const make = Effect.gen(function* () {
  const { apart, reading } = yield* Connections;
  const answer = yield* Statements.answering;
  /** One at a time here: who waits for the lock holds a connection. */
  const inserting = yield* Semaphore.make(1);
  const c = apart.literal(columns);

  const first = <A, B>(
    rows: Effect.Effect<ReadonlyArray<A>, SqlError.SqlError>,
    read: (row: A) => B,
  ) =>
    answer(
      Effect.map(rows, ([row]) =>
        Option.map(Option.fromUndefinedOr(row), read),
      ),
    );

  const find = (id: string) =>
    first(
      reading<Row>`
        SELECT ${c}, ${reading.literal(lag)} FROM subscriptions AS s
        WHERE id = ${id}::text`,
      subscriptionOf,
    );

  const changed = (
    rows: Effect.Effect<ReadonlyArray<unknown>, SqlError.SqlError>,
  ) =>
    answer(
      Effect.tap(
        Effect.map(rows, (rows) => rows.length > 0),
        (isChanged) => (isChanged ? Effect.void : Statements.durable(apart)),
      ),
    );

  return SubscriptionStore.of({
    insert: ({ id, place, secret, types, url }) =>
      answer(
        apart.withTransaction(
          Effect.gen(function* () {
            yield* apart`SELECT pg_advisory_xact_lock(${apart.literal(lockKey)})`;
            const [made] = yield* apart`
              INSERT INTO subscriptions
                (id, slot, url, types, secret, place, place_index, place_at)
              SELECT ${id}::text, free.slot, ${url}::text, ${types}::text[],
                ${secret}::text, ${String(place.record)}::text::bigint,
                ${place.index}::integer,
                ${place.at === undefined ? null : String(place.at)}::text::bigint
              FROM generate_series(0, ${subscriptionsMax - 1}::integer)
                AS free(slot)
              WHERE NOT EXISTS (
                SELECT FROM subscriptions AS s WHERE s.slot = free.slot)
              ORDER BY free.slot LIMIT 1
              RETURNING id`;
            return made !== undefined;
          }),
        ),
      ).pipe(
        Effect.flatMap((made) => (made ? find(id) : Effect.succeedNone)),
        inserting.withPermit,
      ),
    list: answer(
      Effect.map(
        reading<Row>`
          SELECT ${c}, ${reading.literal(lag)} FROM subscriptions AS s
          ORDER BY created_at, id`,
        (rows) => rows.map(subscriptionOf),
      ),
    ),
    find,
    receiver: (id) =>
      first(
        reading<{ url: string; secret: string }>`
          SELECT url, secret FROM subscriptions WHERE id = ${id}::text`,
        (row) => row,
      ),
    remove: (id) =>
      changed(
        apart`DELETE FROM subscriptions WHERE id = ${id}::text RETURNING id`,
      ),
    pause: (id) =>
      Effect.andThen(
        changed(apart`
          UPDATE subscriptions SET status = 'PAUSED', next_attempt_at = NULL
          WHERE id = ${id}::text AND status = 'ACTIVE' RETURNING id`),
        find(id),
      ),
    resume: (id) =>
      Effect.andThen(
        changed(apart`
          UPDATE subscriptions SET status = 'ACTIVE', reason = NULL,
            resumed = resumed + 1, ${apart.literal(notFailing)}
          WHERE id = ${id}::text RETURNING id`),
        find(id),
      ),

    active: answer(
      reading<ActiveSubscription>`
        SELECT id, slot, resumed, epoch FROM subscriptions
        WHERE status = 'ACTIVE'`,
    ),
    claim: (id) =>
      first(
        apart<ClaimRow>`
          UPDATE subscriptions SET epoch = epoch + 1
          WHERE id = ${id}::text AND status = 'ACTIVE'
          RETURNING id, url, types, secret, epoch, place, place_index, place_at,
            failures, coalesce(greatest(0, extract(
              epoch FROM next_attempt_at - clock_timestamp()) * 1000), 0)::float8
              AS wait_millis`,
        ({ place, place_at, place_index, wait_millis, ...row }) => ({
          ...row,
          place: {
            record: place,
            index: place_index,
            ...(place_at === null ? {} : { at: Number(place_at) }),
          },
          wait: Duration.millis(wait_millis),
        }),
      ),
    keepPlace: ({ epoch, id }, place, delivered) =>
      changed(apart`
        UPDATE subscriptions SET
          place = ${String(place.record)}::text::bigint,
          place_index = ${place.index}::integer,
          place_at =
            ${place.at === undefined ? null : String(place.at)}::text::bigint
          ${
            delivered === 0
              ? apart.literal("")
              : apart`, delivered = delivered + ${delivered}::integer,
                delivered_at = now(), ${apart.literal(notFailing)}`
          }
        WHERE id = ${id}::text AND epoch = ${epoch}::integer RETURNING id`),
    fail: ({ epoch, id }, { error, wait }) =>
      first(
        apart<{ failing_seconds: number }>`
          UPDATE subscriptions SET failures = failures + 1,
            failing_since = coalesce(failing_since, now()),
            next_attempt_at = now()
              + ${Duration.toSeconds(wait)}::float8 * interval '1 second',
            last_error = ${error}::text
          WHERE id = ${id}::text AND epoch = ${epoch}::integer
            AND status = 'ACTIVE'
          RETURNING greatest(0, extract(epoch FROM now() - failing_since))::float8
            AS failing_seconds`,
        ({ failing_seconds }) => Duration.seconds(failing_seconds),
      ),
    disable: ({ epoch, id }, reason) =>
      changed(apart`
        UPDATE subscriptions SET status = 'DISABLED', reason = ${reason}::text,
          next_attempt_at = NULL
        WHERE id = ${id}::text AND epoch = ${epoch}::integer
          AND status = 'ACTIVE'
        RETURNING id`),
  });
});

export const layer = Layer.effect(SubscriptionStore, make);
