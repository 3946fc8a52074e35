/**
 * Two instances on one PostgreSQL that both believe an order to be theirs: as
 * when one was frozen, and its partition given to the other.
 */
import { assert, layer } from "@effect/vitest";
import { Duration, Effect, Layer, Option, Redacted } from "effect";
import type { OrderId } from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { Database } from "../../src/persistence/Database.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as Postgres from "../../src/platform/Postgres.ts";
import { beginOne, completeOne } from "../support/oneOrder.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import {
  assertTallyIsCount,
  id,
  newOrder,
  type Repository,
} from "./orderRepositorySuite.ts";

const instance = Effect.gen(function* () {
  const { url } = yield* TestDatabase;
  const context = yield* Layer.build(
    Layer.fresh(
      Layer.provideMerge(
        Layer.provideMerge(OrderRepositorySql.layer, Database.layer),
        Postgres.layer({ url: Redacted.make(url), poolSize: 5 }),
      ),
    ),
  );
  const database = yield* Effect.provide(Database, context);
  yield* database.migrated;
  return yield* Effect.provide(OrderRepository, context);
});

const partition = Partition.make(1);

/** What two instances answer when each asks for every order at once. */
const raced = <A, B, E1, E2>(
  ids: ReadonlyArray<OrderId>,
  one: (order_id: OrderId) => Effect.Effect<A, E1>,
  other: (order_id: OrderId) => Effect.Effect<B, E2>,
) => {
  const everyone = { concurrency: "unbounded" } as const;
  return Effect.all(
    [
      Effect.forEach(ids, one, everyone),
      // The other way round, so that they meet in the middle.
      Effect.map(Effect.forEach(ids.toReversed(), other, everyone), (answers) =>
        answers.toReversed(),
      ),
    ],
    everyone,
  );
};

layer(TestDatabase.layer, { excludeTestServices: true })(
  "of two instances on one database",
  (it) => {
    it.effect(
      "one places, begins, cancels and ends each order",
      () =>
        Effect.gen(function* () {
          const begin = (repository: Repository, order_id: OrderId) =>
            Effect.map(
              beginOne(repository, order_id, 0),
              Option.map(({ order }) => order),
            );
          const a: Repository = yield* instance;
          const b: Repository = yield* instance;
          for (let round = 0; round < 10; round++) {
            const ids = Array.from({ length: 300 }, (_, index) =>
              id(`${round}-${index}`),
            );
            const assertOneEach = (
              what: string,
              answers: readonly [
                ReadonlyArray<boolean>,
                ReadonlyArray<boolean>,
              ],
            ) => {
              for (const [index, order_id] of ids.entries()) {
                assert.notStrictEqual(
                  answers[0][index],
                  answers[1][index],
                  `${what} ${order_id}`,
                );
              }
            };
            const insert = (repository: Repository) => (order_id: OrderId) =>
              Effect.map(
                repository.insert(newOrder(order_id), partition),
                (placement) => placement.isNew,
              );
            assertOneEach("insert", yield* raced(ids, insert(a), insert(b)));

            const [begunByA, cancelledByB] = yield* raced(
              ids,
              (order_id) => begin(a, order_id),
              (order_id) =>
                Number(order_id.split("-")[1]) % 3 === 0
                  ? b.cancel(order_id)
                  : begin(b, order_id),
            );
            assertOneEach("begin", [
              begunByA.map(Option.isSome),
              cancelledByB.map(Option.isSome),
            ]);
            const begun = ids.filter((_, index) =>
              [begunByA[index], cancelledByB[index]].some(
                (answer) =>
                  answer !== undefined &&
                  Option.isSome(answer) &&
                  answer.value.status === "PROCESSING",
              ),
            );
            assert.isAtLeast(begun.length, 200);

            const attempt = (order_id: OrderId) => ({ order_id, attempt: 1 });
            const [completed, failed] = yield* raced(
              begun,
              (order_id) => completeOne(a, attempt(order_id)),
              (order_id) =>
                b.fail({
                  ...attempt(order_id),
                  error: "lost",
                  wait: Duration.zero,
                }),
            );
            for (const [index, order_id] of begun.entries()) {
              assert.notStrictEqual(completed[index], failed[index], order_id);
            }
          }
          yield* assertTallyIsCount(a);
        }),
      60_000,
    );
  },
);
