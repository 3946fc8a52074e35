/** The embedded database: PostgreSQL in this process, its data in a directory. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";
import { Effect, Exit, Layer } from "effect";
import { SqlClient } from "effect/sql";
import { TestClock } from "effect/testing";
import { Partition } from "../../src/domain/Partition.ts";
import { Connections } from "../../src/persistence/Connections.ts";
import { Database } from "../../src/persistence/Database.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as Embedded from "../../src/platform/Embedded.ts";
import { sessionSettings } from "../../src/platform/Postgres.ts";
import { beginOne } from "../support/oneOrder.ts";
import { assertTallyIsCount, newOrder, shown } from "./orderRepositorySuite.ts";

const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "orders-embedded-"))),
  (directory) => Effect.promise(() => rm(directory, { recursive: true })),
);

const opened = (dataDir: string) =>
  OrderRepositorySql.layer.pipe(
    Layer.provideMerge(Database.layer),
    Layer.provideMerge(Connections.layerShared),
    Layer.provideMerge(Embedded.layer({ dataDir })),
  );

const partition = Partition.make(3);

describe("the embedded database", () => {
  it.live("keeps its orders when it is closed and opened again", () =>
    Effect.gen(function* () {
      const dataDir = yield* temporaryDirectory;
      const before = yield* Effect.gen(function* () {
        const { migrated } = yield* Database;
        yield* migrated;
        const repository = yield* OrderRepository;
        yield* Effect.forEach(
          Array.from({ length: 100 }, (_, index) => newOrder(`A${index}`)),
          (order) => repository.insert(order, partition),
          { concurrency: "unbounded" },
        );
        const order = newOrder("A0");
        yield* beginOne(repository, order.order_id, 0);
        return (yield* repository.list({ limit: 500 })).orders.map(shown);
      }).pipe(Effect.provide(opened(dataDir)));
      assert.strictEqual(before.length, 100);

      yield* Effect.gen(function* () {
        const { migrated } = yield* Database;
        yield* migrated;
        const repository = yield* OrderRepository;
        const { orders } = yield* repository.list({ limit: 500 });
        assert.deepStrictEqual(orders.map(shown), before);
        yield* assertTallyIsCount(repository);
        assert.strictEqual((yield* repository.tally).counts.PROCESSING, 1);
      }).pipe(Effect.provide(opened(dataDir)));
    }),
  );

  it.live("is refused to a second one on the same directory", () =>
    Effect.gen(function* () {
      const dataDir = yield* temporaryDirectory;
      yield* Effect.gen(function* () {
        const second = yield* Effect.exit(
          Effect.scoped(Layer.build(Embedded.layer({ dataDir }))),
        );
        assert.isTrue(Exit.isFailure(second));
        assert.include(String(second), `uses the data in "${dataDir}"`);
        // The first goes on undisturbed.
        const sql = yield* SqlClient.SqlClient;
        assert.deepStrictEqual(yield* sql`SELECT 1 AS one`, [{ one: 1 }]);
      }).pipe(Effect.provide(Embedded.layer({ dataDir })));
      yield* Effect.scoped(Layer.build(Embedded.layer({ dataDir })));
    }),
  );

  it.effect("goes on when the client lets its connection go", () =>
    Effect.gen(function* () {
      const dataDir = yield* temporaryDirectory;
      yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient;
        for (let round = 0; round < 3; round++) {
          // Prepared under the same name each time, were it not forgotten.
          for (const [name, value] of Object.entries(sessionSettings)) {
            const rows = yield* sql<{ value: string }>`
              SELECT setting AS value FROM pg_settings WHERE name = ${name}::text`;
            assert.deepStrictEqual(rows, [{ value }], name);
          }
          yield* sql`SELECT ${round}::integer AS round`;
          yield* TestClock.adjust("5 minutes");
        }
      }).pipe(Effect.provide(Embedded.layer({ dataDir })));
    }),
  );

  it.live("undoes the transaction of a connection that is cut off", () =>
    Effect.gen(function* () {
      const dataDir = yield* temporaryDirectory;
      yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient;
        yield* sql`CREATE TABLE kept (value integer)`;
        yield* Effect.exit(
          sql.withTransaction(
            Effect.andThen(sql`INSERT INTO kept VALUES (1)`, Effect.interrupt),
          ),
        );
        yield* sql`INSERT INTO kept VALUES (2)`;
        assert.deepStrictEqual(yield* sql`SELECT value FROM kept`, [
          { value: 2 },
        ]);
      }).pipe(Effect.provide(Embedded.layer({ dataDir })));
    }),
  );

  it.live("takes and gives values of many megabytes", () =>
    Effect.gen(function* () {
      const dataDir = yield* temporaryDirectory;
      yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient;
        const large = "0123456789abcdef".repeat(2 ** 18);
        const rows = yield* sql<{
          value: string;
        }>`SELECT ${large}::text AS value`;
        assert.isTrue(rows[0]?.value === large);
      }).pipe(Effect.provide(Embedded.layer({ dataDir })));
    }),
  );
});
