/**
 * On a real PostgreSQL: another session holds the rows of some orders, and
 * lists take long. Whoever asks for anything else does not notice.
 */
import { assert, it } from "@effect/vitest";
import { Duration, Effect, Exit, Fiber, Layer, Option, Redacted } from "effect";
import { SqlClient } from "effect/sql";
import { UserId } from "../../src/domain/Order.ts";
import { Partition } from "../../src/domain/Partition.ts";
import { Database } from "../../src/persistence/Database.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as Postgres from "../../src/platform/Postgres.ts";
import { beginOne, completeOne } from "../support/oneOrder.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { assertTallyIsCount, id, newOrder } from "./orderRepositorySuite.ts";

const partition = Partition.make(1);

/** Who reads the rows of this user waits for each of them. */
const slowUser = UserId.make("SLOW");

/** As the service's, but for a user whom a policy of the table concerns. */
const repositoryLayer = (url: string) => {
  const asUser = new URL(url);
  asUser.username = `${asUser.pathname.slice(1)}_user`;
  return OrderRepositorySql.layer.pipe(
    Layer.provideMerge(Database.layer),
    Layer.provideMerge(
      Postgres.layer({ url: Redacted.make(asUser.toString()), poolSize: 10 }),
    ),
  );
};

const administrator = Effect.flatMap(TestDatabase, ({ url }) =>
  Effect.map(
    Layer.build(Postgres.layer({ url: Redacted.make(url), poolSize: 3 })),
    (context) => Effect.provide(SqlClient.SqlClient, context),
  ),
).pipe(Effect.flatten);

const role = Effect.fnUntraced(function* (sql: SqlClient.SqlClient) {
  const [row] = yield* sql<{ name: string }>`
    SELECT current_database()::text AS name`;
  const user = sql(`${row?.name}_user`);
  yield* Effect.acquireRelease(
    sql`CREATE ROLE ${user} LOGIN PASSWORD ${sql.literal("'password'")}`,
    () =>
      Effect.ignore(
        Effect.andThen(
          sql`DROP OWNED BY ${user} CASCADE`,
          sql`DROP ROLE ${user}`,
        ),
      ),
  );
  yield* sql`GRANT ALL ON SCHEMA public TO ${user}`;
});

const slowDown = Effect.fnUntraced(function* (sql: SqlClient.SqlClient) {
  yield* sql`CREATE POLICY slow ON orders USING (
    CASE WHEN user_id = ${sql.literal(`'${slowUser}'`)}
      THEN pg_sleep(20) IS NOT NULL ELSE true END)`;
  yield* sql`ALTER TABLE orders ENABLE ROW LEVEL SECURITY`;
  yield* sql`ALTER TABLE orders FORCE ROW LEVEL SECURITY`;
});

it.live(
  "a row that another session holds stalls no other order",
  () =>
    Effect.gen(function* () {
      const sql = yield* administrator;
      yield* role(sql);
      const { url } = yield* TestDatabase;
      const context = yield* Layer.build(repositoryLayer(url));
      const database = yield* Effect.provide(Database, context);
      const repository = yield* Effect.provide(OrderRepository, context);
      yield* database.migrated;
      for (const order_id of ["pending", "held", "free"]) {
        yield* repository.insert(newOrder(order_id), partition);
      }
      yield* repository.insert(
        { ...newOrder("slow"), user_id: slowUser },
        partition,
      );
      yield* beginOne(repository, id("held"), 0);
      yield* beginOne(repository, id("free"), 0);
      yield* slowDown(sql);

      const completed = (order_id: string) =>
        completeOne(repository, { order_id: id(order_id), attempt: 1 });
      const slowLists = yield* Effect.forkScoped(
        Effect.forEach(
          Array.from({ length: 20 }),
          () => Effect.exit(repository.list({ limit: 10, user_id: slowUser })),
          { concurrency: "unbounded" },
        ),
      );
      yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`SELECT 1 FROM orders
            WHERE order_id IN ('pending', 'held') FOR UPDATE`;
          const cancel = yield* Effect.forkScoped(
            Effect.flip(repository.cancel("pending")),
          );
          const held = yield* Effect.forkScoped(Effect.flip(completed("held")));
          // In the same statement, at first, as the one that is held.
          const free = yield* Effect.forkScoped(completed("free"));

          const [asked] = yield* Effect.timed(
            Effect.all([
              repository.insert(newOrder("new"), partition),
              repository.find("slow2"),
              repository.find("free"),
              repository.tally,
              database.check,
            ]),
          );
          assert.isBelow(Duration.toMillis(asked), 3000);

          assert.isTrue(yield* Fiber.join(free));
          assert.isTrue((yield* Fiber.join(held)).isHeld);
          assert.isUndefined((yield* Fiber.join(cancel)).isHeld);

          // From now on nobody waits for it, not even once.
          const [again, [refused, begun]] = yield* Effect.timed(
            Effect.all(
              [
                Effect.flip(completed("held")),
                beginOne(repository, id("new"), 0),
              ],
              { concurrency: "unbounded" },
            ),
          );
          assert.isTrue(refused.isHeld);
          assert.isTrue(Option.isSome(begun));
          assert.isBelow(Duration.toMillis(again), 900);
        }),
      );
      assert.isTrue(yield* completed("held"));
      assert.isTrue(Option.isSome(yield* repository.cancel("pending")));
      yield* Fiber.interrupt(slowLists);
      yield* sql`ALTER TABLE orders NO FORCE ROW LEVEL SECURITY`;
      yield* assertTallyIsCount(repository);
    }).pipe(Effect.provide(TestDatabase.layer)),
  60_000,
);

it.live(
  "a list that takes too long is ended, and says so",
  () =>
    Effect.gen(function* () {
      const sql = yield* administrator;
      yield* role(sql);
      const { url } = yield* TestDatabase;
      const context = yield* Layer.build(repositoryLayer(url));
      const database = yield* Effect.provide(Database, context);
      const repository = yield* Effect.provide(OrderRepository, context);
      yield* database.migrated;
      yield* repository.insert(
        { ...newOrder("slow"), user_id: slowUser },
        partition,
      );
      yield* slowDown(sql);
      const [time, exit] = yield* Effect.timed(
        Effect.exit(repository.list({ limit: 10, user_id: slowUser })),
      );
      assert.isTrue(Exit.isFailure(exit));
      assert.isBelow(Duration.toMillis(time), 8000);
    }).pipe(Effect.provide(TestDatabase.layer)),
  60_000,
);
