/** The one suite, over every archive there is. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Context, Effect, Layer } from "effect";
import { TestClock } from "effect/testing";
import { Connections } from "../../src/persistence/Connections.ts";
import { OrderArchive } from "../../src/persistence/OrderArchive.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import * as Embedded from "../../src/platform/Embedded.ts";
import * as TestDatabase from "../support/testDatabase.ts";
import { orderArchiveSuite, Subject } from "./orderArchiveSuite.ts";
import { sqlArchiveSubject } from "./sqlSubject.ts";

const memory = Layer.succeed(Subject, {
  fresh: Effect.map(
    Layer.build(Layer.fresh(OrderRepositoryMemory.layer)),
    (context) => ({
      repository: Context.get(context, OrderRepository),
      archive: Context.get(context, OrderArchive),
    }),
  ),
  pass: TestClock.adjust,
});

const embedded = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "orders-embedded-"))),
      (dataDir) => Effect.promise(() => rm(dataDir, { recursive: true })),
    ),
    (dataDir) =>
      Layer.provideMerge(Connections.layerShared, Embedded.layer({ dataDir })),
  ),
);

orderArchiveSuite("OrderRepositoryMemory", memory, { isOnTestClock: true });

orderArchiveSuite(
  "OrderRepositorySql on PostgreSQL",
  Layer.provide(sqlArchiveSubject, TestDatabase.layerSql),
  { isOnTestClock: false },
);

orderArchiveSuite(
  "OrderRepositorySql on the embedded database",
  Layer.provide(sqlArchiveSubject, embedded),
  { isOnTestClock: false },
);
