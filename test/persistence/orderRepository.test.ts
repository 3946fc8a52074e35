/** The one conformance suite, over every repository of orders there is. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Context, Duration, Effect, Layer } from "effect";
import { SqlClient } from "effect/sql";
import { TestClock } from "effect/testing";
import { Database } from "../../src/persistence/Database.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as Embedded from "../../src/runtime/Embedded.ts";
import * as TestDatabase from "../support/testDatabase.ts";
import { orderRepositorySuite, Subject } from "./orderRepositorySuite.ts";

const memory = Layer.succeed(Subject, {
  fresh: Effect.map(
    Layer.build(Layer.fresh(OrderRepositoryMemory.layer)),
    Context.get(OrderRepository),
  ),
  pass: TestClock.adjust,
});

const sql = Layer.effect(
  Subject,
  Effect.gen(function* () {
    const client = yield* SqlClient.SqlClient;
    const database = yield* Database;
    const repository = yield* OrderRepository;
    yield* database.migrated;
    return {
      fresh: Effect.gen(function* () {
        yield* client`TRUNCATE orders`;
        yield* client`UPDATE order_statistics SET accepted = 0, pending = 0, processing = 0,
          completed = 0, failed = 0, cancelled = 0, processing_seconds = 0`;
        yield* client`UPDATE partition_owners SET epoch = 0`;
        return repository;
      }).pipe(Effect.orDie),
      pass: (time) =>
        client`SELECT pg_sleep(${Duration.toSeconds(Duration.fromInputUnsafe(time))}::float8)`.pipe(
          Effect.orDie,
        ),
    };
  }),
).pipe(Layer.provide(OrderRepositorySql.layer), Layer.provide(Database.layer));

const embedded = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "orders-embedded-"))),
      (dataDir) => Effect.promise(() => rm(dataDir, { recursive: true })),
    ),
    (dataDir) => Embedded.layer({ dataDir }),
  ),
);

orderRepositorySuite("OrderRepositoryMemory", memory, {
  runs: 200,
  isOnTestClock: true,
});

orderRepositorySuite(
  "OrderRepositorySql on PostgreSQL",
  Layer.provide(sql, TestDatabase.layerSql),
  { runs: 40, isOnTestClock: false },
);

orderRepositorySuite(
  "OrderRepositorySql on the embedded database",
  Layer.provide(sql, embedded),
  { runs: 20, isOnTestClock: false },
);
