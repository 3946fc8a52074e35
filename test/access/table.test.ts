/** Who may what, kept by the service on every runtime, and without a socket. */
import { ManagedRuntime } from "effect";
import { HttpApiEndpoint, HttpApiGroup } from "effect/http-api";
import { assert, describe, it } from "vitest";
import { NeededScope, rulesOf } from "../../src/api/Access.ts";
import { startFetch } from "../../src/FetchService.ts";
import { node } from "../../src/platform/node.ts";
import { overFetch, overSocket } from "../http/transports.ts";
import { runtimes, startService } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { accessSuite } from "./accessSuite.ts";

describe("the table of scopes", () => {
  const group = HttpApiGroup.make("some");

  it("cannot be made with an endpoint that needs nothing said", () => {
    const silent = group.add(HttpApiEndpoint.get("silent", "/silent/"));
    assert.throws(() => rulesOf([silent]), /GET \/silent\/ does not say/);
  });

  it("goes by the endpoint first, and then by its group", () => {
    const said = group
      .add(
        HttpApiEndpoint.get("read", "/"),
        HttpApiEndpoint.post("write", "/").annotate(NeededScope, "admin"),
      )
      .annotate(NeededScope, "orders:read");
    assert.deepStrictEqual(
      rulesOf([said]).map(({ method, needed }) => `${method} ${needed}`),
      ["GET orders:read", "POST admin"],
    );
  });
});

for (const runtime of runtimes) {
  accessSuite(`access to the service on ${runtime}`, async (settings) => {
    const database = ManagedRuntime.make(TestDatabase.layer);
    const { url } = await database.runPromise(TestDatabase);
    const service = await startService(
      { DATABASE_URL: url, ...settings },
      "ready",
      { runtime },
    );
    return {
      transport: overSocket(service.url),
      stop: async () => {
        await service.stop("SIGKILL");
        await database.dispose();
      },
    };
  });
}

accessSuite("access to the fetch handler", async (settings) => {
  const database = ManagedRuntime.make(TestDatabase.layer);
  const { url } = await database.runPromise(TestDatabase);
  const service = await startFetch(node, {
    settings: {
      DATABASE_URL: url,
      LOG_LEVEL: "None",
      SHUTDOWN_TIMEOUT: "100 millis",
      ALLOWED_HOSTS: "*",
      ...settings,
    },
  });
  return {
    transport: overFetch(service.fetch),
    stop: async () => {
      await service.stop();
      await database.dispose();
    },
  };
});
