/** One order whose data the database refuses, among others. */
import { assert, layer } from "@effect/vitest";
import { Effect, Layer, Option, Result } from "effect";
import { SqlClient } from "effect/sql";
import { UserId } from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { Database } from "../../src/persistence/Database.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as TestDatabase from "../support/testDatabase.ts";
import { assertTallyIsCount, id, newOrder } from "./orderRepositorySuite.ts";

const partition = Partition.make(7);

const repositoryLayer = Layer.effectDiscard(
  Effect.flatMap(Database, (database) => database.migrated),
).pipe(
  Layer.provideMerge(OrderRepositorySql.layer),
  Layer.provideMerge(Database.layer),
  Layer.provideMerge(TestDatabase.layerSql),
);

/** Refuses what is placed for BAD (23514), and changes of FIXED orders (22003). */
const refuse = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  yield* sql`ALTER TABLE orders ADD CONSTRAINT none_for_bad
    CHECK (user_id <> 'BAD')`;
  yield* sql`CREATE FUNCTION keep_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'it is fixed' USING ERRCODE = '22003';
    END $$`;
  yield* sql`CREATE TRIGGER keep_fixed BEFORE UPDATE ON orders FOR EACH ROW
    WHEN (old.order_id LIKE 'FIXED%') EXECUTE FUNCTION keep_fixed()`;
});

const together = { concurrency: "unbounded" } as const;

const orders = (name: string) =>
  Array.from({ length: 30 }, (_, n) =>
    newOrder(`${name}${n}`, n === 17 ? { user_id: "BAD" } : {}),
  );

layer(repositoryLayer, { excludeTestServices: true })(
  "an order whose data the database refuses",
  (it) => {
    it.effect("is refused alone, and the orders beside it are placed", () =>
      Effect.gen(function* () {
        yield* refuse;
        const repository = yield* OrderRepository;
        const answers = yield* Effect.forEach(
          orders("A"),
          (order) => Effect.result(repository.insert(order, partition)),
          together,
        );
        const refused = answers.filter(Result.isFailure);
        assert.lengthOf(refused, 1);
        const [answer] = refused;
        assert.deepInclude(answer?.failure, {
          _tag: "OrderRefused",
          code: "23514",
        });
        const many = yield* repository.insertMany(
          orders("B").map((order) => ({ order, partition })),
        );
        assert.deepStrictEqual(
          many.flatMap((one, n) => (Result.isFailure(one) ? [n] : [])),
          [17],
        );
        yield* assertTallyIsCount(repository);
      }),
    );

    it.effect(
      "is refused with all of its batch that is placed as a whole",
      () =>
        Effect.gen(function* () {
          const repository = yield* OrderRepository;
          const refusal = yield* Effect.flip(
            repository.insertAllOrNone(
              orders("C").map((order) => ({ order, partition })),
            ),
          );
          assert.strictEqual(refusal._tag, "OrderRefused");
          assert.isTrue(Option.isNone(yield* repository.find("C0")));
        }),
    );

    it.effect("is passed over by begin and a bulk change, and ends alone", () =>
      Effect.gen(function* () {
        const repository = yield* OrderRepository;
        const sql = yield* SqlClient.SqlClient;
        const ids = ["D0", "D1", "FIXED", "D3", "LATER"].map(id);
        for (const order_id of ids) {
          yield* repository.insert(
            newOrder(order_id, { user_id: "U9" }),
            partition,
          );
        }
        const { epoch } = yield* repository.claim(partition);
        const begun = yield* repository.begin(
          ids.map((order_id) => ({ order_id, epoch, item_bytes: 0 })),
        );
        assert.deepStrictEqual(
          begun.map((one) => Option.isSome(Result.getOrThrow(one))),
          [true, true, false, true, true],
        );
        yield* sql`ALTER TABLE orders DISABLE TRIGGER keep_fixed`;
        yield* sql`UPDATE orders SET order_id = 'FIXED2' WHERE order_id = 'LATER'`;
        yield* sql`ALTER TABLE orders ENABLE TRIGGER keep_fixed`;
        const ended = yield* repository.complete(
          ["D0", "FIXED2", "D1"].map((order_id) => ({
            order_id: id(order_id),
            attempt: 1,
          })),
        );
        assert.deepStrictEqual(
          ended.map((one) =>
            Result.isSuccess(one) ? one.success : one.failure.isHeld,
          ),
          [true, true, true],
        );
        assert.isTrue(Result.isFailure(ended[1] as (typeof ended)[0]));
        yield* repository.insert(newOrder("E", { user_id: "U9" }), partition);
        const { orders: cancelled } = yield* repository.cancelMany({
          user_id: UserId.make("U9"),
          limit: 100,
        });
        assert.deepStrictEqual(cancelled, [id("E")]);
        yield* assertTallyIsCount(repository);
      }),
    );
  },
);
