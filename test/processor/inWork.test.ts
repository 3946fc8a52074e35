import { assert, describe, it } from "@effect/vitest";
import { Deferred, Duration, Effect, Fiber, Semaphore } from "effect";
import { TestClock } from "effect/testing";
import { OrderId } from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import type { DueOrder } from "../../src/persistence/OrderRepository.ts";
import * as ByteBudget from "../../src/processor/ByteBudget.ts";
import * as Gate from "../../src/processor/Gate.ts";
import * as Intake from "../../src/processor/Intake.ts";
import * as InWork from "../../src/processor/InWork.ts";

const due = (order_id: string, item_bytes = 10): DueOrder => ({
  order_id: OrderId.make(order_id),
  item_bytes,
});

const names = (dues: ReadonlyArray<DueOrder>) =>
  dues.map(({ order_id }) => order_id);

/** What is in work, with all that it holds of. */
const make = Effect.fnUntraced(function* (
  mailbox: ReadonlyArray<DueOrder>,
  { bytesMax = 1000, permitsMax = 100 } = {},
) {
  const intake = yield* Intake.make(Partition.make(5), {
    readAside: () => Effect.die("nobody reads"),
    readLog: () => Effect.die("nobody reads"),
  });
  const permits = yield* Semaphore.make(permitsMax);
  const bytes = ByteBudget.make(bytesMax);
  const gate = yield* Gate.make;
  let dropped = 0;
  const inWork = yield* InWork.make({
    intake,
    permits,
    bytes,
    gate,
    onOver: () => {},
    onDropped: () => {
      dropped += 1;
    },
  });
  for (const one of mailbox) intake.handOver(one);
  return {
    intake,
    gate,
    dropped: () => dropped,
    take: Effect.uninterruptibleMask(inWork.take),
    start: inWork.start,
    drain: inWork.drain,
    /** What is left of the permits and of the bytes. */
    arePermitsLeft: (n: number) =>
      Effect.tap(permits.takeIfAvailable(n), (taken) =>
        taken ? permits.release(n) : Effect.void,
      ),
    areBytesLeft: (n: number) => {
      const taken = bytes.takeNow(n);
      if (taken) bytes.release(n);
      return taken;
    },
  };
});

describe("orders in work", () => {
  it.effect("are taken together, oldest first, as far as permits go", () =>
    Effect.gen(function* () {
      const { arePermitsLeft, take } = yield* make(
        ["A", "B", "C", "D"].map((name) => due(name)),
        { permitsMax: 3 },
      );
      assert.deepStrictEqual(names(yield* take), ["A", "B", "C"]);
      assert.isFalse(yield* arePermitsLeft(1));
    }),
  );

  it.effect("are so many together at most", () =>
    Effect.gen(function* () {
      const { take } = yield* make(
        Array.from({ length: 100 }, (_, index) => due(`A${index}`)),
        { permitsMax: 200, bytesMax: 10_000 },
      );
      assert.strictEqual((yield* take).length, 64);
      assert.strictEqual((yield* take).length, 36);
    }),
  );

  it.effect("are together only as far as their bytes go", () =>
    Effect.gen(function* () {
      const { arePermitsLeft, areBytesLeft, intake, take } = yield* make(
        [due("A", 400), due("B", 500), due("C", 300), due("D", 1)],
        { permitsMax: 3 },
      );
      assert.deepStrictEqual(names(yield* take), ["A", "B"]);
      assert.isTrue(yield* arePermitsLeft(1), "none is kept for C");
      assert.isTrue(areBytesLeft(100));
      assert.isFalse(areBytesLeft(101));
      assert.strictEqual(intake.depth(), 2, "C is still the oldest");
      assert.strictEqual(intake.inWork(), 2);
    }),
  );

  it.effect("wait for room in the order in which they came", () =>
    Effect.gen(function* () {
      const { start, take } = yield* make([
        due("A", 400),
        due("B", 500),
        due("C", 300),
        due("D", 1),
      ]);
      const first = yield* take;
      const second = yield* Effect.forkChild(take, { startImmediately: true });
      yield* TestClock.adjust(0);
      assert.isUndefined(second.pollUnsafe());
      yield* start(first, () => Effect.void);
      assert.deepStrictEqual(names(yield* Fiber.join(second)), ["C", "D"]);
    }),
  );

  it.effect("larger than others may be are alone", () =>
    Effect.gen(function* () {
      const { take } = yield* make(
        [due("large", 300_000), due("A"), due("B")],
        { bytesMax: 1_000_000 },
      );
      assert.deepStrictEqual(names(yield* take), ["large"]);
      assert.deepStrictEqual(names(yield* take), ["A", "B"]);
    }),
  );

  it.effect("are not taken while the gate is closed", () =>
    Effect.gen(function* () {
      const { gate, take } = yield* make([due("A")]);
      yield* gate.closeFor(Duration.seconds(5));
      const taking = yield* Effect.forkChild(take, { startImmediately: true });
      yield* TestClock.adjust("4 seconds");
      assert.isUndefined(taking.pollUnsafe());
      yield* TestClock.adjust("1 second");
      assert.deepStrictEqual(names(yield* Fiber.join(taking)), ["A"]);
    }),
  );

  it.effect("give back what they hold when they are over, each its own", () =>
    Effect.gen(function* () {
      const { areBytesLeft, arePermitsLeft, intake, start, take } = yield* make(
        [due("A"), due("slow"), due("B")],
        { permitsMax: 3, bytesMax: 30 },
      );
      const dues = yield* take;
      const done = yield* Deferred.make<void>();
      yield* start(dues, (apart) =>
        apart(dues[1] as DueOrder, Deferred.await(done)),
      );
      yield* TestClock.adjust(0);
      assert.strictEqual(intake.inWork(), 1, "A and B are over");
      assert.isTrue(yield* arePermitsLeft(2));
      assert.isFalse(yield* arePermitsLeft(3));
      assert.isTrue(areBytesLeft(20));
      assert.isFalse(areBytesLeft(21));
      yield* Deferred.succeed(done, undefined);
      yield* TestClock.adjust(0);
      assert.strictEqual(intake.inWork(), 0);
      assert.isTrue(yield* arePermitsLeft(3));
      assert.isTrue(areBytesLeft(30));
    }),
  );

  it.effect("give back what they hold when a defect of ours drops them", () =>
    Effect.gen(function* () {
      const { arePermitsLeft, dropped, intake, start, take } = yield* make(
        [due("A"), due("B")],
        { permitsMax: 2 },
      );
      yield* start(yield* take, () => Effect.die(new Error("a bug")));
      yield* TestClock.adjust(0);
      assert.strictEqual(dropped(), 1);
      assert.strictEqual(intake.inWork(), 0);
      assert.isTrue(yield* arePermitsLeft(2));
    }),
  );

  it.effect("hold nothing when nobody waits for their room any more", () =>
    Effect.gen(function* () {
      const { arePermitsLeft, areBytesLeft, intake, start, take } = yield* make(
        [due("A", 900), due("B", 900)],
        { permitsMax: 2 },
      );
      const first = yield* take;
      const second = yield* Effect.forkChild(take, { startImmediately: true });
      yield* TestClock.adjust(0);
      yield* Fiber.interrupt(second);
      assert.isTrue(yield* arePermitsLeft(1));
      assert.strictEqual(intake.inWork(), 1);
      yield* start(first, () => Effect.void);
      yield* TestClock.adjust(0);
      assert.isTrue(areBytesLeft(1000));
    }),
  );

  it.effect("are waited for, then ended, when the actor is to stop", () =>
    Effect.gen(function* () {
      const { drain, intake, start, take } = yield* make([
        due("quick"),
        due("slow"),
        due("too late"),
      ]);
      const ended: Array<string> = [];
      const dues = (yield* take).slice(0, 2);
      yield* start(dues, (apart) =>
        Effect.forEach(
          dues,
          (one) =>
            apart(
              one,
              Effect.sleep(
                one.order_id === "quick" ? "1 second" : "1 hour",
              ).pipe(
                Effect.onExit((exit) =>
                  Effect.sync(() => ended.push(`${one.order_id} ${exit._tag}`)),
                ),
              ),
            ),
          { discard: true },
        ),
      );
      const draining = yield* Effect.forkChild(
        drain(() => Duration.seconds(20)),
        { startImmediately: true },
      );
      yield* TestClock.adjust("19 seconds");
      assert.deepStrictEqual(ended, ["quick Success"]);
      yield* TestClock.adjust("1 second");
      yield* Fiber.join(draining);
      assert.deepStrictEqual(ended, ["quick Success", "slow Failure"]);
      intake.handOver(due("new"));
      assert.deepStrictEqual(yield* take, []);
    }),
  );
});
