/** Placing many orders by one call: a part of `orderRepositorySuite`. */
import { assert, type Vitest } from "@effect/vitest";
import { Effect, Option, Result, Schema, type Scope } from "effect";
import type { NewOrder } from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import type {
  OrderQuery,
  OrderRepository,
} from "../../src/persistence/OrderRepository.ts";

type Repository = OrderRepository["Service"];

export interface ManyPlacings<R> {
  readonly it: Vitest.MethodsNonLive<R>;
  /** A repository without orders. */
  readonly fresh: Effect.Effect<Repository, never, R | Scope.Scope>;
  readonly newOrder: (
    order_id: string,
    content?: Partial<{
      readonly user_id: string;
      readonly item_ids: ReadonlyArray<unknown>;
    }>,
  ) => NewOrder;
  /** The tally is what counting the orders themselves would give. */
  readonly assertTallyIsCount: (
    repository: Repository,
  ) => Effect.Effect<void, unknown>;
  readonly holds: <S extends Schema.Constraint, A, E, R>(
    schema: S,
    runs: number,
    law: (value: S["Type"]) => Effect.Effect<A, E, R>,
  ) => Effect.Effect<void, unknown, Exclude<R, Scope.Scope>>;
  readonly runs: number;
}

const partition = Partition.make(7);
const everything: OrderQuery = { limit: 100_000 };

const placings = (orders: ReadonlyArray<NewOrder>) =>
  orders.map((order, index) => ({
    order,
    partition: Partition.make(index % 3),
  }));

/** Of a few orders, small and large, in one of a few contents. */
const Row = Schema.Struct({
  order: Schema.Literals(["A", "B", "C", "D"]),
  content: Schema.Literals([1, 1, 1, 2]),
  isLarge: Schema.Literals([false, false, true]),
});
const Case = Schema.Struct({
  stored: Schema.Array(Row).check(Schema.isMaxLength(3)),
  batch: Schema.Array(Row).check(Schema.isMaxLength(8)),
});

export const manyPlacingsSuite = <R>({
  assertTallyIsCount,
  fresh,
  holds,
  it,
  newOrder,
  runs,
}: ManyPlacings<R>) => {
  const orderOf = ({ content, isLarge, order }: typeof Row.Type) =>
    newOrder(order, {
      user_id: `U${content}`,
      item_ids: [isLarge ? "x".repeat(9_000) : "x"],
    });
  const keyOf = (order: NewOrder | undefined) =>
    order && JSON.stringify([order.order_id, order.user_id, order.item_ids]);

  const listed = (repository: Repository) =>
    Effect.map(repository.list(everything), ({ orders }) =>
      orders.map(keyOf).sort(),
    );

  it.effect("places many as it would place each of them, in their order", () =>
    holds(Case, runs, ({ batch, stored }) =>
      Effect.gen(function* () {
        const orders = batch.map(orderOf);
        const store = (repository: Repository) =>
          Effect.forEach(stored, (row) =>
            repository.insert(orderOf(row), partition),
          );
        const one = yield* fresh;
        yield* store(one);
        const expected = yield* Effect.forEach(orders, (order) =>
          one.insert(order, partition),
        );
        const all = yield* listed(one);
        // The one before it is not used again.
        const many = yield* fresh;
        yield* store(many);
        const answers = yield* many.insertMany(placings(orders));
        assert.strictEqual(answers.length, orders.length);
        for (const [index, answer] of answers.entries()) {
          const { isNew, order } = Result.getOrThrow(answer);
          const alone = expected[index];
          assert.strictEqual(isNew, alone?.isNew);
          // What is left out is another order.
          if (order === undefined) {
            assert.notStrictEqual(keyOf(alone?.order), keyOf(orders[index]));
          } else {
            assert.strictEqual(keyOf(order), keyOf(alone?.order));
          }
        }
        assert.deepStrictEqual(yield* listed(many), all);
        yield* assertTallyIsCount(many);
      }),
    ),
  );

  it.effect("places all, or none and names those whose ids are taken", () =>
    holds(Case, runs, ({ batch, stored }) =>
      Effect.gen(function* () {
        const repository = yield* fresh;
        const known = new Map<string, NewOrder>();
        for (const row of stored) {
          const order = orderOf(row);
          yield* repository.insert(order, partition);
          if (!known.has(order.order_id)) known.set(order.order_id, order);
        }
        const before = yield* listed(repository);
        const orders = batch.map(orderOf);
        const isNew: Array<boolean> = [];
        const taken = orders.flatMap((order, index) => {
          const other = known.get(order.order_id);
          isNew.push(other === undefined);
          if (other === undefined) known.set(order.order_id, order);
          return keyOf(other ?? order) === keyOf(order)
            ? []
            : [{ index, by: "other content" as const }];
        });
        const answer = yield* repository.insertAllOrNone(placings(orders));
        if (taken.length > 0) {
          assert.deepStrictEqual(answer, Result.fail(taken));
          assert.deepStrictEqual(yield* listed(repository), before);
        } else {
          const placed = Result.getOrThrow(answer);
          assert.deepStrictEqual(
            placed.map((_) => _.isNew),
            isNew,
          );
          assert.deepStrictEqual(
            placed.map(({ order }) => keyOf(order)),
            orders.map(keyOf),
          );
          assert.deepStrictEqual(
            yield* listed(repository),
            Array.from(known.values(), keyOf).sort(),
          );
        }
        yield* assertTallyIsCount(repository);
      }),
    ),
  );

  it.effect("places many that are more than a statement takes", () =>
    Effect.gen(function* () {
      const repository = yield* fresh;
      const ids = Array.from({ length: 12 }, (_, index) => `L${index}`);
      const orders = ids.map((id) =>
        newOrder(id, { item_ids: ["x".repeat(900_000)] }),
      );
      const answers = yield* repository.insertMany(placings(orders));
      assert.deepStrictEqual(
        answers.map((answer) => Result.getOrThrow(answer).isNew),
        ids.map(() => true),
      );
      const again = yield* repository.insertMany(placings(orders));
      assert.deepStrictEqual(
        again.map((answer) => {
          const { isNew, order } = Result.getOrThrow(answer);
          return [isNew, String(order?.order_id)];
        }),
        ids.map((id) => [false, id]),
      );
      for (const id of ids) {
        assert.isTrue(Option.isSome(yield* repository.find(id)));
      }
    }),
  );

  it.effect("places one of two that overlap and differ, as a whole", () =>
    Effect.gen(function* () {
      const repository = yield* fresh;
      const ids = Array.from({ length: 30 }, (_, index) => `O${index}`);
      const callers = Array.from({ length: 10 }, (_, index) => index);
      const answers = yield* Effect.forEach(
        callers,
        (caller) =>
          repository.insertAllOrNone(
            placings(
              ids.map((id) => newOrder(id, { user_id: `U${caller % 2}` })),
            ),
          ),
        { concurrency: "unbounded" },
      );
      const placed = answers.filter(Result.isSuccess);
      assert.strictEqual(placed.length, 5);
      const isNew = placed.flatMap(({ success }) =>
        success.filter((_) => _.isNew),
      );
      assert.strictEqual(isNew.length, ids.length);
      assert.strictEqual(new Set(isNew.map((_) => _.order.user_id)).size, 1);
      for (const answer of answers.filter(Result.isFailure)) {
        assert.deepStrictEqual(
          answer.failure,
          ids.map((_, index) => ({ index, by: "other content" as const })),
        );
      }
      yield* assertTallyIsCount(repository);
    }),
  );

  it.effect("has the actors find what was placed by many at once", () =>
    Effect.gen(function* () {
      const repository = yield* fresh;
      const orders = ["M1", "M2", "M3"].map((id) => newOrder(id));
      const rows = orders.map((order) => ({ order, partition }));
      yield* repository.insertMany(rows.slice(0, 1));
      yield* repository.insertAllOrNone(rows.slice(1));
      const { open } = yield* repository.readLog(partition, 0n, 10);
      assert.sameMembers(
        open.map(({ order_id }) => String(order_id)),
        ["M1", "M2", "M3"],
      );
    }),
  );
};
