/** Two PostgreSQL in one `DATABASE_URL`, of which one at a time takes changes. */
import { assert, it } from "@effect/vitest";
import { Context, Effect, Exit, Layer, Redacted } from "effect";
import { Partition } from "../../src/domain/Partition.ts";
import { Database } from "../../src/persistence/Database.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as Postgres from "../../src/platform/Postgres.ts";
import {
  type PostgresServer,
  startPostgres,
} from "../support/postgresServer.ts";
import { until } from "../support/serviceProcess.ts";
import { newOrder } from "./orderRepositorySuite.ts";

const partition = Partition.make(1);

const started = Effect.acquireRelease(
  Effect.promise(() => startPostgres()),
  (postgres) => Effect.promise(() => postgres.stop()),
);

const repositoryOn = Effect.fnUntraced(function* (url: string) {
  const context = yield* Layer.build(
    Layer.fresh(
      OrderRepositorySql.layer.pipe(
        Layer.provideMerge(Database.layer),
        Layer.provideMerge(
          Postgres.layer({ url: Redacted.make(url), poolSize: 10 }),
        ),
      ),
    ),
  );
  yield* Context.get(context, Database).migrated;
  return Context.get(context, OrderRepository);
});

const administer = (
  { server }: PostgresServer,
  ...statements: ReadonlyArray<string>
) =>
  Effect.promise(async () => {
    const client = server.getPgClient("postgres", "127.0.0.1");
    await client.connect();
    await client.query("SET default_transaction_read_only = off");
    for (const statement of statements) await client.query(statement);
    await client.end();
  });

/** As a standby: it answers, and takes no changes, on sessions there are, too. */
const makeStandby = (postgres: PostgresServer) =>
  administer(
    postgres,
    "ALTER SYSTEM SET default_transaction_read_only = on",
    "SELECT pg_reload_conf()",
  );

const promote = (postgres: PostgresServer) =>
  administer(
    postgres,
    "ALTER SYSTEM SET default_transaction_read_only = off",
    "SELECT pg_reload_conf()",
  );

it.live(
  "orders go to whichever host is the primary",
  () =>
    Effect.gen(function* () {
      const one = yield* started;
      const other = yield* started;
      // Both have the schema, as a standby would have from its primary.
      for (const { url } of [one, other]) {
        yield* Effect.scoped(repositoryOn(`${url}/postgres`));
      }
      yield* makeStandby(one);
      const hosts = [one, other].map(({ url }) => new URL(url).host);
      const repository = yield* repositoryOn(
        `postgres://postgres:password@${hosts.join()}/postgres`,
      );
      const isOn = (postgres: PostgresServer, order_id: string) =>
        Effect.promise(async () => {
          const client = postgres.server.getPgClient("postgres", "127.0.0.1");
          await client.connect();
          const { rowCount } = await client.query(
            "SELECT 1 FROM orders WHERE order_id = $1",
            [order_id],
          );
          await client.end();
          return rowCount === 1;
        });
      const place = (order_id: string) =>
        Effect.promise(() =>
          until(`${order_id} is placed`, async () =>
            Exit.isSuccess(
              await Effect.runPromiseExit(
                repository.insert(newOrder(order_id), partition),
              ),
            ),
          ),
        );

      yield* repository.insert(newOrder("first"), partition);
      assert.isTrue(yield* isOn(other, "first"));

      // A switchover that ends no session.
      yield* makeStandby(other);
      yield* promote(one);
      yield* place("second");
      assert.isTrue(yield* isOn(one, "second"));

      // A failover: the primary is gone.
      yield* promote(other);
      yield* Effect.promise(() => one.crash());
      yield* place("third");
      assert.isTrue(yield* isOn(other, "third"));
      assert.isTrue((yield* repository.find("first"))._tag === "Some");
    }),
  90_000,
);
