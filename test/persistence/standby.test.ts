/**
 * A synchronous standby that is away: `synchronous_standby_names` names one
 * that never comes. What is committed waits for it, and may be lost until then.
 */
import { assert, it } from "@effect/vitest";
import { Context, Effect, Exit, Fiber, Layer, Redacted } from "effect";
import { Partition } from "../../src/domain/Partition.ts";
import { Database } from "../../src/persistence/Database.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import { ProcessingStore } from "../../src/persistence/ProcessingStore.ts";
import * as ProcessingStoreSql from "../../src/persistence/ProcessingStoreSql.ts";
import { SubscriptionStore } from "../../src/persistence/SubscriptionStore.ts";
import * as SubscriptionStoreSql from "../../src/persistence/SubscriptionStoreSql.ts";
import * as Postgres from "../../src/platform/Postgres.ts";
import {
  type PostgresServer,
  startPostgres,
} from "../support/postgresServer.ts";
import { until } from "../support/serviceProcess.ts";
import { newOrder } from "./orderRepositorySuite.ts";

const partition = Partition.make(1);
const away = "nobody";

const started = Effect.acquireRelease(
  Effect.promise(() => startPostgres()),
  (postgres) => Effect.promise(() => postgres.stop()),
);

const servicesOn = Effect.fnUntraced(function* (url: string) {
  const context = yield* Layer.build(
    Layer.mergeAll(
      OrderRepositorySql.layer,
      ProcessingStoreSql.layer,
      SubscriptionStoreSql.layer,
    ).pipe(
      Layer.provideMerge(Database.layer),
      Layer.provideMerge(
        Postgres.layer({ url: Redacted.make(url), poolSize: 10 }),
      ),
    ),
  );
  yield* Context.get(context, Database).migrated;
  return {
    repository: Context.get(context, OrderRepository),
    processing: Context.get(context, ProcessingStore),
    subscriptions: Context.get(context, SubscriptionStore),
  };
});

/** An administrator's session, which waits for no standby. */
const administratorOf = Effect.fnUntraced(function* ({
  server,
}: PostgresServer) {
  const client = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const client = server.getPgClient("postgres", "127.0.0.1");
      await client.connect();
      await client.query("SET synchronous_commit = local");
      return client;
    }),
    (client) => Effect.promise(() => client.end()),
  );
  const query = (text: string) =>
    Effect.promise(async () => (await client.query(text)).rows);
  const waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
  return {
    query,
    /** The setting holds for sessions that there are once they have read it. */
    needStandby: Effect.fnUntraced(function* (name: string) {
      yield* query(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`);
      yield* query("SELECT pg_reload_conf()");
      yield* Effect.promise(() =>
        until(
          "the setting is read",
          async () =>
            (await client.query("SHOW synchronous_standby_names")).rows[0]
              ?.synchronous_standby_names === name,
        ),
      );
    }),
    /** Until a commit waits for the standby, or `orDone`. */
    untilOneWaits: (orDone: () => boolean) =>
      Effect.promise(() =>
        until(
          "a commit waits for the standby",
          async () =>
            orDone() ||
            ((await client.query(`SELECT 1 ${waiting}`)).rowCount ?? 0) > 0,
        ),
      ),
    /** As an administrator may: what waits is committed here, and only here. */
    cancelWaits: query(`SELECT pg_cancel_backend(pid) ${waiting}`),
  };
});

const isDone = (fiber: Fiber.Fiber<unknown, unknown>) => () =>
  fiber.pollUnsafe() !== undefined;

it.live(
  "a caller who leaves cancels no change that waits for the standby, and hears of none before it is there",
  () =>
    Effect.gen(function* () {
      const postgres = yield* started;
      const { repository } = yield* servicesOn(`${postgres.url}/postgres`);
      const { needStandby, query, untilOneWaits } =
        yield* administratorOf(postgres);
      yield* repository.insert(newOrder("to-cancel"), partition);
      const large = newOrder("large", { item_ids: ["x".repeat(600_000)] });
      const stored = query("SELECT order_id, status FROM orders ORDER BY seq");
      const changes = {
        "a batch as a whole": Effect.asVoid(
          repository.insertAllOrNone([
            { order: newOrder("first"), partition },
            { order: newOrder("second"), partition },
          ]),
        ),
        "a large order": Effect.asVoid(repository.insert(large, partition)),
        "a cancel": Effect.asVoid(repository.cancel("to-cancel")),
      };
      for (const [name, change] of Object.entries(changes)) {
        const before = yield* stored;
        yield* needStandby(away);
        const left = yield* Effect.forkChild(change);
        yield* untilOneWaits(isDone(left));
        yield* Fiber.interrupt(left);
        const again = yield* Effect.exit(change);
        assert.isTrue(Exit.isFailure(again), `${name}, asked again`);
        // A cancel would have committed it here alone, for all to see.
        assert.deepStrictEqual(yield* stored, before, `${name}, seen early`);
        // The standby is there.
        yield* needStandby("");
        yield* change;
      }
      assert.sameDeepMembers(yield* stored, [
        { order_id: "first", status: "PENDING" },
        { order_id: "second", status: "PENDING" },
        { order_id: "large", status: "PENDING" },
        { order_id: "to-cancel", status: "CANCELLED" },
      ]);

      // The service stops all the same while one waits.
      yield* needStandby(away);
      const last = yield* Effect.forkChild(
        repository.insertAllOrNone([{ order: newOrder("last"), partition }]),
      );
      yield* untilOneWaits(isDone(last));
      yield* Fiber.interrupt(last);
    }),
  90_000,
);

it.live(
  "what is committed here alone answers no change before the standby is there",
  () =>
    Effect.gen(function* () {
      const postgres = yield* started;
      const { processing, repository, subscriptions } = yield* servicesOn(
        `${postgres.url}/postgres`,
      );
      const { cancelWaits, needStandby, query, untilOneWaits } =
        yield* administratorOf(postgres);
      const one = { order: newOrder("one"), partition };
      const large = newOrder("large", { item_ids: ["x".repeat(600_000)] });
      yield* subscriptions.insert({
        id: "subscription",
        url: "https://example.com/",
        types: ["order.placed"],
        secret: "secret",
        place: { record: 0n, index: 0 },
      });

      // Committed here alone, by a session whose wait was cancelled.
      yield* needStandby(away);
      const alone: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        repository.insert(one.order, partition),
        repository.insert(newOrder("done"), partition),
        repository.insert(large, partition),
        repository.cancel("done"),
        subscriptions.pause("subscription"),
        processing.change("PAUSED", undefined),
      ];
      for (const change of alone) {
        const fiber = yield* Effect.forkChild(Effect.exit(change));
        yield* untilOneWaits(isDone(fiber));
        yield* cancelWaits;
        yield* Fiber.await(fiber);
      }
      yield* query(`INSERT INTO archived_orders (order_id, digest)
        SELECT 'archived', order_digest('USER001', 12.5, '["ITEM001"]')`);
      yield* query("SELECT nextval('order_archive_claims')");

      const repeated = {
        "a placing": Effect.exit(repository.insert(one.order, partition)),
        "a placing of a large order": Effect.exit(
          repository.insert(large, partition),
        ),
        "a placing of an archived order": Effect.exit(
          repository.insert(newOrder("archived"), partition),
        ),
        "a batch": Effect.exit(repository.insertMany([one])),
        "a batch as a whole": Effect.exit(repository.insertAllOrNone([one])),
        "a batch as a whole of archived orders": Effect.exit(
          repository.insertAllOrNone([
            { order: newOrder("archived"), partition },
          ]),
        ),
        "a cancel": Effect.exit(repository.cancel("done")),
        "a retry": Effect.exit(repository.retry("one")),
        "a bulk cancel": Effect.exit(
          repository.cancelMany({ limit: 10, user_id: newOrder("x").user_id }),
        ),
        "a bulk retry": Effect.exit(repository.retryMany({ limit: 10 })),
        "a pause of a subscription": Effect.exit(
          subscriptions.pause("subscription"),
        ),
        "a pause": Effect.exit(processing.change("PAUSED", undefined)),
      };
      for (const [name, again] of Object.entries(repeated)) {
        yield* needStandby(away);
        const fiber = yield* Effect.forkChild(again);
        yield* untilOneWaits(isDone(fiber));
        assert.isFalse(isDone(fiber)(), `${name} waits for the standby`);
        // Whoever only reads does not.
        yield* repository.find("one");
        yield* needStandby("");
        yield* Fiber.join(fiber);
      }
    }),
  90_000,
);
