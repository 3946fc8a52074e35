/**
 * This release on the database of the next one, as in the middle of a deploy,
 * or after a rollback. The next release is this one and a migration more, which
 * makes what `migrations/README.md` lets an expanding migration make.
 */
import { assert, describe, it } from "@effect/vitest";
import { Effect, Layer, Redacted } from "effect";
import { Migrator, SqlClient } from "effect/sql";
import {
  migrations,
  migrationsTable,
  newestMigration,
} from "../../src/persistence/Migrations.ts";
import * as Postgres from "../../src/platform/Postgres.ts";
import {
  spawnService,
  startService,
  until,
} from "../support/serviceProcess.ts";
import { layerSql, TestDatabase } from "../support/testDatabase.ts";
import { orderRepositorySuite } from "./orderRepositorySuite.ts";
import { sqlSubject } from "./sqlSubject.ts";

type Migration = Effect.Effect<void, unknown, SqlClient.SqlClient>;

const expand: Migration = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  yield* sql`SET LOCAL lock_timeout = '2s'`;
  yield* sql`ALTER TABLE orders
    ADD COLUMN note text,
    ADD COLUMN priority smallint NOT NULL DEFAULT 0`;
  yield* sql`CREATE INDEX orders_by_priority ON orders (priority, created_at)`;
  yield* sql`ALTER TABLE order_statistics
    ADD COLUMN expedited bigint NOT NULL DEFAULT 0`;
  yield* sql`CREATE TABLE order_notes (
    order_id text COLLATE "C" NOT NULL REFERENCES orders ON DELETE CASCADE,
    note text NOT NULL
  )`;
  yield* sql`ALTER TABLE orders ALTER COLUMN user_id DROP NOT NULL`;
});

const contract: Migration = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  yield* sql`ALTER TABLE orders RENAME COLUMN user_id TO customer_id`;
});

/** What a later release does to the database at its start. */
const migrateWith = (...later: ReadonlyArray<readonly [string, Migration]>) =>
  Migrator.make({})({
    table: migrationsTable,
    loader: Effect.map(migrations, (known) => [
      ...known,
      ...later.map(
        ([name, migration], index) =>
          [
            newestMigration + 1 + index,
            name,
            Effect.succeed(migration),
          ] as const,
      ),
    ]),
  });

/** Gives a database the schema of a later release. */
const migrated = Effect.fnUntraced(function* (
  url: string,
  ...later: ReadonlyArray<readonly [string, Migration]>
) {
  yield* Effect.provide(
    migrateWith(...later),
    Postgres.layer({ url: Redacted.make(url), poolSize: 1 }),
  );
});

const next = ["expand", expand] as const;
const afterNext = [`contract_needs_${newestMigration + 1}`, contract] as const;

orderRepositorySuite(
  "OrderRepositorySql on the next release's PostgreSQL",
  sqlSubject.pipe(
    Layer.provide(Layer.effectDiscard(migrateWith(next))),
    Layer.provide(layerSql),
  ),
  { runs: 10, isOnTestClock: false },
);

const place = (url: string, order_id: string) =>
  fetch(`${url}/api/orders/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      order_id,
      user_id: "USER001",
      item_ids: ["ITEM001"],
      total_amount: 19.9,
    }),
  });

const completed = (url: string, order_id: string) =>
  until(`${order_id} is COMPLETED`, async () => {
    const answer = await fetch(`${url}/api/orders/${order_id}/`);
    const { status } = (await answer.json()) as { readonly status: string };
    return status === "COMPLETED";
  });

const instance = (env: Record<string, string>) =>
  Effect.acquireRelease(
    Effect.promise(() => startService(env)),
    (started) => Effect.promise(() => started.stop("SIGKILL")),
  );

describe("an instance of this release", () => {
  it.live(
    "goes on, and starts again, when the next release has expanded the schema",
    () =>
      Effect.gen(function* () {
        const { url } = yield* TestDatabase;
        const env = { DATABASE_URL: url, PROCESSING_TIME: "10 millis" };
        const before = yield* instance(env);
        yield* Effect.promise(() => place(before.url, "BEFORE"));
        yield* Effect.promise(() => completed(before.url, "BEFORE"));

        yield* migrated(url, next);
        const placed = yield* Effect.promise(() => place(before.url, "DURING"));
        assert.strictEqual(placed.status, 201);
        yield* Effect.promise(() => completed(before.url, "DURING"));
        assert.strictEqual(yield* Effect.promise(() => before.stop()), 0);

        const after = yield* instance(env);
        assert.match(after.output(), /is at migration \d+.*only add/);
        const again = yield* Effect.promise(() => place(after.url, "DURING"));
        assert.strictEqual(again.status, 200);
        yield* Effect.promise(() => place(after.url, "AFTER"));
        yield* Effect.promise(() => completed(after.url, "AFTER"));
        const answer = yield* Effect.promise(() =>
          fetch(`${after.url}/api/orders/metrics/`),
        );
        assert.include(yield* Effect.promise(() => answer.json()), {
          total_orders_processed: 3,
        });
      }).pipe(Effect.provide(TestDatabase.layer)),
  );

  it.live(
    "ends in one line when the release after that has contracted it",
    () =>
      Effect.gen(function* () {
        const { url } = yield* TestDatabase;
        yield* migrated(url, next, afterNext);
        const { ended, output } = spawnService({
          DATABASE_URL: url,
          LOG_LEVEL: "None",
        });
        assert.strictEqual(yield* Effect.promise(() => ended), 1);
        assert.match(
          output().trim(),
          new RegExp(
            `^order-service: The database is at migration ${newestMigration + 2}, this release knows migrations up to ${newestMigration} and would have to know ${newestMigration + 1}: start a newer release.*$`,
          ),
        );
      }).pipe(Effect.provide(TestDatabase.layer)),
  );
});
