import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import { SqlClient } from "effect/sql";
import {
  type RuntimeName,
  runtimes,
  spawnService,
  startService,
  until,
} from "./support/serviceProcess.ts";
import { layerSql, TestDatabase } from "./support/testDatabase.ts";
import { startTraceCollector } from "./support/traceCollector.ts";

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
    ["MAX_BODIES", "many", /MAX_BODIES/],
    ["FULFILLMENT_SECRET", "whsec_***", /FULFILLMENT_SECRET/],
    ["FULFILLMENT_URL", "host/hook", /FULFILLMENT_URL.*such as https:/],
    ["ALLOWED_HOSTS", "https://a.example", /ALLOWED_HOSTS.*or \*/],
    ["ALLOWED_HOSTS", "a.example,", /ALLOWED_HOSTS.*such as/],
    [
      "FULFILMENT_URL",
      "http://secret:1/",
      /FULFILMENT_URL is no setting.*write FULFILLMENT_URL=/,
    ],
    [
      "DATABASE_URL",
      "postgres://127.0.0.1:1/o?schema=x",
      /schema has no effect/,
    ],
    ["ARCHIVE_DIR", "/archive", /ARCHIVE_DIR has no effect without RETENTION/],
    ["RETRY_BASE", "6 minutes", /RETRY_BASE has no effect above RETRY_CAP/],
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

  it.live.each([
    "http://user:s3cret@127.0.0.1:1/hook?token=t0ken",
    "http://s3cret@127.0.0.1:1/t0ken",
    "ftp://127.0.0.1/hook?token=t0ken",
    "http://a host/s3cret?token=t0ken",
  ])("refuses a receiver's address without repeating it: %s", (url) =>
    Effect.promise(async () => {
      const { exit, output } = await refusal({
        DATABASE_URL: "postgres://127.0.0.1:1/none",
        FULFILLMENT_URL: url,
      });
      assert.strictEqual(exit, 1);
      assert.strictEqual(output.split("\n").length, 1, output);
      assert.match(output, /FULFILLMENT_URL: must/);
      assert.notMatch(output, /s3cret|t0ken/);
    }),
  );

  it.live.each([
    [{ FULFILLMENT_SECRET: "secret" }, /no effect without FULFILLMENT_URL/],
    [{ DATABASE_POOL_SIZE: "5" }, /no effect without DATABASE_URL/],
    [
      { ADMIN_KEY: "secret-secret-secret-secret-secret" },
      /no effect while access is open.*ACCESS=keys/,
    ],
    [
      { ACCESS: "open", HOST: "0.0.0.0" },
      /ACCESS=open with HOST=0.0.0.0 needs ALLOWED_HOSTS/,
    ],
  ] as const)(
    "says in one line why it does not start with %j",
    ([env, words]) =>
      Effect.promise(async () => {
        const { exit, output } = await refusal(env);
        assert.strictEqual(exit, 1);
        assert.strictEqual(output.split("\n").length, 1, output);
        assert.match(output, words);
        assert.notInclude(output, "secret");
      }),
  );

  it.live("starts on no .env that it cannot read", () =>
    Effect.promise(async () => {
      const directory = await mkdtemp(join(tmpdir(), "orders-env-"));
      const refused = async (words: RegExp) => {
        const { ended, output } = spawnService({}, { directory });
        assert.strictEqual(await ended, 1);
        assert.match(output().trim(), words);
        assert.notInclude(output().trim(), "\n");
      };
      const file = join(directory, ".env");
      const text = "DATABASE_URL=postgres://127.0.0.1:1/none\n";
      await writeFile(file, `\ufeff${text}`, "utf16le");
      await refused(/\.env is no text in UTF-8.*save it as UTF-8/);
      await writeFile(file, text, "utf16le");
      await refused(/\.env is no text in UTF-8/);
      await writeFile(file, `${text}FULFILMENT_URL=http://127.0.0.1:1/\n`);
      await refused(/FULFILMENT_URL is no setting/);
      await rm(file);
      await mkdir(file);
      await refused(/\.env is there and cannot be read/);
      await rm(directory, { recursive: true });
    }),
  );

  it.live("is two deployments in two schemas, with one RUNNER_HOST", () =>
    Effect.gen(function* () {
      const { url } = yield* TestDatabase;
      const sql = yield* SqlClient.SqlClient;
      yield* sql`CREATE SCHEMA one`;
      yield* sql`CREATE SCHEMA two`;
      const start = (schema: string) =>
        service({
          DATABASE_URL: `${url}?options=-c%20search_path%3D${schema}`,
          RUNNER_HOST: "the-same",
          RUNNER_PORT: "1",
        });
      const [one, two] = yield* Effect.all([start("one"), start("two")], {
        concurrency: 2,
      });
      const placed = yield* Effect.promise(() => place(one.url, "ONE"));
      assert.strictEqual(placed.status, 201);
      const found = yield* Effect.promise(() =>
        fetch(`${two.url}/api/orders/ONE/`),
      );
      assert.strictEqual(found.status, 404);
      const tables = yield* sql<{ schema: string }>`
        SELECT DISTINCT schemaname AS schema FROM pg_tables
        WHERE schemaname IN ('one', 'two', 'public') ORDER BY 1`;
      assert.deepStrictEqual(
        tables.map(({ schema }) => schema),
        ["one", "two"],
      );
    }).pipe(Effect.scoped, Effect.provide(layerSql)),
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

  it.live("makes up no orders for a receiver that is real", () =>
    Effect.gen(function* () {
      const started = yield* service({
        SAMPLE_ORDERS: "3",
        FULFILLMENT_URL: "http://127.0.0.1:9/",
      });
      yield* Effect.promise(() =>
        until("a word about the sample orders", async () =>
          started.output().includes("no sample orders are placed"),
        ),
      );
      const answer = yield* Effect.promise(() =>
        fetch(`${started.url}/api/orders/`),
      );
      assert.deepStrictEqual(yield* Effect.promise(() => answer.json()), []);
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
      const collector = yield* Effect.acquireRelease(
        Effect.promise(startTraceCollector),
        ({ stop }) => Effect.sync(stop),
      );
      const started = yield* service({
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
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
              "postgresql",
              "Fulfilment.fulfil",
            ].every((name) => collector.names().has(name)),
          20,
        ).catch(() =>
          assert.fail(
            `only these: ${Array.from(collector.names()).join(", ")}`,
          ),
        ),
      );
    }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
  );
});

/** A server that answers as it is told, and what it has received. */
const listening = (
  answer: (url: string) => readonly [status: number, body: string],
) =>
  Effect.acquireRelease(
    Effect.callback<{ port: number; received: Array<string>; server: Server }>(
      (resume) => {
        const received: Array<string> = [];
        const server = createServer((request, response) => {
          let body = "";
          request.on("data", (chunk) => {
            body += chunk;
          });
          request.on("end", () => {
            received.push(
              `${request.url} ${JSON.stringify(request.headers)}${body}`,
            );
            const [status, words] = answer(request.url ?? "");
            response.writeHead(status).end(words);
          });
        });
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as { port: number };
          resume(Effect.succeed({ port, received, server }));
        });
      },
    ),
    ({ server }) =>
      Effect.sync(() => {
        server.closeAllConnections();
        server.close();
      }),
  );

describe.each(runtimes)("the service on %s, with a receiver", (runtime) => {
  it.live("tells nobody its address, whatever it answers", () =>
    Effect.gen(function* () {
      const collector = yield* listening(() => [200, "{}"]);
      const receiver = yield* listening((url) => [
        404,
        `Cannot POST ${url} because of your order`,
      ]);
      const started = yield* service(
        {
          FULFILLMENT_URL: `http://127.0.0.1:${receiver.port}/h00k?token=t0ken`,
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.port}`,
          LOG_LEVEL: "All",
        },
        runtime,
      );
      const errorOf = (order_id: string, words: RegExp) =>
        Effect.promise(() =>
          until(`an error like ${words}`, async () => {
            const found = await fetch(`${started.url}/api/orders/${order_id}`);
            const { last_error } = (await found.json()) as {
              last_error: string | null;
            };
            return words.test(last_error ?? "") && last_error;
          }),
        );
      yield* Effect.promise(() => place(started.url, "A"));
      const answered = yield* errorOf("A", /answered/);
      assert.strictEqual(answered, "the receiver answered 404");
      receiver.server.closeAllConnections();
      receiver.server.close();
      yield* Effect.promise(() => place(started.url, "B"));
      const refused = yield* errorOf("B", /did not answer/);
      assert.match(
        refused ?? "",
        /^the receiver did not answer: (ECONNREFUSED|os error \d+)$/,
      );
      const metrics = yield* Effect.promise(() =>
        fetch(`${started.url}/metrics`).then((_) => _.text()),
      );
      const exported = yield* Effect.promise(() =>
        until("spans of both attempts", async () => {
          const all = collector.received.join("\n");
          return /^\/v1\/traces.*did not answer/m.test(all) && all;
        }),
      );
      // Its words are in the log, its address nowhere.
      assert.match(started.output(), /"order_id":"A".*because of your order/);
      for (const told of [started.output(), metrics, exported]) {
        assert.notMatch(told, new RegExp(`h00k|t0ken|:${receiver.port}`));
      }
      // A receiver that traces as well can tell whose call it was.
      const [, traceId] = /"traceparent":"00-(\w+)-/.exec(
        receiver.received[0] ?? "",
      ) as unknown as [string, string];
      assert.include(exported, traceId);
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

  it.live.each(["json", "pretty"])(
    "goes on, and drains, when nobody reads its log (%s)",
    (LOG_FORMAT) =>
      Effect.gen(function* () {
        const { child, ended, url } = yield* service(
          { PROCESSING_TIME: "10 millis", LOG_FORMAT },
          runtime,
        );
        yield* Effect.promise(async () => {
          child.stdout?.destroy();
          child.stderr?.destroy();
          for (let index = 0; index < 5; index++) {
            // Each order is logged before the next: one write may go unseen.
            await place(url, `A${index}`);
            await until(`A${index} completed`, async () => {
              const found = await fetch(`${url}/api/orders/A${index}`);
              return (await found.text()).includes("COMPLETED");
            });
          }
          // Deno's console does not say which lines it could not write.
          await until("dropped lines counted", async () => {
            if (runtime === "deno") return true;
            const metrics = await (await fetch(`${url}/metrics`)).text();
            return /^log_lines_dropped_total\S* [1-9]/m.test(metrics);
          });
          await place(url, "B");
          child.kill("SIGTERM");
          assert.strictEqual(await ended, 0);
        });
      }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer)),
  );
});
