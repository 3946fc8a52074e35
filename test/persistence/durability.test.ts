/** What real processes keep when they are killed, and what they refuse. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import {
  type RuntimeName,
  runtimes,
  spawnService,
  startService,
  until,
} from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

type Environment = Readonly<Record<string, string>>;

const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "orders-durability-"))),
  (directory) => Effect.promise(() => rm(directory, { recursive: true })),
);

/** A running service, killed when the test is over however that ends. */
const running = (environment: Environment, runtime: RuntimeName) =>
  Effect.acquireRelease(
    Effect.promise(() => startService(environment, "ready", { runtime })),
    (service) => Effect.promise(() => service.stop("SIGKILL")),
  );

/** Callers that place orders at once, each the next when it has its answer. */
const callers = 16;

/** Orders are placed until so many are accepted, and then the service dies. */
const placeUntilKilled = (
  environment: Environment,
  runtime: RuntimeName,
  round: number,
  acceptedMin: number,
) =>
  Effect.gen(function* () {
    const service = yield* running(environment, runtime);
    const accepted: Array<string> = [];
    let next = 0;
    const caller = async () => {
      while (true) {
        const order_id = `R${round}-${next++}`;
        const status = await place(service.url, order_id);
        if (status === undefined) return;
        assert.strictEqual(status, 201);
        accepted.push(order_id);
        if (accepted.length === acceptedMin) service.child.kill("SIGKILL");
      }
    };
    yield* Effect.promise(() =>
      Promise.all(Array.from({ length: callers }, caller)),
    );
    assert.strictEqual(yield* Effect.promise(() => service.ended), "SIGKILL");
    return accepted;
  }).pipe(Effect.scoped);

/** The status of the answer; none when the service is gone. */
const place = async (url: string, order_id: string) => {
  try {
    const response = await fetch(`${url}/api/orders/`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        order_id,
        user_id: "USER001",
        item_ids: ["ITEM001"],
        total_amount: 99.99,
      }),
    });
    await response.body?.cancel();
    return response.status;
  } catch {
    return undefined;
  }
};

interface Metrics {
  readonly status_counts: Readonly<Record<string, number>>;
}

const get = async <A>(url: string): Promise<A> =>
  (await (await fetch(url)).json()) as A;

const rounds = 3;

const losesNothing = (environment: Environment, runtime: RuntimeName) =>
  Effect.gen(function* () {
    const accepted: Array<string> = [];
    for (let round = 0; round < rounds; round++) {
      // A moment of its own each time, within what is accepted in a second.
      const moment = 100 + Math.floor(Math.random() * 400);
      accepted.push(
        ...(yield* placeUntilKilled(environment, runtime, round, moment)),
      );
    }
    const service = yield* running(environment, runtime);
    yield* Effect.promise(() =>
      until(
        "every order is COMPLETED",
        async () => {
          const { status_counts } = await get<Metrics>(
            `${service.url}/api/orders/metrics/`,
          );
          return status_counts.PENDING === 0 && status_counts.PROCESSING === 0;
        },
        60,
      ),
    );
    for (const order_id of accepted) {
      const order = yield* Effect.promise(() =>
        get<{ status: string }>(`${service.url}/api/orders/${order_id}/`),
      );
      assert.strictEqual(order.status, "COMPLETED", order_id);
    }
    const { status_counts } = yield* Effect.promise(() =>
      get<Metrics>(`${service.url}/api/orders/metrics/`),
    );
    // Those placed but not answered before the end may be there too.
    assert.isAtLeast(status_counts.COMPLETED ?? 0, accepted.length);
    assert.isAtMost(
      status_counts.COMPLETED ?? 0,
      accepted.length + rounds * callers,
    );
    assert.strictEqual(status_counts.FAILED, 0);
    assert.strictEqual(yield* Effect.promise(() => service.stop()), 0);
  });

describe.each(runtimes)(
  "a service on %s that is killed while orders are placed",
  (runtime) => {
    it.live(
      "completes every order it had accepted, on the embedded database",
      () =>
        Effect.gen(function* () {
          const dataDir = yield* temporaryDirectory;
          yield* losesNothing(
            {
              DATA_DIR: dataDir,
              PROCESSING_TIME: "20 millis",
            },
            runtime,
          );
        }),
      240_000,
    );

    it.live(
      "completes every order it had accepted, on PostgreSQL",
      () =>
        Effect.gen(function* () {
          const { url } = yield* TestDatabase;
          yield* losesNothing(
            {
              DATABASE_URL: url,
              PROCESSING_TIME: "20 millis",
            },
            runtime,
          );
        }).pipe(Effect.provide(TestDatabase.layer)),
      240_000,
    );
  },
);

describe.each(runtimes)(
  "a second service on %s on the same DATA_DIR",
  (runtime) => {
    it.live(
      "is refused in one line, and the first goes on",
      () =>
        Effect.gen(function* () {
          const dataDir = yield* temporaryDirectory;
          const environment = {
            DATA_DIR: dataDir,
            PROCESSING_TIME: "0 millis",
          };
          const first = yield* running(environment, runtime);
          const second = spawnService(environment, { runtime });
          assert.strictEqual(yield* Effect.promise(() => second.ended), 1);
          const lines = second.output().trim().split("\n");
          assert.strictEqual(lines.length, 1, second.output());
          assert.include(
            lines[0],
            `Another process uses the data in "${dataDir}"`,
          );
          assert.strictEqual(
            yield* Effect.promise(() => place(first.url, "A")),
            201,
          );
          // What is killed leaves no lock behind.
          yield* Effect.promise(() => first.stop("SIGKILL"));
          const third = yield* running(environment, runtime);
          yield* Effect.promise(() =>
            until("the order is COMPLETED", async () => {
              const order = await get<{ status: string }>(
                `${third.url}/api/orders/A/`,
              );
              return order.status === "COMPLETED";
            }),
          );
          assert.strictEqual(yield* Effect.promise(() => third.stop()), 0);
        }),
      60_000,
    );
  },
);
