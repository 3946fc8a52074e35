/** Open orders behind the log position, as after a move without sequences. */
import { assert, describe, it } from "@effect/vitest";
import { Context, Effect, Layer } from "effect";
import { SqlClient } from "effect/sql";
import { TestClock } from "effect/testing";
import { Partition } from "../../src/domain/Partition.ts";
import { Readiness } from "../../src/orders/Readiness.ts";
import { Database } from "../../src/persistence/Database.ts";
import {
  type LogPlace,
  OrderRepository,
  type UnreadFound,
} from "../../src/persistence/OrderRepository.ts";
import { OrderProcessor } from "../../src/processor/OrderProcessor.ts";
import { UnreadOrders } from "../../src/processor/UnreadOrders.ts";
import { startService, until } from "../support/serviceProcess.ts";
import { layerSql, TestDatabase } from "../support/testDatabase.ts";

const partition = Partition.make(3);

/** A search over a repository that counts and finds these, in turn. */
const searching = Effect.fnUntraced(function* (
  counts: ReadonlyArray<number | undefined>,
  steps: ReadonlyArray<UnreadFound>,
) {
  const counted = counts[Symbol.iterator]();
  const stepped = steps[Symbol.iterator]();
  const again: Array<readonly [Partition, LogPlace]> = [];
  let walks = 0;
  const none = { next: undefined, found: [] };
  const context = yield* Layer.build(
    Readiness.layer.pipe(
      Layer.provideMerge(UnreadOrders.layer),
      Layer.provide(
        Layer.mock(OrderRepository, {
          countUnread: Effect.sync(() => counted.next().value ?? undefined),
          findUnread: (after) =>
            Effect.sync(() => {
              if (after === 0n) walks += 1;
              return stepped.next().value ?? none;
            }),
          readAgain: (partition, from) =>
            Effect.sync(() => {
              again.push([partition, from]);
            }),
        }),
      ),
      Layer.provide(
        Layer.mock(OrderProcessor, {
          choosePartition: () => partition,
          handOver: () => {},
          status: () => ({
            owned: [Partition.make(0)],
            down: [],
            stalled: [],
            mailboxDepth: 0,
            inWork: 0,
          }),
        }),
      ),
      Layer.provide(Database.layerMemory),
    ),
  );
  return {
    again,
    walks: () => walks,
    unread: Context.get(context, UnreadOrders),
    readiness: Context.get(context, Readiness),
  };
});

const step = (
  first: bigint,
  orders: number,
  next: bigint | undefined,
): UnreadFound => ({ next, found: [{ partition, first, orders }] });

describe("open orders behind the log position", () => {
  it.effect("are found, and their partition is read again from the first", () =>
    Effect.gen(function* () {
      const { again, readiness, unread, walks } = yield* searching(
        [5, 0],
        [step(4n, 2, 10n), step(12n, 3, undefined)],
      );
      yield* TestClock.adjust("1 second");
      assert.strictEqual(unread.found(), 5);
      assert.deepStrictEqual(again, [[partition, 4n]]);
      // It has only just been told: that may be enough.
      yield* readiness.check;
      yield* TestClock.adjust("30 seconds");
      assert.strictEqual(unread.found(), 0);
      assert.strictEqual(walks(), 1);
    }),
  );

  it.effect(
    "make the service not ready where reading again does not help",
    () =>
      Effect.gen(function* () {
        const { readiness, unread } = yield* searching(
          [2, 2, 0],
          [step(4n, 2, undefined), step(4n, 2, undefined)],
        );
        yield* TestClock.adjust("31 seconds");
        assert.strictEqual(unread.stuck(), 2);
        assert.include(yield* Effect.flip(readiness.check), "2 open orders");
        yield* TestClock.adjust("30 seconds");
        yield* readiness.check;
      }),
  );

  it.effect(
    "are looked for in the log once an hour where they cannot be counted",
    () =>
      Effect.gen(function* () {
        const { walks } = yield* searching([], []);
        yield* TestClock.adjust("59 minutes");
        assert.strictEqual(walks(), 1);
        yield* TestClock.adjust("2 minutes");
        assert.strictEqual(walks(), 2);
      }),
  );

  it.live(
    "are processed by a service over them, as are those it places",
    () =>
      Effect.gen(function* () {
        const { url } = yield* TestDatabase;
        const sql = yield* SqlClient.SqlClient;
        const start = () =>
          startService({
            DATABASE_URL: url,
            PROCESSING_TIME: "10 millis",
            SAMPLE_ORDERS: "0",
          });
        const place = async (service: { readonly url: string }, id: string) => {
          const answer = await fetch(`${service.url}/api/orders/`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({
              order_id: id,
              user_id: id.startsWith("BAD") ? "BAD" : "U",
              item_ids: [1],
              total_amount: 1,
            }),
          });
          return { status: answer.status, body: await answer.json() };
        };
        yield* (yield* Database).migrated;
        // Moved: positions are copied, sequences are not. A service of before
        // has placed orders behind the positions, and was killed.
        yield* sql`UPDATE partition_owners SET place = 1000`;
        yield* sql`
          WITH made AS (
            INSERT INTO orders (order_id, user_id, item_ids, total_amount,
              partition, status, begun, attempts, processing_started_at)
            SELECT 'OLD' || n, 'U', '[]', 1, n % 32,
              CASE WHEN n % 2 = 0 THEN 'PROCESSING' ELSE 'PENDING' END,
              (n + 1) % 2, (n + 1) % 2, now()
            FROM generate_series(1, 40) AS n RETURNING 1
          )
          UPDATE order_statistics SET accepted = 40, pending = 20,
            processing = 20 WHERE slot = 0`;
        yield* sql`ALTER TABLE orders ADD CONSTRAINT none_for_bad
          CHECK (user_id <> 'BAD')`;
        const service = yield* Effect.acquireRelease(
          Effect.promise(start),
          (service) => Effect.promise(() => service.stop()),
        );
        const answers = yield* Effect.promise(() =>
          Promise.all(
            ["A", "B", "BAD", "C", "D"].map((id) => place(service, id)),
          ),
        );
        assert.deepStrictEqual(
          answers.map(({ status }) => status),
          [201, 201, 422, 201, 201],
        );
        assert.deepInclude(answers[2]?.body, {
          type: "urn:order-service:order-not-storable",
        });
        yield* Effect.promise(() =>
          until(
            "all are completed",
            async () => {
              const answer = await fetch(`${service.url}/api/orders/metrics/`);
              const { status_counts } = (await answer.json()) as {
                status_counts: { COMPLETED: number };
              };
              return status_counts.COMPLETED === 44;
            },
            60,
          ),
        );
        assert.include(service.output(), "orders_seq");
        assert.include(service.output(), "40 open orders are behind");
        const [numbers] = yield* sql<{ low: bigint }>`
          SELECT min(seq) AS low FROM orders WHERE order_id NOT LIKE 'OLD%'`;
        assert.isAbove(Number(numbers?.low), 1000);
      }).pipe(Effect.provide(Layer.provideMerge(Database.layer, layerSql))),
    120_000,
  );
});
