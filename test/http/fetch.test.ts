/** The fetch handler: the HTTP contract without a socket, its start and end. */
import { ManagedRuntime } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { startFetch } from "../../src/FetchService.ts";
import { node } from "../../src/platform/node.ts";
import { until } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { Api, assertProblem } from "./api.ts";
import { contractSuite } from "./contractSuite.ts";
import { overFetch } from "./transports.ts";

const quiet = { LOG_LEVEL: "None" };

contractSuite("the fetch handler", async (settings) => {
  const database = ManagedRuntime.make(TestDatabase.layer);
  const { url } = await database.runPromise(TestDatabase);
  const service = await startFetch(node, {
    settings: { DATABASE_URL: url, ...quiet, ...settings },
  });
  return {
    transport: overFetch(service.fetch),
    stop: async () => {
      await service.stop();
      await database.dispose();
    },
  };
});

describe("the fetch handler", () => {
  const database = ManagedRuntime.make(TestDatabase.layer);
  let settings: Readonly<Record<string, string>>;

  beforeAll(async () => {
    const { url } = await database.runPromise(TestDatabase);
    settings = { DATABASE_URL: url, ...quiet };
  });
  afterAll(() => database.dispose());

  it("finishes what it works on when it is stopped, and answers 503 from then on", async () => {
    const service = await startFetch(node, {
      settings: { ...settings, PROCESSING_TIME: "700 millis" },
    });
    const api = new Api(overFetch(service.fetch));
    await until(
      "ready",
      async () => (await api.get("/health/ready")).status === 200,
    );
    const placed = await api.place({ order_id: '"in-work"' });
    await api.until(placed, "PROCESSING");
    await service.stop();
    await service.ended;
    const refused = await api.get("/health/live");
    assertProblem(refused, 503, "urn:order-service:unavailable");
    assert.match(refused.headers["retry-after"] ?? "", /^\d+$/);

    const next = await startFetch(node, { settings });
    const found = await new Api(overFetch(next.fetch)).get(
      "/api/orders/in-work/",
    );
    await next.stop();
    assert.include(found.json, { status: "COMPLETED", attempts: 1 });
  });

  it("goes by the name in a request's URL, where there is no Host", async () => {
    const service = await startFetch(node, {
      settings: { ...settings, ALLOWED_HOSTS: "a.example:8080" },
    });
    const statusOf = async (url: string) =>
      (await service.fetch(new Request(url))).status;
    const answered = await statusOf("http://a.example:8080/metrics");
    const refused = await statusOf("http://b.example:8080/metrics");
    await service.stop();
    assert.deepStrictEqual([answered, refused], [200, 421]);
  });

  it("is not made of settings that will not do", async () => {
    const started = startFetch(node, {
      settings: { ...settings, MAX_ATTEMPTS: "many" },
    });
    const error = await started.then(
      () => assert.fail("it started"),
      (error: Error) => error,
    );
    assert.match(error.message, /^setting MAX_ATTEMPTS/);
  });
});
