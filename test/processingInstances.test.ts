/**
 * Two processes on one PostgreSQL: a pause through one is in force on the other,
 * who has which partition is told, and that one was killed. History outlives
 * them.
 */
import { assert, layer } from "@effect/vitest";
import { Effect } from "effect";
import {
  type ServiceProcess,
  startService,
  until,
} from "./support/serviceProcess.ts";
import { layerSql, TestDatabase } from "./support/testDatabase.ts";

interface Told {
  readonly state: string;
  readonly instances: ReadonlyArray<{
    readonly name: string;
    readonly state: string;
    readonly partitions: ReadonlyArray<number>;
  }>;
}

const ask = async <A>(
  { url }: ServiceProcess,
  path: string,
  init?: RequestInit,
): Promise<A> => {
  const response = await fetch(`${url}${path}`, init);
  return (await response.json()) as A;
};

const told = (service: ServiceProcess) =>
  ask<Told>(service, "/api/processing/");

const post = (service: ServiceProcess, action: "pause" | "resume") =>
  ask<Told>(service, `/api/processing/${action}/`, { method: "POST" });

const place = (service: ServiceProcess, order_id: string) =>
  ask<{ status: string }>(service, "/api/orders/", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      order_id,
      user_id: "USER001",
      item_ids: [1],
      total_amount: 1,
    }),
  });

const statusOf = async (service: ServiceProcess, order_id: string) =>
  (await ask<{ status: string }>(service, `/api/orders/${order_id}/`)).status;

const service = Effect.gen(function* () {
  const { url } = yield* TestDatabase;
  return yield* Effect.acquireRelease(
    Effect.promise(() =>
      startService(
        { DATABASE_URL: url, PROCESSING_TIME: "0 seconds" },
        "ready",
      ),
    ),
    (process) => Effect.promise(() => process.stop("SIGKILL")),
  );
});

/** When all partitions are owned, by so many instances. */
const untilShared = (asked: ServiceProcess, count: number) =>
  until(`${count} instances share all partitions`, async () => {
    const { instances } = await told(asked);
    const owned = instances.flatMap(({ partitions }) => partitions);
    return (
      instances.length === count &&
      instances.every(({ partitions }) => partitions.length > 0) &&
      new Set(owned).size === 32 &&
      owned.length === 32 &&
      instances
    );
  });

layer(layerSql, { excludeTestServices: true, timeout: 120_000 })(
  "two instances",
  (it) => {
    it.effect(
      "are paused and resumed together, and told of while they live",
      () =>
        Effect.gen(function* () {
          const one = yield* service;
          const other = yield* service;
          yield* Effect.promise(async () => {
            await untilShared(one, 2);
            await post(one, "pause");
            const began = performance.now();
            await until("the pause is in force on both", async () => {
              const { instances } = await told(one);
              return (
                instances.length === 2 &&
                instances.every(({ state }) => state === "PAUSED")
              );
            });
            // It says so with its next report: a second more than it takes.
            assert.isBelow(performance.now() - began, 3000 + slack);

            const ids = Array.from({ length: 20 }, (_, n) => `paused-${n}`);
            for (const id of ids) {
              assert.strictEqual((await place(other, id)).status, "PENDING");
            }
            const { state } = await told(other);
            assert.strictEqual(state, "PAUSED");

            await post(other, "resume");
            for (const id of ids) {
              await until(
                `${id} is done`,
                async () => (await statusOf(one, id)) === "COMPLETED",
              );
            }

            await other.stop("SIGKILL");
            await untilShared(one, 1);
          });
        }),
    );

    it.effect(
      "leave a pause and the history to those that come after them",
      () =>
        Effect.gen(function* () {
          const one = yield* service;
          const before = yield* Effect.promise(async () => {
            await post(one, "pause");
            await place(one, "waits");
            const kept = await until("a sample", async () => {
              const { samples } = await ask<{ samples: ReadonlyArray<object> }>(
                one,
                "/api/orders/metrics/history/",
              );
              return samples.length > 0 && samples;
            });
            await one.stop();
            return kept;
          });
          const next = yield* service;
          yield* Effect.promise(async () => {
            const { samples } = await ask<{ samples: ReadonlyArray<object> }>(
              next,
              "/api/orders/metrics/history/?step=10",
            );
            for (const sample of before) assert.deepInclude(samples, sample);
            await until("it has the partitions", async () => {
              const { instances } = await told(next);
              return instances.some(
                ({ partitions, state }) =>
                  partitions.length === 32 && state === "PAUSED",
              );
            });
            assert.strictEqual(await statusOf(next, "waits"), "PENDING");
            await post(next, "resume");
            await until(
              "it is done",
              async () => (await statusOf(next, "waits")) === "COMPLETED",
            );
          });
        }),
    );
  },
);

/** For a machine that does much else. */
const slack = 2000;
