/**
 * The days of the log of events, on PostgreSQL and on the embedded database:
 * made ahead, dropped when old, and no event refused or lost silently for it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, layer } from "@effect/vitest";
import { Duration, Effect, Fiber, Layer } from "effect";
import { SqlClient } from "effect/sql";
import { Partition } from "../../src/domain/Partition.ts";
import { Connections } from "../../src/persistence/Connections.ts";
import { Database } from "../../src/persistence/Database.ts";
import * as EventDays from "../../src/persistence/EventDays.ts";
import { EventsGone } from "../../src/persistence/EventLog.ts";
import { OrderArchive } from "../../src/persistence/OrderArchive.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as Embedded from "../../src/platform/Embedded.ts";
import * as TestDatabase from "../support/testDatabase.ts";
import { clear, instanceOf } from "./eventLogSubject.ts";
import { readOn } from "./eventLogSuite.ts";
import { newOrder } from "./orderRepositorySuite.ts";

const retention = Duration.days(7);
const partition = Partition.make(7);

const isDay = /^order_events_\d{8}$/;

/** The tables of days, oldest first. */
const days = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  const rows = yield* sql<{ name: string }>`
    SELECT c.relname::text AS name FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'order_events'::regclass ORDER BY 1`;
  return rows.map(({ name }) => name).filter((name) => isDay.test(name));
});

/** What a day's table is called, so many days from today. */
const nameOf = (offset: number) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient;
    const [row] = yield* sql<{ name: string }>`
      SELECT 'order_events_' || to_char(
        (now() AT TIME ZONE 'UTC')::date + ${offset}::integer, 'YYYYMMDD')
        AS name`;
    return row?.name ?? "";
  });

/** Makes a table for a day, as it was made when that day was ahead. */
const makeDay = Effect.fnUntraced(function* (offset: number) {
  const sql = yield* SqlClient.SqlClient;
  const name = yield* nameOf(offset);
  yield* sql.unsafe(`
    DO $$
    DECLARE day date := (now() AT TIME ZONE 'UTC')::date + (${offset});
    BEGIN
      EXECUTE format('CREATE TABLE ${name} PARTITION OF order_events
        FOR VALUES FROM (%L) TO (%L)', day::timestamp AT TIME ZONE 'UTC',
        (day + 1)::timestamp AT TIME ZONE 'UTC');
    END $$`);
  return name;
});

/** An event of so many days ago. */
const write = Effect.fnUntraced(function* (order_id: string, offset: number) {
  const sql = yield* SqlClient.SqlClient;
  yield* sql`
    INSERT INTO order_events (at, event, size, order_ids, user_ids)
    VALUES (now() + ${offset}::integer * interval '1 day', 'order.placed', 1,
      ARRAY[${order_id}::text], ARRAY['U'::text])`;
});

const fresh = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  yield* (yield* Database).migrated;
  yield* clear;
  for (const name of yield* days) yield* sql.unsafe(`DROP TABLE ${name}`);
  const { log, repository } = yield* instanceOf("one:8000");
  return { log, repository, sql, keep: EventDays.keep(sql, retention) };
});

const reasonOf = (error: unknown) =>
  error instanceof EventsGone ? error.reason : String(error);

const named = (offsets: ReadonlyArray<number>) =>
  Effect.forEach(offsets, nameOf);

const ahead = named([0, 1, 2, 3, 4, 5, 6, 7]);

const suite = (
  name: string,
  database: Layer.Layer<SqlClient.SqlClient | Connections, unknown>,
) =>
  layer(Database.layer.pipe(Layer.provideMerge(database)), {
    excludeTestServices: true,
    timeout: "60 seconds",
  })(name, (it) => {
    it.effect("are there for today and a week ahead, made once", () =>
      Effect.gen(function* () {
        const { keep, log, repository, sql } = yield* fresh;
        yield* keep;
        assert.deepStrictEqual(yield* days, yield* ahead);
        yield* keep;
        assert.deepStrictEqual(yield* days, yield* ahead);
        yield* repository.insert(newOrder("A"), partition);
        const [row] = yield* sql<{ name: string }>`
          SELECT tableoid::regclass::text AS name FROM order_events`;
        assert.strictEqual(row?.name, yield* nameOf(0));
        yield* readOn(log, yield* log.oldest, 1);
      }).pipe(Effect.scoped),
    );

    it.effect("are dropped once they are older than events are kept", () =>
      Effect.gen(function* () {
        const { keep, log } = yield* fresh;
        const old = yield* makeDay(-8);
        const last = yield* makeDay(-7);
        yield* write("old 1", -8);
        yield* write("old 2", -8);
        yield* write("kept", -7);
        const { events } = yield* readOn(log, yield* log.oldest, 3);
        yield* keep;
        const left = yield* days;
        assert.notInclude(left, old);
        assert.include(left, last);
        // Behind the first it would miss the second; behind that, nothing.
        const [first, second] = yield* Effect.forEach(
          events.slice(0, 2),
          ({ id }) => log.place(id),
        );
        assert.isDefined(first);
        assert.isDefined(second);
        if (first === undefined || second === undefined) return;
        const gone = yield* Effect.flip(log.read(first, 10));
        assert.strictEqual(reasonOf(gone), "too old");
        for (const place of [second, yield* log.oldest]) {
          const read = yield* log.read(place, 10);
          assert.deepStrictEqual(
            read.events.map(({ order_id }) => String(order_id)),
            ["kept"],
          );
        }
      }).pipe(Effect.scoped),
    );

    it.effect("hold what came on a day without a table, too", () =>
      Effect.gen(function* () {
        const { keep, log, repository, sql } = yield* fresh;
        yield* repository.insert(newOrder("today"), partition);
        yield* write("three days ago", -3);
        yield* write("nine days ago", -9);
        yield* write("ahead", 2);
        const { events } = yield* readOn(log, yield* log.oldest, 4);
        assert.deepStrictEqual(
          events.map(({ order_id }) => String(order_id)),
          ["today", "three days ago", "nine days ago", "ahead"],
        );
        yield* keep;
        // Those days have what they need; what is old is gone all the same.
        assert.deepStrictEqual(yield* days, yield* named([1, 3, 4, 5, 6, 7]));
        const [other] = yield* sql<{ count: bigint }>`
          SELECT count(*) AS count FROM order_events_other`;
        assert.strictEqual(Number(other?.count), 3);
        const read = yield* log.read(yield* log.oldest, 10);
        assert.deepStrictEqual(
          read.events.map(({ order_id }) => String(order_id)),
          ["ahead"],
        );
        // Honest with those who had not read what was dropped.
        const place = yield* log.place(events[0]?.id ?? "");
        const gone = yield* Effect.flip(log.read(place, 10));
        assert.strictEqual(reasonOf(gone), "too old");
      }).pipe(Effect.scoped),
    );
  });

suite("the days of events on PostgreSQL", TestDatabase.layerSql);

suite(
  "the days of events on the embedded database",
  Layer.unwrap(
    Effect.map(
      Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "orders-days-"))),
        (dataDir) => Effect.promise(() => rm(dataDir, { recursive: true })),
      ),
      (dataDir) =>
        Layer.provideMerge(
          Connections.layerShared,
          Embedded.layer({ dataDir }),
        ),
    ),
  ),
);

describe("others on PostgreSQL, while days are kept", () => {
  layer(Database.layer.pipe(Layer.provideMerge(TestDatabase.layerSql)), {
    excludeTestServices: true,
    timeout: "60 seconds",
  })((it) => {
    /** Sessions that wait for a lock. */
    const waiting = Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient;
      const [row] = yield* sql<{ count: bigint }>`
        SELECT count(*) AS count FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      return Number(row?.count);
    });
    const untilOneWaits = Effect.repeat(waiting, { until: (_) => _ > 0 });

    it.effect("who write find today's table, and are not refused for it", () =>
      Effect.gen(function* () {
        const { keep, log, repository, sql } = yield* fresh;
        const { apart } = yield* Connections;
        yield* apart
          .withTransaction(
            Effect.gen(function* () {
              yield* EventDays.keep(apart, retention);
              const placing = yield* Effect.forkChild(
                repository.insert(newOrder("A"), partition),
                { startImmediately: true },
              );
              yield* untilOneWaits;
              return placing;
            }),
          )
          .pipe(
            Effect.flatMap(Fiber.join),
            Effect.tap(({ isNew }) => Effect.sync(() => assert.isTrue(isNew))),
          );
        yield* keep;
        yield* readOn(log, yield* log.oldest, 1);
        const [row] = yield* sql<{ name: string }>`
          SELECT tableoid::regclass::text AS name FROM order_events`;
        assert.strictEqual(row?.name, yield* nameOf(0));
      }).pipe(Effect.scoped),
    );

    it.effect(
      "who hold a day for long are left alone, until the next time",
      () =>
        Effect.gen(function* () {
          const { log, repository } = yield* fresh;
          const { apart } = yield* Connections;
          const old = yield* makeDay(-8);
          yield* write("old", -8);
          const refused = yield* apart.withTransaction(
            Effect.gen(function* () {
              // As a dump does, or a reader who takes an hour.
              yield* apart.unsafe(`SELECT count(*) FROM ${old}`);
              const error = yield* Effect.flip(
                Effect.gen(function* () {
                  const sql = yield* SqlClient.SqlClient;
                  yield* EventDays.keep(sql, retention);
                }),
              );
              // Others are held up for no longer than it waited.
              yield* repository.insert(newOrder("A"), partition);
              return error;
            }),
          );
          assert.include(JSON.stringify(refused), "55P03");
          assert.deepStrictEqual(yield* days, [old]);
          yield* log.keepDays(retention);
          assert.notInclude(yield* days, old);
          assert.lengthOf(yield* days, 7);
        }).pipe(Effect.scoped),
    );

    it.effect("who keep them at the same time leave it to the first", () =>
      Effect.gen(function* () {
        const { keep } = yield* fresh;
        const { apart } = yield* Connections;
        yield* apart.withTransaction(
          Effect.gen(function* () {
            yield* EventDays.keep(apart, retention);
            // It neither waits nor does anything.
            yield* keep;
          }),
        );
        assert.deepStrictEqual(yield* days, yield* ahead);
      }).pipe(Effect.scoped),
    );

    it.effect(
      "who publish all tables stop neither the days nor the archive",
      () =>
        Effect.gen(function* () {
          const { keep, sql } = yield* fresh;
          yield* keep;
          yield* makeDay(-8);
          yield* write("a day old enough to drop", -8);
          yield* write("in no day", -9);
          const keyless = yield* sql<{ name: string }>`
          SELECT c.oid::regclass::text AS name FROM pg_class AS c
          WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_index AS i
              WHERE i.indrelid = c.oid AND i.indisprimary) ORDER BY 1`;
          assert.deepStrictEqual(keyless, []);
          yield* sql`CREATE PUBLICATION everything FOR ALL TABLES`;
          yield* keep;
          const [left] = yield* sql<{ count: bigint }>`
          SELECT count(*) AS count FROM order_events`;
          assert.strictEqual(Number(left?.count), 0);
          yield* (yield* OrderArchive).claim;
        }).pipe(
          Effect.provide(OrderRepositorySql.layer),
          Effect.ensuring(
            Effect.ignore(
              Effect.flatMap(
                SqlClient.SqlClient,
                (sql) => sql`DROP PUBLICATION everything`,
              ),
            ),
          ),
          Effect.scoped,
        ),
    );
  });
});
