/** Exports over orders in memory, on the test's clock. */
import { assert, describe, it } from "@effect/vitest";
import {
  Context,
  Effect,
  Exit,
  Fiber,
  Layer,
  Queue,
  Scope,
  Stream,
} from "effect";
import { TestClock } from "effect/testing";
import type { Order } from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import {
  type ExportQuery,
  exportsMax,
  OrderExports,
} from "../../src/orders/OrderExports.ts";
import { WritesEvents } from "../../src/persistence/EventLog.ts";
import {
  OrderRepository,
  RepositoryUnavailable,
} from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import { id, newOrder } from "../persistence/orderRepositorySuite.ts";
import { beginOne, completeOne } from "../support/oneOrder.ts";

const partition = Partition.make(3);

const room = Effect.fnUntraced(function* () {
  let reads = 0;
  const isAway = { now: false };
  const watched = Layer.effect(
    OrderRepository,
    Effect.map(OrderRepository, (repository) => ({
      ...repository,
      list: (query: Parameters<typeof repository.list>[0]) =>
        Effect.suspend(() => {
          reads += 1;
          return isAway.now
            ? Effect.fail(new RepositoryUnavailable({ reason: "away" }))
            : // Short pages, so that few orders are many.
              repository.list({ ...query, limit: Math.min(query.limit, 10) });
        }),
    })),
  );
  const context = yield* OrderExports.layer.pipe(
    Layer.provide(watched),
    Layer.provideMerge(OrderRepositoryMemory.layer),
    Layer.provide(Layer.succeed(WritesEvents, false)),
    Layer.fresh,
    Layer.build,
  );
  const repository = Context.get(context, OrderRepository);
  const exports = Context.get(context, OrderExports);
  const place = (name: string) =>
    Effect.orDie(repository.insert(newOrder(name), partition));
  return {
    exports,
    repository,
    isAway,
    reads: () => reads,
    /** Until the database has been asked for so many pages. */
    untilReads: (count: number) =>
      Effect.repeat(Effect.yieldNow, { until: () => reads >= count }),
    place,
    placeMany: (count: number, prefix = "A") =>
      Effect.forEach(Array.from({ length: count }), (_, index) =>
        place(`${prefix}${index}`),
      ),
    complete: (name: string) =>
      Effect.gen(function* () {
        const begun = yield* beginOne(repository, id(name), 0);
        if (begun._tag === "None") return;
        const { attempt } = begun.value;
        yield* completeOne(repository, { order_id: id(name), attempt });
      }),
    /** Exports, and gives a page each time it is asked for one. */
    read: Effect.fnUntraced(function* (query: ExportQuery = {}) {
      const pages = yield* Queue.bounded<ReadonlyArray<Order>>(1);
      const stream = yield* exports.open(query);
      const fiber = yield* stream.pipe(
        Stream.runForEach((orders) => Queue.offer(pages, orders)),
        Effect.forkScoped,
      );
      return { page: Queue.take(pages), fiber };
    }),
  };
});

const names = (orders: ReadonlyArray<Order>) =>
  orders.map(({ order_id }) => String(order_id));

/** An export that nobody reads. */
const opened = Effect.fnUntraced(function* (exports: OrderExports["Service"]) {
  const scope = yield* Scope.make();
  yield* Scope.provide(exports.open({}), scope);
  return Scope.close(scope, Exit.void);
});

describe("exports", () => {
  it.effect("give each order once, though orders come and change", () =>
    Effect.gen(function* () {
      const { complete, place, placeMany, read } = yield* room();
      yield* placeMany(55);
      const { fiber, page } = yield* read();
      const seen: Array<string> = [];
      for (let turn = 0; turn < 6; turn += 1) {
        seen.push(...names(yield* page));
        yield* place(`B${turn}`);
        // One that was given, one of the next page, one of the last.
        for (const at of [54 - turn * 10, 40 - turn * 8, turn]) {
          yield* complete(`A${at}`);
        }
      }
      yield* Fiber.join(fiber);
      assert.deepStrictEqual(
        seen,
        Array.from({ length: 55 }, (_, index) => `A${54 - index}`),
      );
    }),
  );

  it.effect("give what passes a filter, none of the pages empty", () =>
    Effect.gen(function* () {
      const { complete, placeMany, read, repository } = yield* room();
      yield* placeMany(30);
      for (const name of ["A1", "A17"]) yield* complete(name);
      const all = yield* read({ status: ["COMPLETED"] });
      assert.deepStrictEqual(names(yield* all.page), ["A17", "A1"]);
      yield* Fiber.join(all.fiber);
      const none = yield* read({ status: ["FAILED"] });
      yield* Fiber.join(none.fiber);
      assert.isFalse(yield* Effect.map(repository.isEmpty, (_) => _));
    }),
  );

  it.effect("read one page ahead of their reader, and no more", () =>
    Effect.gen(function* () {
      const { placeMany, read, reads } = yield* room();
      yield* placeMany(200);
      const { fiber } = yield* read();
      // One waits in the queue, one to get into it, one is ahead.
      yield* TestClock.adjust("10 seconds");
      assert.strictEqual(reads(), 3);
      assert.isUndefined(fiber.pollUnsafe());
    }),
  );

  it.effect("end a reader who does not take a page in time", () =>
    Effect.gen(function* () {
      const { exports, placeMany, read } = yield* room();
      yield* placeMany(200);
      const slow = yield* read();
      yield* TestClock.adjust("50 seconds");
      yield* slow.page;
      yield* TestClock.adjust("50 seconds");
      assert.isUndefined(slow.fiber.pollUnsafe(), "it was read meanwhile");
      yield* TestClock.adjust("20 seconds");
      const exit = slow.fiber.pollUnsafe();
      assert.isTrue(exit !== undefined && Exit.hasInterrupts(exit));
      yield* opened(exports);
    }),
  );

  it.effect("wait for a database that is away for seconds", () =>
    Effect.gen(function* () {
      const { isAway, placeMany, read, untilReads } = yield* room();
      yield* placeMany(40);
      const { fiber, page } = yield* read();
      yield* untilReads(3);
      isAway.now = true;
      const seen = names(yield* page);
      seen.push(...names(yield* page));
      seen.push(...names(yield* page));
      yield* TestClock.adjust("3 seconds");
      isAway.now = false;
      yield* TestClock.adjust("5 seconds");
      seen.push(...names(yield* page));
      yield* Fiber.join(fiber);
      assert.lengthOf(new Set(seen), 40);
    }),
  );

  it.effect(
    "fail where it stays away, and do not end as if that were all",
    () =>
      Effect.gen(function* () {
        const { isAway, placeMany, read, untilReads } = yield* room();
        yield* placeMany(40);
        const { fiber, page } = yield* read();
        yield* untilReads(3);
        isAway.now = true;
        for (const _ of [1, 2, 3]) yield* page;
        yield* TestClock.adjust("20 seconds");
        const exit = yield* Fiber.await(fiber);
        assert.isTrue(Exit.isFailure(exit) && !Exit.hasInterrupts(exit));
      }),
  );

  it.effect("say at once that the database is away before the first page", () =>
    Effect.gen(function* () {
      const { exports, isAway } = yield* room();
      isAway.now = true;
      const error = yield* Effect.flip(Effect.scoped(exports.open({})));
      assert.strictEqual(error._tag, "RepositoryUnavailable");
      isAway.now = false;
      // It counts no more.
      for (let n = 0; n < exportsMax; n += 1) yield* opened(exports);
    }),
  );

  it.effect("are so many at once, and then as many again", () =>
    Effect.gen(function* () {
      const { exports } = yield* room();
      const open = yield* Effect.forEach(
        Array.from({ length: exportsMax }),
        () => opened(exports),
      );
      const error = yield* Effect.flip(Effect.scoped(exports.open({})));
      assert.strictEqual(error._tag, "TooManyExports");
      yield* open[0] ?? Effect.void;
      yield* opened(exports);
      yield* Effect.flip(Effect.scoped(exports.open({})));
    }),
  );
});
