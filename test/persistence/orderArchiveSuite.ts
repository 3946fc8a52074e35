/**
 * What every `OrderArchive` keeps to, with the repository of orders that it is
 * about. One suite, run over each of them.
 */
import { assert, layer as withLayer } from "@effect/vitest";
import {
  Context,
  Duration,
  Effect,
  type Layer,
  Option,
  Result,
  type Scope,
} from "effect";
import { Partition } from "../../src/domain/Partition.ts";
import type {
  LeavingOrder,
  OrderArchive,
} from "../../src/persistence/OrderArchive.ts";
import type {
  Epoch,
  OrderRepository,
} from "../../src/persistence/OrderRepository.ts";
import { beginOne, completeOne } from "../support/oneOrder.ts";
import { counted, id, newOrder } from "./orderRepositorySuite.ts";

export interface Store {
  readonly repository: OrderRepository["Service"];
  readonly archive: OrderArchive["Service"];
}

export class Subject extends Context.Service<
  Subject,
  {
    /** A store without orders. The one before it is not used again. */
    readonly fresh: Effect.Effect<Store, never, Scope.Scope>;
    /** Its clock moves on, by at least so much. */
    readonly pass: (time: Duration.Input) => Effect.Effect<void>;
  }
>()("test/OrderArchiveSuite/Subject") {}

const partition = Partition.make(7);

/** What the table would need to be younger than. */
const atOnce = {
  after: 0n,
  limit: 1000,
  age: Duration.zero,
  slack: Duration.zero,
};

/** An order that is COMPLETED. */
export const completed = Effect.fnUntraced(function* (
  { repository }: Pick<Store, "repository">,
  order_id: string,
  epoch: Epoch = 0,
) {
  yield* repository.insert(newOrder(order_id), partition);
  const begun = yield* beginOne(repository, id(order_id), epoch);
  const { attempt } = Option.getOrThrow(begun);
  const attempted = { order_id: id(order_id), attempt };
  assert.isTrue(yield* completeOne(repository, attempted));
});

/** An order that is FAILED. */
const failed = Effect.fnUntraced(function* (
  { repository }: Store,
  order_id: string,
) {
  yield* repository.insert(newOrder(order_id), partition);
  const begun = yield* beginOne(repository, id(order_id), 0);
  const { attempt } = Option.getOrThrow(begun);
  const failure = { order_id: id(order_id), attempt, error: "no" };
  assert.isTrue(yield* repository.fail({ ...failure, wait: undefined }));
});

export const toLeave = (orders: ReadonlyArray<LeavingOrder>) =>
  orders.map(({ begun, order: { order_id, status } }) => ({
    order_id,
    status,
    begun,
  }));

/** All that may leave does. */
const allLeave = Effect.fnUntraced(function* ({ archive }: Store) {
  const { epoch } = yield* archive.claim;
  const seen = yield* archive.look(atOnce);
  const ready = seen.filter((_) => _.isReady).map((_) => _.order_id);
  const orders = toLeave(yield* archive.read(ready));
  const left = yield* archive.leave({ epoch, orders, file: undefined });
  assert.strictEqual(left, "left");
  return orders.map(({ order_id }) => order_id as string);
});

const subject = Effect.gen(function* () {
  const { fresh, pass } = yield* Subject;
  return { store: yield* fresh, pass };
});

export const orderArchiveSuite = <E>(
  name: string,
  subjects: Layer.Layer<Subject, E>,
  options: { readonly isOnTestClock: boolean },
) =>
  withLayer(subjects, {
    excludeTestServices: !options.isOnTestClock,
    timeout: "60 seconds",
  })(`${name} as an archive`, (it) => {
    it.effect("sees orders in the order of the log, and which may leave", () =>
      Effect.gen(function* () {
        const { pass, store } = yield* subject;
        yield* completed(store, "A");
        yield* store.repository.insert(newOrder("B"), partition);
        yield* failed(store, "C");
        yield* store.repository.insert(newOrder("D"), partition);
        yield* store.repository.cancel("D");
        yield* pass("20 millis");
        const ids = (seen: ReadonlyArray<{ readonly order_id: string }>) =>
          seen.map((_) => _.order_id).join("");
        const seen = yield* store.archive.look(atOnce);
        assert.strictEqual(ids(seen), "ABCD");
        assert.strictEqual(ids(seen.filter((_) => _.isReady)), "ACD");
        assert.isTrue(seen.every((_) => _.isOld));
        const [first] = seen;
        const after = first?.seq ?? 0n;
        const more = yield* store.archive.look({ ...atOnce, after, limit: 2 });
        assert.strictEqual(ids(more), "BC");
        const hour = { ...atOnce, age: Duration.hours(1) };
        const young = yield* store.archive.look(hour);
        assert.isFalse(young.some((_) => _.isReady || _.isOld));
        const slack = { ...atOnce, slack: Duration.hours(1) };
        const soon = yield* store.archive.look(slack);
        assert.strictEqual(ids(soon.filter((_) => _.isReady)), "ACD");
        assert.isFalse(soon.some((_) => _.isOld));
      }),
    );

    it.effect("reads what is final, whole, and nothing else", () =>
      Effect.gen(function* () {
        const { store } = yield* subject;
        yield* completed(store, "A");
        yield* store.repository.insert(newOrder("B"), partition);
        const read = yield* store.archive.read([id("A"), id("B"), id("C")]);
        assert.strictEqual(read.length, 1);
        const found = yield* store.repository.find("A");
        assert.deepStrictEqual(read[0]?.order, Option.getOrThrow(found));
        assert.strictEqual(read[0]?.begun, 1);
      }),
    );

    it.effect("lets orders leave, with their history, and counts them on", () =>
      Effect.gen(function* () {
        const { store } = yield* subject;
        const { repository } = store;
        yield* completed(store, "A");
        yield* failed(store, "B");
        yield* repository.insert(newOrder("C"), partition);
        const before = yield* repository.tally;
        assert.sameMembers(yield* allLeave(store), ["A", "B"]);
        for (const gone of ["A", "B"]) {
          assert.isTrue(Option.isNone(yield* repository.find(gone)));
          assert.isTrue(Option.isNone(yield* repository.history(gone)));
          assert.isTrue(yield* repository.hasLeft(gone));
          assert.isTrue(Option.isNone(yield* repository.retry(gone)));
        }
        assert.isFalse(yield* repository.hasLeft("C"));
        assert.isFalse(yield* repository.hasLeft("no such"));
        assert.isFalse(yield* repository.hasLeft("\0"));
        const after = yield* repository.tally;
        assert.deepStrictEqual(after.counts, before.counts);
        assert.strictEqual(after.accepted, 3);
        assert.strictEqual(after.archived, 2);
        assert.strictEqual(after.processingSeconds, before.processingSeconds);
        assert.deepStrictEqual(yield* counted(repository, 100), [1, 1]);
        const { orders } = yield* repository.list({ limit: 10 });
        assert.deepStrictEqual(
          orders.map((_) => _.order_id as string),
          ["C"],
        );
      }),
    );

    it.effect("is not empty once all have left", () =>
      Effect.gen(function* () {
        const { store } = yield* subject;
        assert.isTrue(yield* store.repository.isEmpty);
        yield* completed(store, "A");
        yield* allLeave(store);
        assert.isFalse(yield* store.repository.isEmpty);
      }),
    );

    it.effect("never places an order again that has left", () =>
      Effect.gen(function* () {
        const { store } = yield* subject;
        const { repository } = store;
        const items = [{ b: [1.5, "x"], a: { d: 2, c: -0 } }, 1e21];
        const order = newOrder("A", { item_ids: items });
        yield* repository.insert(order, partition);
        yield* repository.cancel("A");
        yield* allLeave(store);
        const again = Effect.fnUntraced(function* (
          content: Parameters<typeof newOrder>[1],
        ) {
          const placed = yield* Effect.result(
            repository.insert(newOrder("A", content), partition),
          );
          if (Result.isSuccess(placed)) return "placed";
          const { failure } = placed;
          return failure._tag === "OrderHasLeft" ? failure.isSame : "away";
        });
        assert.isTrue(yield* again({ item_ids: items }));
        const turned = [{ a: { c: 0, d: 2 }, b: [1.5, "x"] }, 1e21];
        assert.isTrue(yield* again({ item_ids: turned }));
        for (const other of [
          { item_ids: items, user_id: "other" },
          { item_ids: items, total_amount: 12.51 },
          { item_ids: [...items, "more"] },
          { item_ids: items.toReversed() },
          { item_ids: [{ b: ["x", 1.5], a: { d: 2, c: 0 } }, 1e21] },
          { item_ids: [{ b: ["1.5", "x"], a: { d: 2, c: 0 } }, 1e21] },
        ]) {
          assert.isFalse(yield* again(other), JSON.stringify(other));
        }
        assert.isTrue(Option.isNone(yield* repository.find("A")));
        const { accepted } = yield* repository.tally;
        assert.strictEqual(accepted, 1);
      }),
    );

    it.effect("answers many that are placed together, each for itself", () =>
      Effect.gen(function* () {
        const { store } = yield* subject;
        const { repository } = store;
        yield* completed(store, "GONE");
        yield* allLeave(store);
        yield* repository.insert(newOrder("KNOWN"), partition);
        const answers = yield* Effect.forEach(
          [
            newOrder("NEW1"),
            newOrder("GONE"),
            newOrder("KNOWN"),
            newOrder("GONE", { user_id: "other" }),
            newOrder("NEW2"),
          ],
          (order) => Effect.result(repository.insert(order, partition)),
          { concurrency: "unbounded" },
        );
        assert.deepStrictEqual(
          answers.map((answer) =>
            Result.isSuccess(answer)
              ? answer.success.isNew
              : answer.failure._tag === "OrderHasLeft"
                ? `left ${answer.failure.isSame}`
                : "away",
          ),
          [true, "left true", false, "left false", true],
        );
      }),
    );

    it.effect("answers many of one caller, and none of all or none", () =>
      Effect.gen(function* () {
        const { store } = yield* subject;
        const { repository } = store;
        yield* completed(store, "A");
        yield* allLeave(store);
        const given = ["A", "B"].map((order_id) => ({
          order: newOrder(order_id),
          partition,
        }));
        assert.deepStrictEqual(
          yield* repository.insertAllOrNone(given),
          Result.fail([{ index: 0, by: "archived" as const }]),
        );
        assert.isTrue(Option.isNone(yield* repository.find("B")));
        const [a, b] = yield* repository.insertMany(given);
        assert.isTrue(a !== undefined && Result.isFailure(a));
        if (a === undefined || Result.isSuccess(a)) return;
        assert.strictEqual(a.failure._tag, "OrderHasLeft");
        assert.isTrue(b !== undefined && Result.isSuccess(b));
      }),
    );

    it.effect("lets none of a batch leave when one was retried since", () =>
      Effect.gen(function* () {
        const { store } = yield* subject;
        const { archive, repository } = store;
        yield* completed(store, "A");
        yield* failed(store, "B");
        const { epoch } = yield* archive.claim;
        assert.isTrue(yield* archive.openFile(epoch, "file"));
        const read = yield* archive.read([id("A"), id("B")]);
        yield* repository.retry("B");
        const file = { name: "file", bytes: 10 };
        const orders = toLeave(read);
        assert.strictEqual(
          yield* archive.leave({ epoch, orders, file }),
          "changed",
        );
        assert.isTrue(Option.isSome(yield* repository.find("A")));
        // It failed again: as it was, but for the number of its attempt.
        const begun = yield* beginOne(repository, id("B"), 0);
        const { attempt } = Option.getOrThrow(begun);
        const failure = { order_id: id("B"), attempt, error: "no" };
        yield* repository.fail({ ...failure, wait: undefined });
        assert.strictEqual(
          yield* archive.leave({ epoch, orders, file }),
          "changed",
        );
        assert.deepStrictEqual((yield* archive.claim).files, [
          { name: "file", bytes: 0 },
        ]);
        assert.deepStrictEqual(yield* counted(repository, 100), [2, 2]);
      }),
    );

    it.effect("lets nothing leave by who had it before", () =>
      Effect.gen(function* () {
        const { store } = yield* subject;
        const { archive, repository } = store;
        yield* completed(store, "A");
        const former = yield* archive.claim;
        assert.isTrue(yield* archive.openFile(former.epoch, "one"));
        const mine = yield* archive.claim;
        assert.notStrictEqual(mine.epoch, former.epoch);
        const orders = toLeave(yield* archive.read([id("A")]));
        const file = { name: "one", bytes: 10 };
        const { epoch } = former;
        assert.strictEqual(
          yield* archive.leave({ epoch, orders, file }),
          "fenced",
        );
        assert.isFalse(yield* archive.openFile(epoch, "two"));
        assert.isTrue(Option.isSome(yield* repository.find("A")));
        assert.isTrue(yield* archive.openFile(mine.epoch, "three"));
        const left = yield* archive.leave({
          ...{ epoch: mine.epoch, orders },
          file: { name: "three", bytes: 7 },
        });
        assert.strictEqual(left, "left");
        assert.deepStrictEqual((yield* archive.claim).files, [
          { name: "three", bytes: 7 },
          { name: "one", bytes: 0 },
        ]);
      }),
    );

    // Orders leave after each of the steps in turn, some of them counted before.
    it.effect.each([0, 1, 2, 3, 4])(
      "is counted right while orders leave, %i steps on",
      (steps) =>
        Effect.gen(function* () {
          const { pass, store } = yield* subject;
          const { repository } = store;
          for (let n = 0; n < 20; n += 1) yield* completed(store, `A${n}`);
          yield* repository.insert(newOrder("OPEN"), partition);
          yield* pass("20 millis");
          let orders = 0;
          let taken = 0;
          let step = yield* repository.count(undefined, 5);
          while (true) {
            orders += step.orders;
            if (taken === steps) yield* allLeave(store);
            taken += 1;
            if (step.next === undefined) break;
            step = yield* repository.count(step.next, 5);
          }
          assert.strictEqual(orders, step.accepted);
        }),
    );
  });
