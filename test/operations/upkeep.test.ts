/** Upkeep that has not succeeded for long: shown, logged, measured, and no more. */
import { assert, describe, it } from "@effect/vitest";
import { Duration, Effect, Fiber, Layer, Logger, Metric, Ref } from "effect";
import { TestClock } from "effect/testing";
import { Partition } from "../../src/domain/Partition.ts";
import * as EventUpkeep from "../../src/operations/EventUpkeep.ts";
import { Readiness } from "../../src/orders/Readiness.ts";
import { Database } from "../../src/persistence/Database.ts";
import { EventLog } from "../../src/persistence/EventLog.ts";
import { RepositoryUnavailable } from "../../src/persistence/OrderRepository.ts";
import { OrderProcessor } from "../../src/processor/OrderProcessor.ts";
import { UnreadOrders } from "../../src/processor/UnreadOrders.ts";
import * as Upkeep from "../../src/processor/Upkeep.ts";

const denied = new RepositoryUnavailable({
  reason: "the role of DATABASE_URL may not do that (42501)",
});

/** An instance that looks after days, which fail with what is set. */
const world = Effect.gen(function* () {
  const fault = yield* Ref.make<"none" | "denied" | "a defect">("none");
  const keepDays = () =>
    Effect.flatMap(Ref.get(fault), (now) => {
      if (now === "denied") return Effect.fail(denied);
      return now === "none" ? Effect.void : Effect.die(now);
    });
  const lines: Array<string> = [];
  const context = yield* EventUpkeep.layer(Duration.days(7)).pipe(
    Layer.provideMerge(Readiness.layer),
    Layer.provideMerge(Upkeep.layer),
    Layer.provide([
      Database.layerMemory,
      Layer.mock(EventLog, {
        isOn: true,
        keepDays,
        heldUpSeconds: Effect.succeed(0),
      }),
      Layer.mock(UnreadOrders, { found: () => 0, stuck: () => 0 }),
      Layer.mock(OrderProcessor, {
        choosePartition: () => Partition.make(0),
        handOver: () => {},
        status: () => ({
          owned: [Partition.make(0)],
          down: [],
          stalled: [],
          inWork: 0,
          mailboxDepth: 0,
        }),
      }),
    ]),
    Layer.build,
    Effect.provide(
      Logger.layer([
        Logger.make(({ logLevel, message }) => {
          lines.push(`${logLevel} ${(message as ReadonlyArray<string>)[0]}`);
        }),
      ]),
    ),
  );
  const overdue = Effect.flatMap(Upkeep.Upkeep, (upkeep) => upkeep.overdue);
  return {
    fault,
    lines,
    texts: Effect.map(overdue, (all) => all.map(({ text }) => text)).pipe(
      Effect.provideContext(context),
    ),
    check: Effect.flatMap(Readiness, ({ check }) => check).pipe(
      Effect.provideContext(context),
    ),
  };
});

const seconds = (kind: string) =>
  Effect.map(
    Metric.value(Metric.withAttributes(Upkeep.overdueSeconds, { kind })),
    ({ value }) => value,
  );

const text =
  "The tables for the days of events have not been looked after for 60 minutes: the role of DATABASE_URL may not do that (42501). Events are still written, and old ones are not dropped. The role of DATABASE_URL must own the tables, and nobody may hold them for long.";

describe("upkeep", () => {
  it.effect("is overdue after an hour without success, and no sooner", () =>
    Effect.gen(function* () {
      const { fault, lines, texts } = yield* world;
      yield* TestClock.adjust("59 seconds");
      yield* Ref.set(fault, "denied");
      yield* TestClock.adjust("59 minutes");
      assert.deepStrictEqual(yield* texts, []);
      assert.strictEqual(yield* seconds("event_days"), 0);
      yield* TestClock.adjust("20 seconds");
      assert.deepStrictEqual(yield* texts, [text]);
      assert.isAbove(yield* seconds("event_days"), 3600);
      assert.deepStrictEqual(lines, [`Warn ${text}`]);
      yield* Ref.set(fault, "none");
      yield* TestClock.adjust("10 minutes");
      assert.deepStrictEqual(yield* texts, []);
      assert.strictEqual(yield* seconds("event_days"), 0);
      assert.deepStrictEqual(lines.slice(1), [
        "Info upkeep is no longer overdue here",
      ]);
    }),
  );

  it.effect("goes on after a defect, which is logged once", () =>
    Effect.gen(function* () {
      const { fault, lines, texts } = yield* world;
      yield* Ref.set(fault, "a defect");
      yield* TestClock.adjust("2 hours");
      assert.include((yield* texts)[0], "an error that stands in the log");
      assert.deepStrictEqual(
        lines.filter((line) => line === "Warn upkeep failed"),
        ["Warn upkeep failed"],
      );
      yield* Ref.set(fault, "none");
      yield* TestClock.adjust("10 minutes");
      assert.deepStrictEqual(yield* texts, []);
    }),
  );

  it.effect("that is overdue is named by readiness, which stays ready", () =>
    Effect.gen(function* () {
      const { check, fault } = yield* world;
      yield* Ref.set(fault, "denied");
      assert.deepStrictEqual((yield* check).upkeep, []);
      yield* TestClock.adjust("61 minutes");
      assert.lengthOf((yield* check).upkeep, 1);
    }),
  );

  it.effect("is overdue only where it is done", () =>
    Effect.gen(function* () {
      const upkeep = Upkeep.make();
      const fiber = yield* Effect.forkChild(
        upkeep.during("archive", Effect.never),
        { startImmediately: true },
      );
      yield* TestClock.adjust("6 minutes");
      assert.lengthOf(yield* upkeep.overdue, 1);
      yield* Fiber.interrupt(fiber);
      assert.deepStrictEqual(yield* upkeep.overdue, []);
    }),
  );

  it.effect("that takes long is not overdue before it fails", () =>
    Effect.gen(function* () {
      const upkeep = Upkeep.make();
      yield* Effect.forkChild(upkeep.during("row_count", Effect.never), {
        startImmediately: true,
      });
      yield* TestClock.adjust("5 hours");
      assert.deepStrictEqual(yield* upkeep.overdue, []);
    }),
  );
});
