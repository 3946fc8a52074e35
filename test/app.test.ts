import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
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
} from "./support/serviceProcess.ts";
import { TestDatabase } from "./support/testDatabase.ts";

const order = (order_id: string) => ({
  order_id,
  user_id: "a secret name",
  item_ids: ["ITEM001"],
  total_amount: 19.9,
});

const place = (url: string, order_id: string) =>
  fetch(`${url}/api/orders/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(order(order_id)),
  });

/** A running service on a database of its own. */
const service = Effect.fnUntraced(function* (
  env: Record<string, string> = {},
  runtime: RuntimeName = "node",
) {
  const { url } = yield* TestDatabase;
  return yield* Effect.acquireRelease(
    Effect.promise(() =>
      startService({ DATABASE_URL: url, ...env }, "ready", { runtime }),
    ),
    (started) => Effect.promise(() => started.stop("SIGKILL")),
  );
});

const refusal = async (env: Record<string, string>) => {
  const { ended, output } = spawnService(env);
  return { exit: await ended, output: output().trim() };
};

describe("the service as a process", () => {
  it.live.each([
    ["PORT", "80000", /PORT.*65535/],
    ["PORT", "http", /PORT/],
    ["DATABASE_URL", "localhost:5432", /DATABASE_URL.*such as postgres:/],
    [
      "DATABASE_URL",
      "postgres://u:secret@127.0.0.1:1,127.0.0.1:2/o?sslmode=on",
      /DATABASE_URL: sslmode has to be one of/,
    ],
    ["PROCESSING_TIME", "soon", /PROCESSING_TIME/],
    ["PROCESSING_CONCURRENCY", "0", /PROCESSING_CONCURRENCY.*at least 1/],
    ["LOG_LEVEL", "loud", /LOG_LEVEL/],
    ["MAX_BODY_SIZE", "big", /MAX_BODY_SIZE/],
    ["FULFILLMENT_SECRET", "whsec_***", /FULFILLMENT_SECRET/],
  ] as const)(
    "says in one line that %s=%s will not do",
    ([name, value, words]) =>
      Effect.promise(async () => {
        const { exit, output } = await refusal({
          DATABASE_URL: "postgres://127.0.0.1:1/none",
          FULFILLMENT_URL: "http://127.0.0.1:1/",
          [name]: value,
        });
        assert.strictEqual(exit, 1);
        assert.strictEqual(output.split("\n").length, 1, output);
        assert.match(output, words);
        assert.notInclude(output, "secret");
      }),
  );

  it.live("says in one line that its port is taken", () =>
    Effect.gen(function* () {
      const first = yield* service();
      const { url } = yield* TestDatabase;
      const { exit, output } = yield* Effect.promise(() =>
        refusal({ DATABASE_URL: url, PORT: new URL(first.url).port }),
      );
      assert.strictEqual(exit, 1);
      assert.match(output, /Cannot listen on .*EADDRINUSE/);
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
  );

  it.live("reads .env, and the environment before it", () =>
    Effect.gen(function* () {
      const { url } = yield* TestDatabase;
      const directory = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "orders-env-"))),
        (path) => Effect.promise(() => rm(path, { recursive: true })),
      );
      yield* Effect.promise(() =>
        writeFile(
          join(directory, ".env"),
          `DATABASE_URL=${url}\nSAMPLE_ORDERS=1000000\nPROCESSING_TIME=1 hour\n`,
        ),
      );
      const started = yield* Effect.acquireRelease(
        Effect.promise(() =>
          startService({ SAMPLE_ORDERS: "3" }, "ready", { directory }),
        ),
        (running) => Effect.promise(() => running.stop("SIGKILL")),
      );
      const orders = yield* Effect.promise(() =>
        until("three sample orders", async () => {
          const response = await fetch(`${started.url}/api/orders/`);
          const list = (await response.json()) as ReadonlyArray<unknown>;
          return list.length === 3 && list;
        }),
      );
      assert.strictEqual(orders.length, 3);
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
  );

  it.live("logs a line for each request and transition, without its body", () =>
    Effect.gen(function* () {
      const started = yield* service({ PROCESSING_TIME: "0 millis" });
      yield* Effect.promise(() => place(started.url, "A"));
      const line = yield* Effect.promise(() =>
        until("a completed order in the log", async () =>
          started
            .output()
            .split("\n")
            .find((_) => _.includes("order completed")),
        ),
      );
      assert.deepInclude(JSON.parse(line), { level: "INFO" });
      assert.match(started.output(), /"POST".*"status":201/);
      assert.notInclude(started.output(), "a secret name");
      assert.notInclude(started.output(), "password");
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
  );

  it.live("exports spans of HTTP, use case, SQL and fulfilment by OTLP", () =>
    Effect.gen(function* () {
      const names = new Set<string>();
      const collector = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer((request, response) => {
            let body = "";
            request.on("data", (chunk) => {
              body += chunk;
            });
            request.on("end", () => {
              for (const [, name] of body.matchAll(/"name":"([^"]+)"/g)) {
                if (request.url === "/v1/traces" && name) names.add(name);
              }
              response.end("{}");
            });
          });
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)));
        }),
        (server) => Effect.sync(() => server.close()),
      );
      const { port } = collector.address() as { port: number };
      const started = yield* service({
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
        PROCESSING_TIME: "0 millis",
      });
      yield* Effect.promise(() => place(started.url, "A"));
      yield* Effect.promise(() =>
        until(
          "all kinds of spans",
          async () =>
            [
              "POST",
              "Orders.place",
              "OrderRepository.insert",
              "postgres",
              "Fulfilment.fulfil",
            ].every((name) => names.has(name)),
          20,
        ).catch(() =>
          assert.fail(`only these: ${Array.from(names).join(", ")}`),
        ),
      );
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
  );
});

describe.each(runtimes)("the service on %s, told to stop", (runtime) => {
  it.live.each(["SIGTERM", "SIGINT"] as const)(
    "finishes what it works on when it gets %s, and ends with 0",
    (signal) =>
      Effect.gen(function* () {
        const { url } = yield* TestDatabase;
        const first = yield* service(
          { PROCESSING_TIME: "700 millis" },
          runtime,
        );
        yield* Effect.promise(() => place(first.url, "A"));
        yield* Effect.promise(() =>
          until("A in work", async () => {
            const found = await fetch(`${first.url}/api/orders/A`);
            const { status } = (await found.json()) as { status: string };
            return status === "PROCESSING";
          }),
        );
        assert.strictEqual(yield* Effect.promise(() => first.stop(signal)), 0);
        const second = yield* Effect.promise(() =>
          startService({ DATABASE_URL: url, PROCESSING_TIME: "1 hour" }),
        );
        const found = yield* Effect.promise(() =>
          fetch(`${second.url}/api/orders/A`).then((_) => _.json()),
        );
        yield* Effect.promise(() => second.stop("SIGKILL"));
        assert.include(found, { status: "COMPLETED", attempts: 1 });
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
  );

  it.live("answers on while it drains, not ready, closing connections", () =>
    Effect.gen(function* () {
      const draining = yield* service(
        { PROCESSING_TIME: "3 seconds" },
        runtime,
      );
      yield* Effect.promise(() => place(draining.url, "A"));
      yield* Effect.promise(() =>
        until("A in work", async () => {
          const found = await fetch(`${draining.url}/api/orders/A`);
          return ((await found.json()) as { attempts: number }).attempts === 1;
        }),
      );
      draining.child.kill("SIGTERM");
      const notReady = yield* Effect.promise(() =>
        until("not ready", async () => {
          const answer = await fetch(`${draining.url}/health/ready`);
          return answer.status === 503 && answer;
        }),
      );
      assert.strictEqual(notReady.headers.get("connection"), "close");
      const late = yield* Effect.promise(() => place(draining.url, "B"));
      assert.strictEqual(late.status, 201);
      assert.strictEqual(yield* Effect.promise(() => draining.ended), 0);
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
  );
});
