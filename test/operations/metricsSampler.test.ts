/** Samples of the counts: of all instances, once, and only by an owner. */
import { assert, describe, it } from "@effect/vitest";
import { DateTime, Effect, Fiber, Layer } from "effect";
import { TestClock } from "effect/testing";
import { Partition } from "../../src/domain/Partition.ts";
import { MetricsSampler } from "../../src/operations/MetricsSampler.ts";
import { Database } from "../../src/persistence/Database.ts";
import {
  OrderRepository,
  RepositoryUnavailable,
} from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import { ProcessingStore } from "../../src/persistence/ProcessingStore.ts";
import * as ProcessingStoreMemory from "../../src/persistence/ProcessingStoreMemory.ts";
import * as Upkeep from "../../src/processor/Upkeep.ts";

let isAway = false;

const world = MetricsSampler.layer.pipe(
  Layer.provideMerge(
    Layer.effect(
      OrderRepository,
      Effect.map(OrderRepository, (repository) => ({
        ...repository,
        tally: Effect.suspend(() =>
          isAway
            ? Effect.fail(new RepositoryUnavailable({ reason: "away" }))
            : repository.tally,
        ),
      })),
    ),
  ),
  Layer.provide(OrderRepositoryMemory.layer),
  Layer.provideMerge(ProcessingStoreMemory.layer),
  Layer.provide(Database.layerMemory),
  Layer.provideMerge(Upkeep.layer),
);

const secondsKept = Effect.gen(function* () {
  const store = yield* ProcessingStore;
  const kept = yield* store.history(DateTime.makeUnsafe(0), 10);
  return kept.map(({ at }) => at.epochMilliseconds / 1000);
});

describe("samples of the counts", () => {
  it.effect(
    "are kept every ten seconds, once where two believe to be owners",
    () =>
      Effect.gen(function* () {
        const sampler = yield* MetricsSampler;
        yield* TestClock.adjust("3 seconds");
        const one = yield* Effect.forkChild(sampler.run(Partition.make(0)));
        yield* Effect.forkChild(sampler.run(Partition.make(0)));
        yield* Effect.forkChild(sampler.run(Partition.make(1)));
        yield* TestClock.adjust("30 seconds");
        assert.deepStrictEqual(yield* secondsKept, [3, 10, 20, 30]);
        yield* Fiber.interrupt(one);
        yield* TestClock.adjust("10 seconds");
        assert.deepStrictEqual(yield* secondsKept, [3, 10, 20, 30, 40]);
      }).pipe(Effect.provide(world)),
  );

  it.effect("are not kept by who does not own the partition they go with", () =>
    Effect.gen(function* () {
      const sampler = yield* MetricsSampler;
      yield* Effect.forkChild(sampler.run(Partition.make(31)));
      yield* TestClock.adjust("1 minute");
      assert.deepStrictEqual(yield* secondsKept, []);
    }).pipe(Effect.provide(world)),
  );

  it.effect("are a gap while the database is away, and go on after it", () =>
    Effect.gen(function* () {
      const sampler = yield* MetricsSampler;
      yield* Effect.forkChild(sampler.run(Partition.make(0)));
      yield* TestClock.adjust("10 seconds");
      isAway = true;
      yield* TestClock.adjust("25 seconds");
      isAway = false;
      yield* TestClock.adjust("10 seconds");
      assert.deepStrictEqual(yield* secondsKept, [0, 10, 36, 40]);
      isAway = true;
      const { overdue } = yield* Upkeep.Upkeep;
      yield* TestClock.adjust("294 seconds");
      assert.deepStrictEqual(yield* overdue, []);
      yield* TestClock.adjust("10 seconds");
      assert.deepStrictEqual(
        (yield* overdue).map(({ kind }) => kind),
        ["samples"],
      );
      isAway = false;
      yield* TestClock.adjust("10 seconds");
      assert.deepStrictEqual(yield* overdue, []);
    }).pipe(Effect.provide(world)),
  );
});
