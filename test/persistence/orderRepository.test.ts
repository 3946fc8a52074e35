/** The one conformance suite, over every repository of orders there is. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Clock, Context, Duration, Effect, Layer } from "effect";
import { TestClock } from "effect/testing";
import { Connections } from "../../src/persistence/Connections.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import * as Embedded from "../../src/platform/Embedded.ts";
import * as TestDatabase from "../support/testDatabase.ts";
import { orderRepositorySuite, Subject } from "./orderRepositorySuite.ts";
import { sqlSubject } from "./sqlSubject.ts";

const memory = Layer.succeed(Subject, {
  fresh: Effect.map(
    Layer.build(Layer.fresh(OrderRepositoryMemory.layer)),
    Context.get(OrderRepository),
  ),
  pass: TestClock.adjust,
  setBack: (time) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      TestClock.setTime(now - Duration.toMillis(time)),
    ),
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

orderRepositorySuite("OrderRepositoryMemory", memory, {
  runs: 200,
  isOnTestClock: true,
});

orderRepositorySuite(
  "OrderRepositorySql on PostgreSQL",
  Layer.provide(sqlSubject, TestDatabase.layerSql),
  { runs: 40, isOnTestClock: false },
);

orderRepositorySuite(
  "OrderRepositorySql on the embedded database",
  Layer.provide(sqlSubject, embedded),
  { runs: 20, isOnTestClock: false },
);
