/** The one conformance suite, over every store of subscriptions there is. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Context, Duration, Effect, Layer } from "effect";
import { SqlClient } from "effect/sql";
import { TestClock } from "effect/testing";
import { Connections } from "../../src/persistence/Connections.ts";
import { Database } from "../../src/persistence/Database.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import { SubscriptionStore } from "../../src/persistence/SubscriptionStore.ts";
import * as SubscriptionStoreMemory from "../../src/persistence/SubscriptionStoreMemory.ts";
import * as SubscriptionStoreSql from "../../src/persistence/SubscriptionStoreSql.ts";
import * as Embedded from "../../src/platform/Embedded.ts";
import * as TestDatabase from "../support/testDatabase.ts";
import {
  StoreSubject,
  subscriptionStoreSuite,
} from "./subscriptionStoreSuite.ts";

const storesIn = (
  context: Context.Context<SubscriptionStore | OrderRepository>,
) => ({
  store: Context.get(context, SubscriptionStore),
  other: Context.get(context, SubscriptionStore),
  repository: Context.get(context, OrderRepository),
});

const memory = Layer.succeed(StoreSubject, {
  fresh: Effect.map(
    Layer.build(
      Layer.fresh(
        Layer.provideMerge(
          SubscriptionStoreMemory.layer,
          OrderRepositoryMemory.layer,
        ),
      ),
    ),
    storesIn,
  ),
  pass: TestClock.adjust,
});

const sql = Layer.effect(
  StoreSubject,
  Effect.gen(function* () {
    const client = yield* SqlClient.SqlClient;
    const context = yield* Effect.context<
      SubscriptionStore | OrderRepository | Connections | Database
    >();
    yield* (yield* Database).migrated;
    return {
      fresh: Effect.gen(function* () {
        yield* client`TRUNCATE orders CASCADE`;
        yield* client`TRUNCATE order_events, subscriptions`;
        const other = yield* Layer.build(
          Layer.fresh(SubscriptionStoreSql.layer),
        );
        return {
          ...storesIn(context),
          other: Context.get(other, SubscriptionStore),
        };
      }).pipe(Effect.provideContext(context), Effect.orDie),
      pass: (time) =>
        client`SELECT pg_sleep(${Duration.toSeconds(Duration.fromInputUnsafe(time))}::float8)`.pipe(
          Effect.orDie,
        ),
    };
  }),
).pipe(
  Layer.provide([OrderRepositorySql.layer, SubscriptionStoreSql.layer]),
  Layer.provide(Database.layer),
);

const embedded = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "subscriptions-"))),
      (dataDir) => Effect.promise(() => rm(dataDir, { recursive: true })),
    ),
    (dataDir) =>
      Layer.provideMerge(Connections.layerShared, Embedded.layer({ dataDir })),
  ),
);

subscriptionStoreSuite("SubscriptionStoreMemory", memory, {
  isOnTestClock: true,
});

subscriptionStoreSuite(
  "SubscriptionStoreSql on PostgreSQL",
  Layer.provide(sql, TestDatabase.layerSql),
  { isOnTestClock: false },
);

subscriptionStoreSuite(
  "SubscriptionStoreSql on the embedded database",
  Layer.provide(sql, embedded),
  { isOnTestClock: false },
);
