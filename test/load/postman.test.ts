/** The Postman collection against the service, so that it cannot go stale. */
import { readFileSync } from "node:fs";
import { Effect } from "effect";
import newman, { type Summary } from "newman";
import { assert, describe, it } from "vitest";
import { Api } from "../../src/api/Api.ts";
import {
  type RuntimeName,
  runtimes,
  startService,
  until,
} from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

interface Item {
  readonly name: string;
  readonly item?: ReadonlyArray<Item>;
  readonly request?: { readonly method: string; readonly url: string };
}

const collection: Item = JSON.parse(
  readFileSync(
    new URL(
      "../../load/postman/order-service.postman_collection.json",
      import.meta.url,
    ),
    "utf8",
  ),
);

const requestsOf = (item: Item): ReadonlyArray<Item> =>
  item.item === undefined ? [item] : item.item.flatMap(requestsOf);

const run = (
  url: string,
  options: {
    readonly folder?: ReadonlyArray<string>;
    readonly variables?: Readonly<Record<string, string>>;
  } = {},
) =>
  new Promise<Summary>((resolve, reject) => {
    const variables = { base_url: url, ...options.variables };
    newman.run(
      {
        collection: structuredClone(collection),
        envVar: Object.entries(variables).map(([key, value]) => ({
          key,
          value,
        })),
        timeoutRequest: 10_000,
        ...(options.folder === undefined ? {} : { folder: options.folder }),
      },
      (error, summary) => (error === null ? resolve(summary) : reject(error)),
    );
  });

/** What failed, in words; empty when all passed. */
const failuresOf = ({ run }: Summary) =>
  run.failures.map(({ error, source }) => `${source?.name}: ${error.message}`);

const codeOf = ({ run }: Summary, name: string) =>
  run.executions.find(({ item }) => item.name === name)?.response?.code;

/** A service on a database of its own, for as long as `use` takes. */
const withService = (
  runtime: RuntimeName,
  settings: Readonly<Record<string, string>>,
  use: (url: string) => Promise<void>,
) =>
  Effect.gen(function* () {
    const database = yield* TestDatabase;
    const service = yield* Effect.acquireRelease(
      Effect.promise(() =>
        startService({ DATABASE_URL: database.url, ...settings }, "ready", {
          runtime,
        }),
      ),
      ({ stop }) => Effect.promise(() => stop("SIGKILL")),
    );
    yield* Effect.promise(() => use(service.url));
  }).pipe(Effect.scoped, Effect.provide(TestDatabase.layer), Effect.runPromise);

const place = async (url: string, order_id: string) => {
  const response = await fetch(`${url}/api/orders/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      order_id,
      user_id: "USER001",
      item_ids: [1],
      total_amount: 1,
    }),
  });
  assert.strictEqual(response.status, 201);
};

const untilStatus = (url: string, order_id: string, status: string) =>
  until(`${order_id} is ${status}`, async () => {
    const response = await fetch(`${url}/api/orders/${order_id}/`);
    return ((await response.json()) as { status: string }).status === status;
  });

describe("the Postman collection", () => {
  it("has every endpoint of the contract, and the documents beside it", () => {
    const asked = new Set(
      requestsOf(collection).map(({ request }) => {
        const path = request?.url
          .replace("{{base_url}}", "")
          .replace(/\?.*/, "")
          .replace(/\{\{\w+\}\}/g, ":id");
        return `${request?.method} ${path}`;
      }),
    );
    const endpoints = Object.values(Api.groups).flatMap((group) =>
      Object.values(group.endpoints).map(
        ({ method, path }) => `${method} ${path.replace(/:\w+/g, ":id")}`,
      ),
    );
    assert.isAtLeast(endpoints.length, 8);
    for (const endpoint of [
      ...endpoints,
      "GET /metrics",
      "GET /openapi.json",
      "GET /docs",
      "GET /",
    ]) {
      assert.isTrue(asked.has(endpoint), `${endpoint} is in no request`);
    }
  });
});

// A run of the collection takes a second or two, and more beside other tests.
describe.each(runtimes)(
  "the Postman collection on %s",
  { timeout: 120_000 },
  (runtime) => {
    it("passes against a busy service, and again: an order is cancelled while PENDING", () =>
      withService(
        runtime,
        { PROCESSING_TIME: "1 hour", PROCESSING_CONCURRENCY: "1" },
        async (url) => {
          // It takes the only place, so that every later order stays PENDING.
          await place(url, "in-work");
          await untilStatus(url, "in-work", "PROCESSING");
          for (const _ of ["once", "again"]) {
            const summary = await run(url);
            assert.deepStrictEqual(failuresOf(summary), []);
            const { executions } = summary.run;
            assert.deepStrictEqual(
              executions.map(({ item }) => item.name),
              requestsOf(collection).map(({ name }) => name),
            );
            for (const { assertions, item } of executions) {
              assert.isNotEmpty(assertions ?? [], `${item.name} tests nothing`);
            }
            assert.strictEqual(codeOf(summary, "Cancel order"), 200);
            assert.strictEqual(codeOf(summary, "Retry order"), 409);
            assert.strictEqual(
              codeOf(summary, "Get order by ID if it has changed"),
              304,
            );
          }
        },
      ));

    it("passes against an idle service, where orders are done at once", () =>
      withService(runtime, { PROCESSING_TIME: "0 millis" }, async (url) => {
        assert.deepStrictEqual(failuresOf(await run(url)), []);
      }));

    it("passes where access is closed, with a key of all scopes", () => {
      const key = "a-secret-of-at-least-32-characters";
      return withService(
        runtime,
        {
          ACCESS: "keys",
          ADMIN_KEY: key,
          PROCESSING_TIME: "0 millis",
          // Its subscription leads to this machine.
          SUBSCRIPTIONS_TO: "any",
        },
        async (url) => {
          const summary = await run(url, { variables: { key } });
          assert.deepStrictEqual(failuresOf(summary), []);
        },
      );
    });

    it("retries an order that has failed", () =>
      withService(
        runtime,
        {
          PROCESSING_TIME: "1 hour",
          PROCESSING_TIMEOUT: "10 millis",
          MAX_ATTEMPTS: "1",
        },
        async (url) => {
          await place(url, "dead-letter");
          await untilStatus(url, "dead-letter", "FAILED");
          const summary = await run(url, {
            folder: ["Retry order"],
            variables: { order_id: "dead-letter" },
          });
          assert.deepStrictEqual(failuresOf(summary), []);
          assert.strictEqual(codeOf(summary, "Retry order"), 200);
        },
      ));
  },
);
