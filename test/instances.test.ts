/**
 * Several instances under one supervisor: real processes on one port and one
 * PostgreSQL, killed and stopped for real.
 */
import { readFile } from "node:fs/promises";
import { Agent, createServer, request } from "node:http";
import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import { SqlClient } from "effect/sql";
import {
  type ServiceProcess,
  spawnService,
  startService,
  until,
} from "./support/serviceProcess.ts";
import { layerSql, TestDatabase } from "./support/testDatabase.ts";

/** Asks on a connection of its own, so that any instance may be the one asked. */
const ask = (url: string, body?: object) =>
  new Promise<{ readonly status: number; readonly text: string }>(
    (resolve, reject) => {
      const agent = new Agent({ keepAlive: false });
      const asked = request(
        url,
        {
          agent,
          method: body === undefined ? "GET" : "POST",
          headers: { "content-type": "application/json" },
        },
        (response) => {
          let text = "";
          response.on("data", (chunk) => {
            text += chunk;
          });
          response.on("end", () =>
            resolve({ status: response.statusCode ?? 0, text }),
          );
          response.on("error", reject);
        },
      );
      asked.on("error", reject);
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    },
  );

/** Places orders, each until it is answered: an instance may die meanwhile. */
const place = (url: string, ids: ReadonlyArray<string>) =>
  Promise.all(
    ids.map((order_id) =>
      until(`${order_id} placed`, async () => {
        const { status } = await ask(`${url}/api/orders/`, {
          order_id,
          user_id: "U",
          item_ids: ["ITEM001"],
          total_amount: 19.9,
        });
        return status === 201 || status === 200;
      }),
    ),
  );

const named = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`);

/** The processes that a process has started. */
const childrenOf = async (pid: number): Promise<ReadonlyArray<number>> =>
  (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8"))
    .split(" ")
    .filter(Boolean)
    .map(Number);

/** One that has ended may not have been collected yet, if nobody does. */
const isAlive = async (pid: number) => {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat !== "" && !stat.includes(") Z ");
};

/** The lines of log, but for what is said once the log is gone. */
const linesOf = ({ output }: ServiceProcess) =>
  output()
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const awaitLines = (service: ServiceProcess, message: string, count: number) =>
  until(`${count} times "${message}"`, async () => {
    const said = linesOf(service).filter((line) => line.message === message);
    return said.length >= count;
  });

/** Who owns which partitions, once all 32 are owned, each by one of `count`. */
const awaitShares = async (url: string, count: number) => {
  let shares = new Map<string, ReadonlyArray<number>>();
  await until(
    `${count} instances with all the partitions between them`,
    async () => {
      const { text } = await ask(`${url}/health/ready`);
      const { partitions } = JSON.parse(text) as {
        readonly partitions?: ReadonlyArray<number>;
      };
      if (partitions === undefined) return false;
      // A share that overlaps with this one is out of date.
      shares = new Map(
        Array.from(shares).filter(
          ([, share]) => !share.some((_) => partitions.includes(_)),
        ),
      ).set(partitions.join(), partitions);
      const owned = Array.from(shares.values()).flat().length;
      return shares.size === count && owned === 32;
    },
  );
  return Array.from(shares.values(), (share) => share.length);
};

/** Instances under a supervisor, killed in the end whatever became of them. */
const instances = Effect.fnUntraced(function* (
  count: number,
  env: Record<string, string> = {},
) {
  const { url } = yield* TestDatabase;
  return yield* Effect.acquireRelease(
    Effect.promise(() =>
      startService(
        {
          DATABASE_URL: url,
          // The names decide who gets which partitions: the same each time.
          RUNNER_HOST: "test",
          RUNNER_PORT: "1",
          ...env,
        },
        "listening",
        { args: ["--instances", String(count)] },
      ),
    ),
    (service) =>
      Effect.promise(async () => {
        if (service.child.exitCode === null) await service.stop("SIGKILL");
      }),
  );
});

const countOf = Effect.fnUntraced(function* (status: string) {
  const sql = yield* SqlClient.SqlClient;
  const rows = yield* sql<{ readonly count: number }>`
    SELECT count(*)::int AS count FROM orders WHERE status = ${status}`;
  return rows[0]?.count;
});

const awaitCompleted = (url: string, count: number) =>
  until(`${count} orders COMPLETED`, async () => {
    const { text } = await ask(`${url}/api/orders/metrics/`);
    const { status_counts } = JSON.parse(text) as {
      readonly status_counts: { readonly COMPLETED: number };
    };
    return status_counts.COMPLETED === count;
  });

const refusal = async (
  args: ReadonlyArray<string>,
  env: Record<string, string> = {},
) => {
  const { ended, output } = spawnService(env, { args });
  return { exit: await ended, output: output().trim() };
};

// Only here do processes share a port, and is /proc what it is read for.
describe.runIf(process.platform === "linux")("several instances", () => {
  it.live("share the work, outlive one of them, and stop in order", () =>
    Effect.gen(function* () {
      const service = yield* instances(3, { PROCESSING_TIME: "500 millis" });
      const { child, url } = service;
      yield* Effect.promise(async () => {
        await awaitLines(service, "instance ready", 3);
        for (const share of await awaitShares(url, 3)) {
          assert.isAtLeast(share, 6);
        }
        await place(url, named("A", 60));
        // The last tenth of a second of a killed one's log goes with it.
        await awaitLines(service, "order completed", 60);

        const [killed] = await childrenOf(child.pid ?? 0);
        await place(url, named("B", 15));
        process.kill(killed as number, "SIGKILL");
        await place(url, named("C", 15));
        await awaitLines(service, "instance ready", 4);
        await awaitCompleted(url, 90);
        assert.lengthOf(await childrenOf(child.pid ?? 0), 3);
      });

      const lines = linesOf(service);
      const instanceOf = (order_id: string, message: string) =>
        lines.findLast(
          (line) => line.order_id === order_id && line.message === message,
        )?.instance as string;
      const takers = new Set<string>();
      for (const order_id of named("A", 60)) {
        takers.add(instanceOf(order_id, "request"));
        assert.strictEqual(
          instanceOf(order_id, "order begun"),
          instanceOf(order_id, "order completed"),
        );
      }
      assert.deepStrictEqual(Array.from(takers).toSorted(), [
        "test#1:1",
        "test#2:1",
        "test#3:1",
      ]);

      yield* Effect.promise(async () => {
        await place(url, named("D", 12));
        assert.strictEqual(await service.stop(), 0);
      });
      assert.strictEqual(yield* countOf("PROCESSING"), 0);
      const done = (yield* countOf("COMPLETED")) ?? 0;
      const left = (yield* countOf("PENDING")) ?? 0;
      assert.strictEqual(done + left, 102);
      assert.isAtLeast(done, 90);
    }).pipe(Effect.scoped, Effect.provide(layerSql)),
  );

  it.live("finish what they work on when their supervisor is killed", () =>
    Effect.gen(function* () {
      const service = yield* instances(2);
      yield* Effect.promise(async () => {
        await awaitLines(service, "instance ready", 2);
        const pids = await childrenOf(service.child.pid ?? 0);
        assert.lengthOf(pids, 2);
        await place(service.url, named("A", 6));
        await awaitLines(service, "order begun", 6);
        await service.stop("SIGKILL");
        await until("both gone", async () =>
          (await Promise.all(pids.map(isAlive))).every((alive) => !alive),
        );
      });
      assert.strictEqual(yield* countOf("COMPLETED"), 6);
    }).pipe(Effect.scoped, Effect.provide(layerSql)),
  );

  it.live("go on, and stop in order, when nobody reads their log", () =>
    Effect.gen(function* () {
      const { child, ended, url } = yield* instances(2, {
        PROCESSING_TIME: "10 millis",
      });
      yield* Effect.promise(async () => {
        await awaitShares(url, 2);
        const pids = await childrenOf(child.pid ?? 0);
        child.stdout?.destroy();
        child.stderr?.destroy();
        for (const id of named("A", 5)) await place(url, [id]);
        await awaitCompleted(url, 5);
        // Instances count the lines that their supervisor cannot pass on.
        await until("dropped lines counted", async () => {
          const { text } = await ask(`${url}/metrics`);
          return /^log_lines_dropped_total\S* [1-9]/m.test(text);
        });
        assert.deepStrictEqual(await childrenOf(child.pid ?? 0), pids);
        child.kill("SIGTERM");
        assert.strictEqual(await ended, 0);
      });
    }).pipe(Effect.scoped, Effect.provide(layerSql)),
  );

  it.live("are not begun with what would end them all: it is said once", () =>
    Effect.promise(async () => {
      const { exit, output } = await refusal(["--instances", "3"], {
        DATABASE_URL: "postgres://127.0.0.1:1/none",
        FULFILLMENT_URL: "http://127.0.0.1:1/",
        FULFILLMENT_SECRET: "whsec_***",
      });
      assert.strictEqual(exit, 1);
      assert.lengthOf(output.match(/FULFILLMENT_SECRET/g) ?? [], 1, output);
      assert.match(output, /instance 1 ended with 1 before it was ready/);
    }),
  );

  it.live("do not join others on a port", () =>
    Effect.gen(function* () {
      const port = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer();
          server.listen({ port: 0, host: "127.0.0.1", reusePort: true }, () =>
            resume(Effect.succeed(server)),
          );
        }),
        (server) => Effect.sync(() => server.close()),
      ).pipe(Effect.map((_) => (_.address() as { port: number }).port));
      const { exit, output } = yield* Effect.promise(() =>
        refusal(["--instances", "2"], {
          DATABASE_URL: "postgres://127.0.0.1:1/none",
          PORT: String(port),
        }),
      );
      assert.strictEqual(exit, 1);
      assert.match(output, /^order-service: Cannot listen .*EADDRINUSE.*$/);
    }).pipe(Effect.scoped),
  );
});

describe("the command line", () => {
  it.live("asks for several instances on PostgreSQL only", () =>
    Effect.promise(async () => {
      const { exit, output } = await refusal(["--instances", "2"]);
      assert.strictEqual(exit, 1);
      assert.match(output, /^order-service: --instances needs DATABASE_URL.*$/);
    }),
  );

  it.live("explains itself", () =>
    Effect.promise(async () => {
      const { exit, output } = await refusal(["--help"]);
      assert.strictEqual(exit, 0);
      assert.include(output, "--instances");
    }),
  );
});
