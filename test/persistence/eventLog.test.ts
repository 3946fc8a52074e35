/** The one conformance suite, over every log of events there is. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Context, Effect, Layer } from "effect";
import { TestClock } from "effect/testing";
import { Connections } from "../../src/persistence/Connections.ts";
import {
  EventLog,
  ThisInstance,
  WritesEvents,
} from "../../src/persistence/EventLog.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import * as Embedded from "../../src/platform/Embedded.ts";
import * as TestDatabase from "../support/testDatabase.ts";
import { sqlLogSubject } from "./eventLogSubject.ts";
import { eventLogSuite, instance, LogSubject } from "./eventLogSuite.ts";

const freshMemory = (writesEvents: boolean) =>
  Layer.fresh(OrderRepositoryMemory.layer).pipe(
    Layer.provide([
      Layer.succeed(WritesEvents, writesEvents),
      Layer.succeed(ThisInstance, instance),
    ]),
    Layer.build,
    Effect.map((context) => ({
      repository: Context.get(context, OrderRepository),
      log: Context.get(context, EventLog),
    })),
  );

const memory = Layer.succeed(LogSubject, {
  fresh: freshMemory(true),
  withoutEvents: freshMemory(false),
  pass: TestClock.adjust,
});

const embedded = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "orders-events-"))),
      (dataDir) => Effect.promise(() => rm(dataDir, { recursive: true })),
    ),
    (dataDir) =>
      Layer.provideMerge(Connections.layerShared, Embedded.layer({ dataDir })),
  ),
);

eventLogSuite("EventLog in memory", memory, { runs: 200, isOnTestClock: true });

eventLogSuite(
  "EventLog on PostgreSQL",
  Layer.provide(sqlLogSubject, TestDatabase.layerSql),
  { runs: 40, isOnTestClock: false },
);

eventLogSuite(
  "EventLog on the embedded database",
  Layer.provide(sqlLogSubject, embedded),
  { runs: 20, isOnTestClock: false },
);
