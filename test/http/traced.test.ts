/**
 * The HTTP contract, kept while traces are taken too: an order is then placed,
 * written and worked on by other ways through the code, with spans around them.
 */
import { ManagedRuntime } from "effect";
import { afterAll, assert, describe, it } from "vitest";
import { startService } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { startTraceCollector } from "../support/traceCollector.ts";
import { contractSuite } from "./contractSuite.ts";
import { overSocket } from "./transports.ts";

const collector = await startTraceCollector();

afterAll(() => collector.stop());

contractSuite("the service with traces", async (settings) => {
  const database = ManagedRuntime.make(TestDatabase.layer);
  const { url } = await database.runPromise(TestDatabase);
  const service = await startService({
    DATABASE_URL: url,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    ...settings,
  });
  return {
    transport: overSocket(service.url),
    stop: async () => {
      // What it has not told yet, it tells when it stops.
      await service.stop();
      await database.dispose();
    },
  };
});

describe("the traces of it", () => {
  it("tell of every room an order comes through", () => {
    assert.includeMembers(Array.from(collector.names()), [
      "Orders.place",
      "OrderRepository.insert",
      "OrderRepository.begin",
      "OrderRepository.complete",
      "Fulfilment.fulfil",
    ]);
  });

  it("name the route by which an order was placed", () => {
    const routes = collector.spans
      .filter(
        ({ attributes }) =>
          attributes["http.response.status_code"] === "201" &&
          attributes["url.path"]?.startsWith("/api/orders"),
      )
      .map(({ attributes, name }) => `${name} ${attributes["http.route"]}`);
    assert.deepStrictEqual(Array.from(new Set(routes)), ["POST /api/orders/"]);
  });
});
