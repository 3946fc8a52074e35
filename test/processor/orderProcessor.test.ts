import { assert, describe, it } from "@effect/vitest";
import {
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Option,
  Ref,
  Scope,
} from "effect";
import { TestClock } from "effect/testing";
import {
  type NewOrder,
  OrderId,
  TotalAmount,
  UserId,
} from "../../src/domain/Order.ts";
import { Partition, partitions } from "../../src/domain/Partition.ts";
import { Orders } from "../../src/orders/Orders.ts";
import { Database } from "../../src/persistence/Database.ts";
import {
  OrderRepository,
  RepositoryUnavailable,
} from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositoryMemory from "../../src/persistence/OrderRepositoryMemory.ts";
import {
  Fulfilment,
  FulfilmentFailed,
  FulfilmentUnavailable,
} from "../../src/processor/Fulfilment.ts";
import { mailboxCapacity } from "../../src/processor/Intake.ts";
import {
  bytesInWorkMax,
  OrderProcessor,
  type OrderProcessorOptions,
  ProcessorCollapsed,
} from "../../src/processor/OrderProcessor.ts";
import * as PartitionsLocal from "../../src/processor/PartitionsLocal.ts";
import { beginOne, completeOne } from "../support/oneOrder.ts";

const options: OrderProcessorOptions = {
  concurrency: 256,
  attemptTimeout: Duration.seconds(60),
  drainTimeout: Duration.seconds(20),
  retryPolicy: {
    maxAttempts: 3,
    base: Duration.seconds(1),
    cap: Duration.minutes(5),
  },
};

const newOrder = (name: string): NewOrder => ({
  order_id: OrderId.make(name),
  user_id: UserId.make("USER001"),
  item_ids: ["ITEM001"],
  total_amount: TotalAmount.make(19.9),
});

type Work = Fulfilment["Service"]["fulfil"];

/** The service without HTTP, over a repository in memory. */
const service = (
  work: Work,
  overrides: Partial<OrderProcessorOptions> = {},
  wrap: (
    repository: OrderRepository["Service"],
  ) => OrderRepository["Service"] = (repository) => repository,
) => {
  const repository = Layer.effect(
    OrderRepository,
    Effect.map(OrderRepository, wrap),
  ).pipe(Layer.provide(OrderRepositoryMemory.layer));
  return Orders.layer.pipe(
    Layer.provideMerge(OrderProcessor.layer({ ...options, ...overrides })),
    Layer.provide(Layer.succeed(Fulfilment, { fulfil: work })),
    Layer.provideMerge(repository),
    Layer.provideMerge(Database.layerMemory),
  );
};

/** Starts working all partitions; closing the scope given back stops it. */
const start = Effect.gen(function* () {
  const scope = yield* Scope.make();
  yield* Layer.buildWithScope(PartitionsLocal.layer, scope);
  yield* settle;
  return scope;
});

/** One of them. */
const partition = Partition.make(5);

/** Lets everything happen that can happen without time passing. */
const settle = TestClock.adjust(0);

const statusOf = Effect.fnUntraced(function* (order_id: string) {
  const repository = yield* OrderRepository;
  return Option.getOrThrow(yield* repository.find(order_id)).status;
});

const oneSecond: Work = () => Effect.sleep("1 second");

describe("the order processor", () => {
  it.effect("completes an order a second after it was placed", () =>
    Effect.gen(function* () {
      yield* start;
      const orders = yield* Orders;
      const { order } = yield* orders.place(newOrder("A"));
      assert.strictEqual(order.status, "PENDING");
      yield* settle;
      assert.strictEqual(yield* statusOf("A"), "PROCESSING");
      yield* TestClock.adjust("1 second");
      const completed = yield* orders.find("A");
      assert.strictEqual(completed.status, "COMPLETED");
      assert.strictEqual(completed.attempts, 1);
      assert.isNotNull(completed.processing_completed_at);
    }).pipe(Effect.provide(service(oneSecond))),
  );

  it.effect(
    "leaves an order PENDING while stopped and completes it once started again",
    () =>
      Effect.gen(function* () {
        const orders = yield* Orders;
        const first = yield* start;
        yield* Scope.close(first, Exit.void);
        yield* orders.place(newOrder("A"));
        yield* TestClock.adjust("1 hour");
        assert.strictEqual(yield* statusOf("A"), "PENDING");
        yield* start;
        yield* TestClock.adjust("1 second");
        assert.strictEqual(yield* statusOf("A"), "COMPLETED");
      }).pipe(Effect.provide(service(oneSecond))),
  );

  it.effect("reads on from the table what the mailbox had no room for", () =>
    Effect.gen(function* () {
      const repository = yield* OrderRepository;
      const processor = yield* OrderProcessor;
      yield* start;
      const backlog = 3 * mailboxCapacity;
      for (let index = 0; index < backlog; index++) {
        const order = newOrder(`A${index}`);
        yield* repository.insert(order, partition);
        processor.handOver(partition, order.order_id, 0);
      }
      assert.strictEqual(processor.status().mailboxDepth, mailboxCapacity);
      // 100 in a second, and everything in the end.
      yield* TestClock.adjust("9 seconds");
      const { counts } = yield* repository.tally;
      assert.strictEqual(counts.COMPLETED, backlog);
    }).pipe(Effect.provide(service(oneSecond, { concurrency: 100 }))),
  );

  it.effect("never has more orders in work than it may", () =>
    Effect.gen(function* () {
      const inWork = yield* Ref.make({ now: 0, most: 0 });
      const work: Work = () =>
        Effect.acquireUseRelease(
          Ref.update(inWork, ({ most, now }) => ({
            now: now + 1,
            most: Math.max(most, now + 1),
          })),
          () => Effect.sleep("1 second"),
          () => Ref.update(inWork, (_) => ({ ..._, now: _.now - 1 })),
        );
      yield* Effect.gen(function* () {
        const orders = yield* Orders;
        yield* start;
        for (let index = 0; index < 100; index++) {
          yield* orders.place(newOrder(`A${index}`));
        }
        yield* TestClock.adjust("30 seconds");
        assert.strictEqual(
          (yield* orders.metrics).status_counts.COMPLETED,
          100,
        );
      }).pipe(Effect.provide(service(work, { concurrency: 7 })));
      assert.strictEqual((yield* Ref.get(inWork)).most, 7);
    }),
  );

  describe("with one permit, and a backlog in another partition", () => {
    /** In which order they are worked on: twenty of one partition, then B. */
    const workedOn = Effect.fnUntraced(function* (duration: Duration.Duration) {
      const done: Array<string> = [];
      return yield* Effect.gen(function* () {
        const repository = yield* OrderRepository;
        for (let n = 1; n <= 20; n += 1) {
          yield* repository.insert(newOrder(`A${n}`), partition);
        }
        yield* repository.insert(newOrder("B"), Partition.make(partition + 1));
        yield* start;
        yield* TestClock.adjust(Duration.times(duration, 21));
        yield* TestClock.adjust("1 second");
        // Those of one partition in the order they were placed in.
        assert.deepStrictEqual(
          done.filter((order_id) => order_id !== "B"),
          Array.from({ length: 20 }, (_, index) => `A${index + 1}`),
        );
        return done;
      }).pipe(
        Effect.provide(
          service(
            ({ order_id }) =>
              Effect.andThen(
                Effect.sleep(duration),
                Effect.sync(() => done.push(order_id)),
              ),
            { concurrency: 1 },
          ),
        ),
      );
    });

    it.effect("does not keep a quick order waiting for more than a few", () =>
      Effect.gen(function* () {
        const done = yield* workedOn(Duration.millis(1));
        assert.include(done.slice(0, 17), "B");
      }),
    );

    it.effect(
      "does not keep a slow order waiting for more than one or two",
      () =>
        Effect.gen(function* () {
          const done = yield* workedOn(Duration.seconds(1));
          assert.include(done.slice(0, 3), "B");
        }),
    );
  });

  it.effect("finds an order that nobody handed over within a second", () =>
    Effect.gen(function* () {
      const repository = yield* OrderRepository;
      yield* start;
      yield* repository.insert(newOrder("A"), partition);
      yield* TestClock.adjust("1 second");
      assert.strictEqual(yield* statusOf("A"), "PROCESSING");
    }).pipe(Effect.provide(service(oneSecond))),
  );

  it.effect("takes back what a dead predecessor left in PROCESSING", () =>
    Effect.gen(function* () {
      const repository = yield* OrderRepository;
      const { order } = yield* repository.insert(newOrder("A"), partition);
      yield* beginOne(repository, order.order_id, 0);
      yield* start;
      // Begun again without waiting for a poll.
      assert.strictEqual(yield* statusOf("A"), "PROCESSING");
      yield* TestClock.adjust("1 second");
      const completed = Option.getOrThrow(yield* repository.find("A"));
      assert.strictEqual(completed.status, "COMPLETED");
      assert.strictEqual(completed.attempts, 2);
      // The answer of the dead, should it come after all, changes nothing.
      assert.isFalse(
        yield* completeOne(repository, {
          order_id: order.order_id,
          attempt: 1,
        }),
      );
    }).pipe(Effect.provide(service(oneSecond))),
  );

  it.effect("lets an order wait that took down two processes", () =>
    Effect.gen(function* () {
      const repository = yield* OrderRepository;
      const { order } = yield* repository.insert(newOrder("A"), partition);
      yield* beginOne(repository, order.order_id, 0);
      yield* repository.fail({
        ...{ order_id: order.order_id, attempt: 1, error: "died" },
        wait: Duration.zero,
      });
      yield* beginOne(repository, order.order_id, 0);
      yield* start;
      // It waits as after any failed attempt, whatever it was that died.
      assert.isNotNull(
        Option.getOrThrow(yield* repository.find("A")).next_attempt_at,
      );
      yield* TestClock.adjust("999 millis");
      assert.strictEqual(yield* statusOf("A"), "PENDING");
      yield* TestClock.adjust("3 seconds");
      assert.strictEqual(yield* statusOf("A"), "COMPLETED");
    }).pipe(Effect.provide(service(oneSecond))),
  );

  it.effect("buries an order that took down every process that tried it", () =>
    Effect.gen(function* () {
      const repository = yield* OrderRepository;
      const { order } = yield* repository.insert(newOrder("A"), partition);
      for (const attempt of [1, 2, 3]) {
        yield* beginOne(repository, order.order_id, 0);
        if (attempt === 3) break;
        yield* repository.fail({
          order_id: order.order_id,
          attempt,
          error: "died",
          wait: Duration.zero,
        });
      }
      yield* start;
      const failed = Option.getOrThrow(yield* repository.find("A"));
      assert.strictEqual(failed.status, "FAILED");
      assert.match(failed.last_error ?? "", /lost/);
    }).pipe(Effect.provide(service(oneSecond))),
  );

  it.effect(
    "counts a defect as a failed attempt and harms no other order",
    () =>
      Effect.gen(function* () {
        const orders = yield* Orders;
        yield* start;
        yield* orders.place(newOrder("poison"));
        yield* orders.place(newOrder("healthy"));
        yield* settle;
        const poisoned = yield* orders.find("poison");
        assert.strictEqual(poisoned.status, "PENDING");
        assert.strictEqual(poisoned.attempts, 1);
        assert.match(poisoned.last_error ?? "", /crashed: boom/);
        assert.isNotNull(poisoned.next_attempt_at);
        yield* TestClock.adjust("1 second");
        assert.strictEqual(yield* statusOf("healthy"), "COMPLETED");
      }).pipe(
        Effect.provide(
          service((order) =>
            order.order_id === "poison"
              ? Effect.die(new Error("boom"))
              : Effect.sleep("1 second"),
          ),
        ),
      ),
  );

  it.effect("counts work that throws as a failed attempt too", () =>
    Effect.gen(function* () {
      const orders = yield* Orders;
      yield* start;
      yield* orders.place(newOrder("A"));
      yield* settle;
      const failed = yield* orders.find("A");
      assert.match(failed.last_error ?? "", /crashed: thrown/);
    }).pipe(
      Effect.provide(
        service(() => {
          throw new Error("thrown");
        }),
      ),
    ),
  );

  it.effect(
    "has only so many bytes of orders in work, whatever their number",
    () =>
      Effect.gen(function* () {
        const orders = yield* Orders;
        const processor = yield* OrderProcessor;
        yield* start;
        const item = "x".repeat(bytesInWorkMax / 4 + 1);
        for (const name of ["A", "B", "C", "D"]) {
          yield* orders.place({ ...newOrder(name), item_ids: [item] });
        }
        yield* orders.place(newOrder("small"));
        yield* settle;
        const { counts } = yield* (yield* OrderRepository).tally;
        // Three fit; the small one does not pass the fourth by.
        assert.strictEqual(counts.PROCESSING, 3);
        yield* TestClock.adjust("1 second");
        assert.strictEqual(yield* statusOf("D"), "PROCESSING");
        assert.strictEqual(yield* statusOf("small"), "PROCESSING");
        yield* TestClock.adjust("1 second");
        assert.strictEqual(yield* statusOf("D"), "COMPLETED");
        assert.strictEqual(processor.status().inWork, 0);
      }).pipe(Effect.provide(service(oneSecond))),
  );

  it.effect("begins an order that is larger than all that may be in work", () =>
    Effect.gen(function* () {
      const orders = yield* Orders;
      yield* start;
      const item = "x".repeat(bytesInWorkMax + 1);
      yield* orders.place({ ...newOrder("A"), item_ids: [item] });
      yield* orders.place(newOrder("B"));
      yield* settle;
      assert.strictEqual(yield* statusOf("A"), "PROCESSING");
      yield* TestClock.adjust("2 seconds");
      assert.strictEqual(yield* statusOf("A"), "COMPLETED");
      assert.strictEqual(yield* statusOf("B"), "COMPLETED");
    }).pipe(Effect.provide(service(oneSecond))),
  );

  it.effect(
    "stops while an order waits for memory, and leaves it PENDING",
    () =>
      Effect.gen(function* () {
        const orders = yield* Orders;
        const scope = yield* start;
        const item = "x".repeat(bytesInWorkMax);
        yield* orders.place({ ...newOrder("A"), item_ids: [item] });
        yield* orders.place({ ...newOrder("B"), item_ids: [item] });
        yield* settle;
        const stopped = yield* Effect.forkChild(Scope.close(scope, Exit.void));
        yield* TestClock.adjust("2 seconds");
        yield* Fiber.join(stopped);
        assert.strictEqual(yield* statusOf("A"), "COMPLETED");
        assert.strictEqual(yield* statusOf("B"), "PENDING");
        yield* start;
        yield* TestClock.adjust("2 seconds");
        assert.strictEqual(yield* statusOf("B"), "COMPLETED");
      }).pipe(Effect.provide(service(oneSecond))),
  );

  it.effect("retries with growing waits and then makes it a dead letter", () =>
    Effect.gen(function* () {
      const begun = yield* Ref.make(0);
      yield* Effect.gen(function* () {
        const orders = yield* Orders;
        yield* start;
        yield* orders.place(newOrder("A"));
        yield* settle;
        assert.strictEqual(yield* Ref.get(begun), 1);
        // 0.5..1 s, found by the next poll.
        yield* TestClock.adjust("2 seconds");
        assert.strictEqual(yield* Ref.get(begun), 2);
        // 1..2 s.
        yield* TestClock.adjust("3 seconds");
        assert.strictEqual(yield* Ref.get(begun), 3);
        const failed = yield* orders.find("A");
        assert.strictEqual(failed.status, "FAILED");
        assert.strictEqual(failed.last_error, "no stock");
        // An operator has it tried again, with all its attempts.
        yield* orders.retry("A");
        yield* settle;
        assert.strictEqual((yield* orders.find("A")).attempts, 1);
      }).pipe(
        Effect.provide(
          service(() =>
            Effect.andThen(
              Ref.update(begun, (n) => n + 1),
              new FulfilmentFailed({ message: "no stock" }),
            ),
          ),
        ),
      );
    }),
  );

  it.effect(
    "makes it a dead letter at once when the work says it is final",
    () =>
      Effect.gen(function* () {
        const orders = yield* Orders;
        yield* start;
        yield* orders.place(newOrder("A"));
        yield* settle;
        const failed = yield* orders.find("A");
        assert.strictEqual(failed.status, "FAILED");
        assert.strictEqual(failed.attempts, 1);
      }).pipe(
        Effect.provide(
          service(
            () =>
              new FulfilmentFailed({ message: "no such item", final: true }),
          ),
        ),
      ),
  );

  it.effect(
    "counts no attempt and begins nothing while the work is known to be away",
    () =>
      Effect.gen(function* () {
        const begun = yield* Ref.make(0);
        yield* Effect.gen(function* () {
          const orders = yield* Orders;
          yield* start;
          yield* orders.place(newOrder("first"));
          yield* settle;
          yield* orders.place(newOrder("second"));
          yield* TestClock.adjust("9 seconds");
          assert.strictEqual(yield* Ref.get(begun), 1);
          const given = yield* orders.find("first");
          assert.strictEqual(given.status, "PENDING");
          assert.strictEqual(given.attempts, 0);
          assert.strictEqual(given.last_error, "away");
          yield* TestClock.adjust("2 seconds");
          assert.strictEqual(yield* statusOf("first"), "COMPLETED");
          assert.strictEqual(yield* statusOf("second"), "COMPLETED");
        }).pipe(
          Effect.provide(
            service(() =>
              Effect.flatMap(
                Ref.getAndUpdate(begun, (n) => n + 1),
                (n) =>
                  n === 0
                    ? Effect.fail(
                        new FulfilmentUnavailable({
                          message: "away",
                          pause: Duration.seconds(10),
                        }),
                      )
                    : Effect.void,
              ),
            ),
          ),
        );
      }),
  );

  it.effect("cuts an attempt off that takes too long", () =>
    Effect.gen(function* () {
      const orders = yield* Orders;
      yield* start;
      yield* orders.place(newOrder("A"));
      yield* TestClock.adjust("59 seconds");
      assert.strictEqual(yield* statusOf("A"), "PROCESSING");
      yield* TestClock.adjust("1 second");
      const postponed = yield* orders.find("A");
      assert.strictEqual(postponed.status, "PENDING");
      assert.match(postponed.last_error ?? "", /took longer than 1m/);
    }).pipe(Effect.provide(service(() => Effect.never))),
  );

  it.effect("drains: finishes what is in work and begins nothing new", () =>
    Effect.gen(function* () {
      const orders = yield* Orders;
      const scope = yield* start;
      yield* orders.place(newOrder("first"));
      yield* orders.place(newOrder("second"));
      yield* settle;
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void));
      yield* TestClock.adjust("1 second");
      yield* Fiber.join(closing);
      assert.strictEqual(yield* statusOf("first"), "COMPLETED");
      const left = yield* orders.find("second");
      assert.strictEqual(left.status, "PENDING");
      assert.strictEqual(left.attempts, 0);
    }).pipe(Effect.provide(service(oneSecond, { concurrency: 1 }))),
  );

  it.effect("gives back what the drain cuts off, its attempt refunded", () =>
    Effect.gen(function* () {
      const orders = yield* Orders;
      const scope = yield* start;
      yield* orders.place(newOrder("A"));
      yield* settle;
      assert.strictEqual((yield* orders.find("A")).attempts, 1);
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void));
      yield* TestClock.adjust("19 seconds");
      assert.strictEqual(yield* statusOf("A"), "PROCESSING");
      yield* TestClock.adjust("1 second");
      yield* Fiber.join(closing);
      const back = yield* orders.find("A");
      assert.strictEqual(back.status, "PENDING");
      assert.strictEqual(back.attempts, 0);
      assert.isNull(back.last_error);
    }).pipe(Effect.provide(service(() => Effect.never))),
  );

  it.effect("does not keep a partition's new owner waiting for long work", () =>
    Effect.gen(function* () {
      const orders = yield* Orders;
      const processor = yield* OrderProcessor;
      const running = yield* Effect.forkChild(
        processor.run(partition, () => "new owner"),
      );
      yield* settle;
      yield* orders.place(newOrder("A"));
      yield* settle;
      assert.strictEqual(yield* statusOf("A"), "PROCESSING");
      const leaving = yield* Effect.forkChild(Fiber.interrupt(running));
      yield* TestClock.adjust("4999 millis");
      assert.strictEqual(yield* statusOf("A"), "PROCESSING");
      yield* TestClock.adjust("1 millis");
      yield* Fiber.join(leaving);
      const back = yield* orders.find("A");
      assert.strictEqual(back.status, "PENDING");
      assert.strictEqual(back.attempts, 0);
    }).pipe(Effect.provide(service(() => Effect.never))),
  );

  it.effect("restarts a crashed actor with backoff, and only that one", () =>
    Effect.gen(function* () {
      const crashing = yield* Ref.make(true);
      yield* Effect.gen(function* () {
        const orders = yield* Orders;
        const processor = yield* OrderProcessor;
        yield* start;
        assert.deepStrictEqual(processor.status().down, [partition]);
        yield* Effect.forEach(partitions, (_) =>
          orders.place(newOrder(`A${_}`)),
        );
        yield* Ref.set(crashing, false);
        yield* TestClock.adjust("499 millis");
        assert.deepStrictEqual(processor.status().down, [partition]);
        yield* TestClock.adjust("1 millis");
        assert.deepStrictEqual(processor.status().down, []);
        yield* TestClock.adjust("1 second");
        assert.strictEqual((yield* orders.metrics).status_counts.COMPLETED, 32);
      }).pipe(
        Effect.provide(
          service(oneSecond, {}, (repository) => ({
            ...repository,
            readAside: (asked, limit) =>
              Effect.flatMap(Ref.get(crashing), (crash) =>
                crash && asked === partition
                  ? Effect.die("the actor is broken")
                  : repository.readAside(asked, limit),
              ),
          })),
        ),
      );
    }),
  );

  it.effect("goes on after an event that crashes every actor once", () =>
    Effect.gen(function* () {
      const isStruck = yield* Ref.make(false);
      yield* Effect.gen(function* () {
        const orders = yield* Orders;
        const processor = yield* OrderProcessor;
        const collapse = yield* Effect.forkChild(processor.collapsed);
        yield* start;
        yield* Ref.set(isStruck, true);
        yield* TestClock.adjust("1 second");
        assert.strictEqual(processor.status().down.length, partitions.length);
        yield* Ref.set(isStruck, false);
        yield* TestClock.adjust("500 millis");
        assert.deepStrictEqual(processor.status().down, []);
        assert.isUndefined(collapse.pollUnsafe());
        yield* orders.place(newOrder("A"));
        yield* TestClock.adjust("1 second");
        assert.strictEqual(yield* statusOf("A"), "COMPLETED");
      }).pipe(
        Effect.provide(
          service(oneSecond, {}, (repository) => ({
            ...repository,
            readAside: (asked, limit) =>
              Effect.flatMap(Ref.get(isStruck), (crash) =>
                crash
                  ? Effect.die("struck")
                  : repository.readAside(asked, limit),
              ),
          })),
        ),
      );
    }),
  );

  it.effect("gives up when actors crash more often than restarts help", () =>
    Effect.gen(function* () {
      const processor = yield* OrderProcessor;
      const collapse = yield* Effect.forkChild(processor.collapsed);
      yield* start;
      yield* TestClock.adjust("60 seconds");
      const exit = yield* Fiber.await(collapse);
      assert.isTrue(Exit.isFailure(exit));
      const error = yield* Effect.flip(processor.collapsed);
      assert.instanceOf(error, ProcessorCollapsed);
    }).pipe(
      Effect.provide(
        service(oneSecond, {}, (repository) => ({
          ...repository,
          readAside: () => Effect.die("all actors are broken"),
        })),
      ),
    ),
  );

  it.effect("waits an outage of the database out, without a restart", () =>
    Effect.gen(function* () {
      const away = yield* Ref.make(false);
      const unlessAway = <A>(
        effect: Effect.Effect<A, RepositoryUnavailable>,
      ): Effect.Effect<A, RepositoryUnavailable> =>
        Effect.flatMap(Ref.get(away), (isAway) =>
          isAway
            ? Effect.fail(new RepositoryUnavailable({ reason: "away" }))
            : effect,
        );
      yield* Effect.gen(function* () {
        const orders = yield* Orders;
        const processor = yield* OrderProcessor;
        yield* start;
        yield* orders.place(newOrder("in work"));
        yield* settle;
        yield* Ref.set(away, true);
        yield* TestClock.adjust("10 minutes");
        assert.deepStrictEqual(processor.status().down, []);
        yield* Ref.set(away, false);
        yield* orders.place(newOrder("afterwards"));
        yield* TestClock.adjust("4 seconds");
        const first = yield* orders.find("in work");
        assert.strictEqual(first.status, "COMPLETED");
        assert.strictEqual(first.attempts, 1);
        assert.strictEqual(yield* statusOf("afterwards"), "COMPLETED");
      }).pipe(
        Effect.provide(
          service(oneSecond, {}, (repository) => ({
            ...repository,
            begin: (asked) => unlessAway(repository.begin(asked)),
            complete: (attempts) => unlessAway(repository.complete(attempts)),
            readAside: (partition, limit) =>
              unlessAway(repository.readAside(partition, limit)),
            readLog: (partition, after, limit) =>
              unlessAway(repository.readLog(partition, after, limit)),
          })),
        ),
      );
    }),
  );

  it.effect("spreads new orders evenly, 32 in a row to one partition", () =>
    Effect.gen(function* () {
      const processor = yield* OrderProcessor;
      yield* start;
      const chosen = Array.from({ length: 32 * partitions.length }, () =>
        processor.choosePartition(),
      );
      const rows = partitions.map((_, row) =>
        Array.from(new Set(chosen.slice(32 * row, 32 * (row + 1)))),
      );
      assert.isTrue(rows.every(({ length }) => length === 1));
      assert.deepStrictEqual(new Set(rows.flat()), new Set(partitions));
    }).pipe(Effect.provide(service(oneSecond))),
  );

  it.effect("places new orders in partitions that are owned here, only", () =>
    Effect.gen(function* () {
      const processor = yield* OrderProcessor;
      const run = (name: number) =>
        Effect.forkChild(processor.run(Partition.make(name)), {
          startImmediately: true,
        });
      const [three, four] = yield* Effect.all([run(3), run(4)]);
      const first = processor.choosePartition();
      assert.oneOf(first, [3, 4]);
      const [gone, left] = first === 3 ? [three, 4] : [four, 3];
      yield* Fiber.interrupt(gone);
      assert.strictEqual(processor.choosePartition(), Partition.make(left));
    }).pipe(Effect.provide(service(oneSecond))),
  );

  it.effect("finds an order whose beginning was done but never answered", () =>
    Effect.gen(function* () {
      const cut = yield* Ref.make(true);
      yield* Effect.gen(function* () {
        const orders = yield* Orders;
        yield* start;
        yield* orders.place(newOrder("A"));
        yield* TestClock.adjust("5 seconds");
        const completed = yield* orders.find("A");
        assert.strictEqual(completed.status, "COMPLETED");
        assert.strictEqual(completed.attempts, 2);
      }).pipe(
        Effect.provide(
          service(oneSecond, {}, (repository) => ({
            ...repository,
            begin: (asked) =>
              Effect.flatMap(Ref.getAndSet(cut, false), (isCut) =>
                isCut
                  ? Effect.andThen(
                      repository.begin(asked),
                      Effect.fail(
                        new RepositoryUnavailable({ reason: "cut off" }),
                      ),
                    )
                  : repository.begin(asked),
              ),
          })),
        ),
      );
    }),
  );

  it.effect(
    "says that it has stalled when orders are there and none moves",
    () =>
      Effect.gen(function* () {
        const orders = yield* Orders;
        const processor = yield* OrderProcessor;
        yield* start;
        yield* TestClock.adjust("1 hour");
        assert.deepStrictEqual(processor.status().stalled, []);
        yield* orders.place(newOrder("A"));
        yield* TestClock.adjust("89 seconds");
        assert.deepStrictEqual(processor.status().stalled, []);
        yield* TestClock.adjust("2 seconds");
        assert.strictEqual(processor.status().stalled.length, 1);
      }).pipe(
        Effect.provide(
          service(oneSecond, {}, (repository) => ({
            ...repository,
            begin: () => Effect.never,
          })),
        ),
      ),
  );

  describe("an answer that comes too late", () => {
    it.effect.each<[string, Work]>([
      ["done", () => Effect.void],
      ["failed", () => new FulfilmentFailed({ message: "late" })],
      [
        "not made",
        () =>
          new FulfilmentUnavailable({
            message: "late",
            retryAfter: Duration.seconds(1),
          }),
      ],
    ])("is said to be so, and changes nothing: %s", ([, answer]) =>
      Effect.gen(function* () {
        const go = yield* Deferred.make<void>();
        const said: Array<unknown> = [];
        const log = Logger.layer([
          Logger.make(({ logLevel, message }) => {
            if (logLevel === "Warn") said.push(message);
          }),
        ]);
        yield* Effect.gen(function* () {
          const orders = yield* Orders;
          const repository = yield* OrderRepository;
          yield* start;
          const { order } = yield* orders.place(newOrder("A"));
          yield* settle;
          // Another owner has taken the partition over meanwhile.
          const attempt = { order_id: order.order_id, attempt: 1 };
          yield* repository.fail({
            ...attempt,
            error: "",
            wait: Duration.hours(1),
          });
          const before = yield* repository.find("A");
          assert.deepStrictEqual(said, []);
          yield* Deferred.succeed(go, undefined);
          yield* settle;
          assert.deepStrictEqual(said, [
            [
              "the attempt ended too late: its order is no longer this actor's",
              attempt,
            ],
          ]);
          assert.deepStrictEqual(yield* repository.find("A"), before);
          assert.strictEqual(yield* statusOf("A"), "PENDING");
        }).pipe(
          Effect.provide(
            service((order) =>
              Effect.andThen(Deferred.await(go), answer(order)),
            ).pipe(Layer.provideMerge(log)),
          ),
        );
      }),
    );
  });
});
