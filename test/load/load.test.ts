/** `npm run load` and `npm run seed`, as processes of their own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import {
  createServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Effect } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import type { LoadReport } from "../../load/LoadReport.ts";
import { freePort } from "../support/postgresServer.ts";
import { startService, until } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "orders-load-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const start = (script: string, args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, [script, ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => {
    output.stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    output.stderr += chunk;
  });
  const ended = once(child, "close").then(
    ([code]): Ended => ({ code, ...output }),
  );
  return { child, ended };
};

/** Runs the load test to its end; with the report it wrote. */
const runLoad = async (
  url: string,
  seconds: number,
  ...args: ReadonlyArray<string>
) => {
  const json = join(directory, "report.json");
  await rm(json, { force: true });
  const { ended } = start("load/load.ts", [
    ...["--url", url, "--connections", "4", "--duration", `${seconds}`],
    ...["--json", json, ...args],
  ]);
  const end = await ended;
  const text = await readFile(json, "utf8").catch(() =>
    assert.fail(end.stderr),
  );
  return { ...end, report: JSON.parse(text) as LoadReport };
};

type Answer = (
  request: IncomingMessage,
  response: ServerResponse,
  orderId: string,
) => void;

const json = (response: ServerResponse, status: number, body: unknown) => {
  const type = status < 400 ? "application/json" : "application/problem+json";
  response.writeHead(status, { "content-type": type });
  response.end(JSON.stringify(body));
};

/** A server that is ready, and answers about orders as it is told. */
const withServer = async (
  answers: { readonly place: Answer; readonly find: Answer },
  use: (url: string) => Promise<void>,
) => {
  const server = createServer(async (request, response) => {
    if (request.url === "/health/ready") {
      return json(response, 200, {
        status: "ready",
        partitions: [0],
        upkeep: [],
      });
    }
    if (request.method === "GET") {
      const orderId = request.url?.split("/")[3] ?? "";
      return answers.find(request, response, orderId);
    }
    let body = "";
    for await (const chunk of request) body += chunk;
    return answers.place(request, response, JSON.parse(body).order_id);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await use(
      `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    );
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
};

const takeIn: Answer = (_, response, order_id) =>
  json(response, 201, { order_id, status: "PENDING" });

const found =
  (status: string): Answer =>
  (_, response, order_id) =>
    json(response, 200, { order_id, status });

describe("the load test", { timeout: 60_000 }, () => {
  it("finds every order COMPLETED, and writes what it counted as JSON and CSV", () =>
    Effect.gen(function* () {
      const database = yield* TestDatabase;
      const service = yield* Effect.acquireRelease(
        Effect.promise(() =>
          startService({
            DATABASE_URL: database.url,
            PROCESSING_TIME: "0 millis",
          }),
        ),
        ({ stop }) => Effect.promise(() => stop("SIGKILL")),
      );
      yield* Effect.promise(async () => {
        const csvFile = join(directory, "report.csv");
        const { code, report, stderr, stdout } = await runLoad(
          service.url,
          2,
          ...["--wait", "--csv", csvFile],
        );
        assert.strictEqual(code, 0, stderr);
        assert.include(stdout, "Passed");
        assert.deepStrictEqual(report.faults, []);

        const { cut_off, sent, taken_in, unanswered } = report.orders;
        assert.isAbove(taken_in, 0);
        assert.deepStrictEqual(report.answers, { "201": taken_in });
        assert.strictEqual(sent, taken_in + unanswered + cut_off);
        assert.isAtMost(cut_off, 4);
        assert.strictEqual(report.asked_back.found, taken_in);
        assert.strictEqual(report.asked_back.findings.COMPLETED, taken_in);
        const { max, p50, p90, p97_5, p99 } = report.latency_ms;
        const latencies = [p50, p90, p97_5, p99, max];
        assert.deepStrictEqual(
          latencies,
          latencies.toSorted((a, b) => a - b),
        );
        assert.isAbove(max, 0);
        assert.strictEqual(
          report.throughput_per_second,
          Math.round(taken_in / report.duration_seconds),
        );

        // The service counts the same; an order cut off may be in it or not.
        const metrics = (await (
          await fetch(`${service.url}/api/orders/metrics/`)
        ).json()) as { status_counts: Record<string, number> };
        const stored = Object.values(metrics.status_counts).reduce(
          (sum, count) => sum + count,
        );
        assert.isAtLeast(stored, taken_in);
        assert.isAtMost(stored, taken_in + cut_off);

        const [names = "", values = ""] = (
          await readFile(csvFile, "utf8")
        ).split("\n");
        const line = values.split(",");
        const csv = Object.fromEntries(
          names.split(",").map((name, index) => [name, line[index]]),
        );
        assert.strictEqual(csv.taken_in, String(taken_in));
        assert.strictEqual(csv.completed, String(taken_in));
        assert.strictEqual(csv.missing, "0");
        assert.strictEqual(csv.p97_5_ms, String(p97_5));
        assert.strictEqual(csv.passed, "true");
      });
    }).pipe(
      Effect.scoped,
      Effect.provide(TestDatabase.layer),
      Effect.runPromise,
    ));

  it("shows its key where access is closed, and tells it to nobody", () =>
    Effect.gen(function* () {
      const database = yield* TestDatabase;
      const key = "a-key-of-forty-characters-for-this-test-1";
      const service = yield* Effect.acquireRelease(
        Effect.promise(() =>
          startService({
            DATABASE_URL: database.url,
            PROCESSING_TIME: "0 millis",
            ACCESS: "keys",
            ADMIN_KEY: key,
          }),
        ),
        ({ stop }) => Effect.promise(() => stop("SIGKILL")),
      );
      yield* Effect.promise(async () => {
        const { code, report, stderr, stdout } = await runLoad(
          service.url,
          1,
          ...["--wait", "--key", key],
        );
        assert.strictEqual(code, 0, stderr);
        const { taken_in } = report.orders;
        assert.isAbove(taken_in, 0);
        assert.strictEqual(report.asked_back.found, taken_in);
        assert.notInclude(JSON.stringify(report) + stdout + stderr, key);
      });
    }).pipe(
      Effect.scoped,
      Effect.provide(TestDatabase.layer),
      Effect.runPromise,
    ));

  it("fails when one order answered 201 is missing, and names it", async () => {
    let lost: string | undefined;
    await withServer(
      {
        place: (request, response, orderId) => {
          lost ??= orderId;
          takeIn(request, response, orderId);
        },
        find: (request, response, orderId) =>
          orderId === lost
            ? json(response, 404, {})
            : found("PENDING")(request, response, orderId),
      },
      async (url) => {
        const { code, report, stderr } = await runLoad(url, 1);
        assert.strictEqual(code, 1);
        assert.include(stderr, `orders answered 201 but missing: 1 (${lost})`);
        assert.strictEqual(report.asked_back.findings.MISSING, 1);
        assert.strictEqual(report.asked_back.found, report.orders.taken_in - 1);
        assert.deepStrictEqual(report.asked_back.missing, [lost ?? "none"]);
      },
    );
  });

  it("fails when an order is answered otherwise or not at all", async () => {
    let placed = 0;
    await withServer(
      {
        place: (request, response, orderId) => {
          placed += 1;
          if (placed === 10) json(response, 503, {});
          else if (placed === 20) request.socket.destroy();
          else takeIn(request, response, orderId);
        },
        find: found("PENDING"),
      },
      async (url) => {
        const { code, report, stderr } = await runLoad(url, 1);
        assert.strictEqual(code, 1);
        assert.include(stderr, "orders answered 503: 1");
        assert.include(stderr, "orders not answered: 1");
        assert.strictEqual(report.answers[503], 1);
        assert.strictEqual(report.orders.unanswered, 1);
        assert.strictEqual(report.asked_back.found, report.orders.taken_in);
      },
    );
  });

  it("waits for orders that are not COMPLETED yet", async () => {
    const asked = new Set<string>();
    await withServer(
      {
        place: takeIn,
        find: (request, response, orderId) => {
          const status = asked.has(orderId) ? "COMPLETED" : "PROCESSING";
          asked.add(orderId);
          found(status)(request, response, orderId);
        },
      },
      async (url) => {
        const { code, report, stderr } = await runLoad(
          url,
          1,
          ...["--rate", "200", "--wait"],
        );
        assert.strictEqual(code, 0, stderr);
        assert.strictEqual(
          report.asked_back.findings.COMPLETED,
          report.orders.taken_in,
        );
      },
    );
  });

  it("fails when orders are not COMPLETED within the limit", async () => {
    await withServer(
      { place: takeIn, find: found("PROCESSING") },
      async (url) => {
        const { code, report, stderr } = await runLoad(
          url,
          1,
          ...["--rate", "200", "--wait", "--wait-limit", "1"],
        );
        assert.strictEqual(code, 1);
        assert.include(stderr, "orders not COMPLETED");
        assert.strictEqual(
          report.asked_back.findings.PROCESSING,
          report.orders.taken_in,
        );
      },
    );
  });

  it("asks the orders back when Ctrl-C ends it early", async () => {
    let placed = 0;
    await withServer(
      {
        place: (...order) => {
          placed += 1;
          takeIn(...order);
        },
        find: found("COMPLETED"),
      },
      async (url) => {
        const { child, ended } = start("load/load.ts", [
          ...["--url", url, "--connections", "4", "--duration", "600"],
        ]);
        await until("orders are placed", async () => placed > 100);
        // Once from the terminal, once from npm.
        child.kill("SIGINT");
        child.kill("SIGINT");
        const { code, stderr, stdout } = await ended;
        assert.strictEqual(code, 0, stderr);
        assert.match(stdout, /asked back\s+(\S+) of \1 found/);
        assert.include(stdout, "Passed");
      },
    );
  });

  it("says so when no service is there", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const { code, stderr } = await start("load/load.ts", ["--url", url]).ended;
    assert.strictEqual(code, 1);
    assert.include(stderr, `No service answers at ${url}`);
  });
});

describe("the seed", { timeout: 60_000 }, () => {
  it("places as many orders as it is asked for", async () => {
    await Effect.gen(function* () {
      const database = yield* TestDatabase;
      const service = yield* Effect.acquireRelease(
        Effect.promise(() => startService({ DATABASE_URL: database.url })),
        ({ stop }) => Effect.promise(() => stop("SIGKILL")),
      );
      yield* Effect.promise(async () => {
        const { code, stderr, stdout } = await start("load/seed.ts", [
          ...["--url", service.url, "--count", "25"],
        ]).ended;
        assert.strictEqual(code, 0, stderr);
        assert.include(stdout, "Placed 25 sample orders");
        const orders = (await (
          await fetch(`${service.url}/api/orders/`)
        ).json()) as ReadonlyArray<{ order_id: string }>;
        assert.lengthOf(orders, 25);
        for (const { order_id } of orders) {
          assert.match(order_id, /^ORD-[0-9A-F]{8}$/);
        }
      });
    }).pipe(
      Effect.scoped,
      Effect.provide(TestDatabase.layer),
      Effect.runPromise,
    );
  });

  it("says so when no service is there", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const { code, stderr } = await start("load/seed.ts", ["--url", url]).ended;
    assert.strictEqual(code, 1);
    assert.include(stderr, `No service answers at ${url}`);
  });
});
