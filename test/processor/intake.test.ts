import { assert, describe, it } from "@effect/vitest";
import { Deferred, Effect, Fiber } from "effect";
import { OrderId } from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import type {
  LogPlace,
  LogRead,
  OpenOrder,
} from "../../src/persistence/OrderRepository.ts";
import * as Intake from "../../src/processor/Intake.ts";

const open = (seq: number): OpenOrder => ({
  order_id: OrderId.make(`A${seq}`),
  item_bytes: 0,
  seq: BigInt(seq),
  underway: undefined,
});

/** An intake over a log, with the places after which it was read. */
const make = Effect.fnUntraced(function* (
  log: () => ReadonlyArray<OpenOrder>,
  beforeAnswer: () => Effect.Effect<void> = () => Effect.void,
) {
  const asked: Array<LogPlace> = [];
  const intake = yield* Intake.make(Partition.make(5), {
    readAside: () => Effect.succeed([]),
    readLog: (_, after, limit) =>
      Effect.gen(function* () {
        asked.push(after);
        const ahead = log().filter(({ seq }) => seq > after);
        yield* beforeAnswer();
        const isEnd = ahead.length <= limit;
        const read = ahead.slice(0, limit);
        return {
          open: read,
          readTo: isEnd ? 5000n : (read.at(-1)?.seq ?? after),
          isEnd,
          settledTo: 0n,
        } satisfies LogRead;
      }),
  });
  return { ...intake, asked };
});

/** All orders that an actor gets, as it works them off one by one. */
const takenBy = Effect.fnUntraced(function* (intake: Intake.Intake) {
  const taken = new Set<string>();
  for (let reads = 0; reads < 20; reads += 1) {
    yield* intake.readOn;
    for (let one = intake.takeUnsafe(); one; one = intake.takeUnsafe()) {
      taken.add(one.order_id);
      intake.letGo(one.order_id);
    }
  }
  return taken;
});

describe("the intake", () => {
  it.effect("takes up all that appeared behind it, once told to", () =>
    Effect.gen(function* () {
      let log: ReadonlyArray<OpenOrder> = [];
      const intake = yield* make(() => log);
      yield* intake.readOn;
      assert.strictEqual(intake.readTo(), 5000n);
      log = Array.from({ length: 1000 }, (_, index) => open(index + 1));
      assert.strictEqual((yield* takenBy(intake)).size, 0);
      intake.readAgain(0n);
      // What lies ahead is read anyway.
      intake.readAgain(4999n);
      assert.strictEqual((yield* takenBy(intake)).size, 1000);
    }),
  );

  it.effect("goes back also when it is told to while it reads", () =>
    Effect.gen(function* () {
      const reading = yield* Deferred.make<void>();
      const mayAnswer = yield* Deferred.make<void>();
      const intake = yield* make(
        () => [],
        () =>
          Effect.andThen(
            Deferred.succeed(reading, undefined),
            Deferred.await(mayAnswer),
          ),
      );
      intake.startAt(100n);
      const read = yield* Effect.forkChild(intake.readOn);
      yield* Deferred.await(reading);
      intake.readAgain(7n);
      yield* Deferred.succeed(mayAnswer, undefined);
      yield* Fiber.join(read);
      assert.deepStrictEqual(intake.asked, [100n, 7n]);
    }),
  );
});
