/** Orders leave the table: what is on the disk by then, whoever dies meanwhile. */
import { readdir } from "node:fs/promises";
import { assert, describe, it } from "@effect/vitest";
import { DateTime, Duration, Effect, Fiber, Option, Schema } from "effect";
import { TestClock } from "effect/testing";
import { PlaceOrder } from "../../src/api/PlaceOrder.ts";
import { Order } from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { newOrder } from "../persistence/orderRepositorySuite.ts";
import { archiveWorld, linesIn } from "./archiveWorld.ts";

const partition = Partition.make(3);
const retention = Duration.hours(1);

type World = Effect.Success<typeof archiveWorld>;

/** Places orders, and cancels all but those that stay open. */
const placed = Effect.fnUntraced(function* (
  { repository }: World,
  names: ReadonlyArray<string>,
) {
  for (const name of names) {
    yield* repository.insert(newOrder(name), partition);
    if (!name.startsWith("OPEN")) yield* repository.cancel(name);
  }
});

const idsIn = (lines: ReadonlyArray<string>) =>
  lines.map((line) => JSON.parse(line).order_id as string);

/** Files are written by the machine's clock: the test's is moved on meanwhile. */
const passing = Effect.fnUntraced(function* (
  isOver: () => boolean,
  step: Duration.Input = "5 seconds",
) {
  for (let turn = 0; !isOver(); turn += 1) {
    if (turn > 20_000) throw new Error("in vain");
    yield* TestClock.adjust(step);
    yield* Effect.promise(() => new Promise(setImmediate));
  }
});

const leftIn = Effect.fnUntraced(function* ({ repository }: World) {
  const { archived } = yield* repository.tally;
  return archived;
});

/** Runs until all of `count` orders have left, or it is killed. */
const archive = Effect.fnUntraced(function* (world: World, count: number) {
  const fiber = yield* Effect.forkChild(
    Effect.scoped(world.process(retention)),
  );
  const isOver = () =>
    fiber.pollUnsafe() !== undefined || Effect.runSync(leftIn(world)) >= count;
  yield* passing(isOver);
  const isKilled = fiber.pollUnsafe() !== undefined;
  yield* Fiber.interrupt(fiber);
  return isKilled;
});

describe("archiving", () => {
  it.effect("has orders on the disk before they leave the table", () =>
    Effect.gen(function* () {
      const world = yield* archiveWorld;
      yield* placed(world, ["A", "OPEN", "B"]);
      yield* TestClock.adjust("2 hours");
      yield* archive(world, 2);
      assert.deepStrictEqual(world.happened, [
        "note file",
        "begin to write",
        "write",
        "sync file",
        "sync directory",
        "leave",
        "left",
      ]);
      const lines = yield* linesIn(world.directory);
      assert.deepStrictEqual(idsIn(lines), ["A", "B"]);
      const { orders } = yield* world.repository.list({ limit: 10 });
      assert.deepStrictEqual(
        orders.map((_) => _.order_id as string),
        ["OPEN"],
      );
    }),
  );

  it.effect("writes orders as the API answers them, and takes them in", () =>
    Effect.gen(function* () {
      const world = yield* archiveWorld;
      const items = [{ b: 1.5, a: "é\n" }, "x"];
      yield* world.repository.insert(
        newOrder("A", { item_ids: items, total_amount: 99_999_999.99 }),
        partition,
      );
      yield* world.repository.cancel("A");
      const before = Option.getOrThrow(yield* world.repository.find("A"));
      yield* TestClock.adjust("2 hours");
      yield* archive(world, 1);
      const [line = ""] = yield* linesIn(world.directory);
      const order = yield* Schema.decodeUnknownEffect(Order)(JSON.parse(line));
      assert.deepStrictEqual(
        { ...order, created_at: DateTime.formatIso(order.created_at) },
        { ...before, created_at: DateTime.formatIso(before.created_at) },
      );
      const again = yield* Schema.decodeUnknownEffect(PlaceOrder)(
        JSON.parse(line),
      );
      assert.deepStrictEqual(again, {
        ...newOrder("A", { item_ids: items, total_amount: 99_999_999.99 }),
      });
    }),
  );

  it.effect("lets orders stay for as long as they are kept", () =>
    Effect.gen(function* () {
      const world = yield* archiveWorld;
      yield* placed(world, ["A"]);
      const fiber = yield* Effect.forkChild(
        Effect.scoped(world.process(retention)),
      );
      yield* TestClock.adjust("59 minutes");
      assert.strictEqual(yield* leftIn(world), 0);
      yield* passing(() => Effect.runSync(leftIn(world)) === 1);
      yield* Fiber.interrupt(fiber);
    }),
  );

  it.effect("comes back for what was open when it went by", () =>
    Effect.gen(function* () {
      const world = yield* archiveWorld;
      yield* placed(world, ["OPEN", "A"]);
      yield* TestClock.adjust("2 hours");
      const fiber = yield* Effect.forkChild(
        Effect.scoped(world.process(retention)),
      );
      yield* passing(() => Effect.runSync(leftIn(world)) === 1);
      yield* world.repository.cancel("OPEN");
      yield* passing(() => Effect.runSync(leftIn(world)) === 2);
      yield* Fiber.interrupt(fiber);
      const lines = yield* linesIn(world.directory);
      assert.deepStrictEqual(idsIn(lines), ["A", "OPEN"]);
    }),
  );

  it.effect("begins a file for each day", () =>
    Effect.gen(function* () {
      const world = yield* archiveWorld;
      yield* TestClock.setTime(Date.UTC(2026, 10, 25, 22, 30));
      yield* placed(world, ["A"]);
      const fiber = yield* Effect.forkChild(
        Effect.scoped(world.process(retention)),
      );
      yield* passing(() => Effect.runSync(leftIn(world)) === 1);
      yield* placed(world, ["B"]);
      yield* passing(() => Effect.runSync(leftIn(world)) === 2);
      yield* Fiber.interrupt(fiber);
      const files = yield* Effect.promise(() => readdir(world.directory));
      const names = files.map((name) => name.slice(0, 17));
      assert.sameMembers(names, ["orders-2026-11-25", "orders-2026-11-26"]);
    }),
  );

  it.effect(
    "lets nothing leave while the disk is full, and goes on after",
    () =>
      Effect.gen(function* () {
        const world = yield* archiveWorld;
        yield* placed(world, ["A", "B"]);
        yield* TestClock.adjust("2 hours");
        world.isFull = true;
        const fiber = yield* Effect.forkChild(
          Effect.scoped(world.process(retention)),
        );
        const tries = () =>
          world.happened.filter((_) => _ === "begin to write").length;
        yield* passing(() => tries() >= 3);
        assert.strictEqual(yield* leftIn(world), 0);
        yield* TestClock.adjust("5 minutes");
        assert.match(
          (yield* world.upkeep.overdue)[0]?.text ?? "",
          /^No order could leave the table for \d+ minutes: the disk is full: make room on it\. Orders that are done stay/,
        );
        assert.notInclude(world.happened, "leave");
        world.isFull = false;
        yield* passing(() => Effect.runSync(leftIn(world)) === 2);
        assert.deepStrictEqual(yield* world.upkeep.overdue, []);
        yield* Fiber.interrupt(fiber);
        assert.deepStrictEqual(idsIn(yield* linesIn(world.directory)), [
          "A",
          "B",
        ]);
      }),
  );

  // Killed after each thing that happens, in turn, and again in what follows.
  it.live("has each order in one place, wherever it was killed", () =>
    Effect.gen(function* () {
      const names = Array.from({ length: 8 }, (_, n) => `A${n}`);
      for (let first = 0; first < 9; first += 1) {
        for (const more of [0, 1, 2, 3, 5]) {
          const lines = yield* Effect.gen(function* () {
            const world = yield* archiveWorld;
            yield* placed(world, names);
            yield* TestClock.adjust("2 hours");
            world.killAfter = first;
            yield* archive(world, names.length);
            yield* placed(world, ["LATER"]);
            yield* TestClock.adjust("2 hours");
            world.killAfter = world.happened.length + more;
            yield* archive(world, names.length + 1);
            world.killAfter = Number.POSITIVE_INFINITY;
            yield* archive(world, names.length + 1);
            assert.strictEqual(yield* leftIn(world), names.length + 1);
            // What a killed process left behind is cut off by the next.
            const fiber = yield* Effect.forkChild(
              Effect.scoped(world.process(retention)),
            );
            for (let turn = 0; turn < 50; turn += 1) {
              yield* TestClock.adjust("1 second");
              yield* Effect.promise(() => new Promise(setImmediate));
            }
            yield* Fiber.interrupt(fiber);
            return yield* linesIn(world.directory);
          }).pipe(Effect.provide(TestClock.layer()), Effect.scoped);
          assert.sameMembers(
            idsIn(lines),
            [...names, "LATER"],
            `killed after ${first}, then after ${more} more`,
          );
        }
      }
    }),
  );
});
