/** What is true of every path, and the paths that are not about one order. */

import { gunzipSync } from "node:zlib";
import { OpenApi } from "effect/http-api";
import { assert, describe, it } from "vitest";
import { Api as Contract } from "../../src/api/Api.ts";
import { framesOf, isStream } from "../support/sse.ts";
import { type Api, assertFaults, assertProblem } from "./api.ts";
import { faultsOf } from "./jsonSchema.ts";

/** What answers with something else than plain JSON. */
const otherTypes: Readonly<Record<string, ReadonlyArray<string>>> = {
  "events.list": ["application/cloudevents-batch+json"],
  "events.stream": ["text/event-stream"],
  "orders.export": ["application/x-ndjson", "text/csv"],
  "orders.placeMany": ["application/json", "application/x-ndjson"],
};

/** Every path there is, with the methods it answers. */
const paths: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
  ["/api/orders/", ["GET", "HEAD", "POST"]],
  ["/api/orders/metrics/", ["GET", "HEAD"]],
  ["/api/orders/metrics/history/", ["GET", "HEAD"]],
  ["/api/orders/batch/", ["POST"]],
  ["/api/orders/export/", ["GET", "HEAD"]],
  ["/api/orders/retry/", ["POST"]],
  ["/api/orders/cancel/", ["POST"]],
  ["/api/orders/anything/", ["GET", "HEAD"]],
  ["/api/orders/anything/cancel/", ["POST"]],
  ["/api/orders/anything/retry/", ["POST"]],
  ["/api/orders/anything/history/", ["GET", "HEAD"]],
  ["/api/events/", ["GET", "HEAD"]],
  ["/api/events/stream/", ["GET", "HEAD"]],
  ["/api/subscriptions/", ["GET", "HEAD", "POST"]],
  ["/api/subscriptions/anything/", ["DELETE", "GET", "HEAD"]],
  ["/api/subscriptions/anything/pause/", ["POST"]],
  ["/api/subscriptions/anything/resume/", ["POST"]],
  ["/api/subscriptions/anything/test/", ["POST"]],
  ["/api/processing/", ["GET", "HEAD"]],
  // Resumed last: what comes after goes on.
  ["/api/processing/pause/", ["POST"]],
  ["/api/processing/resume/", ["POST"]],
  ["/api/keys/", ["GET", "HEAD", "POST"]],
  ["/api/keys/anything/", ["DELETE"]],
  ["/api/keys/anything/roll/", ["POST"]],
  ["/api/session/", ["DELETE", "GET", "HEAD", "POST"]],
  ["/", ["GET", "HEAD"]],
  ["/console/app.js", ["GET", "HEAD"]],
  ["/health/live", ["GET", "HEAD"]],
  ["/health/ready", ["GET", "HEAD"]],
  ["/metrics", ["GET", "HEAD"]],
  ["/openapi.json", ["GET", "HEAD"]],
  ["/docs", ["GET", "HEAD"]],
];

const ndjson = "application/x-ndjson";

const linesOf = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

const methods = [
  ...["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"],
  "QUERY",
];

const withAndWithoutSlash = (path: string) => {
  const bare = path.replace(/\/$/, "");
  return bare === "" ? ["/"] : [bare, `${bare}/`];
};

interface Operation {
  readonly operationId: string;
  readonly parameters: ReadonlyArray<{
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: object;
  }>;
  readonly requestBody?: { readonly content: Record<string, unknown> };
  readonly responses: Record<
    string,
    {
      readonly description: string;
      readonly content?: Record<string, { readonly schema: object }>;
      readonly headers?: Record<string, { readonly required?: boolean }>;
    }
  >;
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, object> };
}

/** The documented path that a path is one of; literal ones go first. */
const documentedPath = (document: Document, path: string) => {
  const bare = path.split("?", 1)[0]?.replace(/\/$/, "");
  const names = Object.keys(document.paths);
  return names
    .toSorted((a, b) => Number(a.includes("{")) - Number(b.includes("{")))
    .find((name) => {
      const pattern = name.replace(/\/$/, "").replace(/\{\w+\}/g, "[^/]*");
      return new RegExp(`^${pattern}$`).test(bare ?? "");
    });
};

export const edgeSuite = (api: () => Api) => {
  describe("every path", () => {
    it("is in this test", () => {
      const known = paths.map(([path]) => path);
      for (const group of Object.values(Contract.groups)) {
        for (const { path } of Object.values(group.endpoints)) {
          assert.include(known, path.replace(/:\w+/, "anything"));
        }
      }
    });

    for (const group of Object.values(Contract.groups)) {
      for (const endpoint of Object.values(group.endpoints)) {
        const { method } = endpoint;
        const path = endpoint.path.replace(/:\w+/, "anything");
        it(`refuses what it does not read: ${method} ${path}`, async () => {
          for (const asked of withAndWithoutSlash(path)) {
            assertFaults(await api().request(method, `${asked}?xx=1&limi=2`), {
              "query.xx": /^is not a parameter of this request\. It takes /,
              "query.limi": /^is not a parameter of this request\. /,
            });
          }
          if (method === "GET" || endpoint.payload.size > 0) return;
          const send = (body: string, chunked = false) =>
            api().request(method, path, { body, chunked });
          assertFaults(await send('{"dry_run":true}'), {
            "payload.dry_run":
              /^is not a field of this request\. It takes no fields\.$/,
          });
          assertFaults(await send("a=b"), { payload: /takes no body/ });
          assertFaults(await send("[1]"), { payload: /takes no body/ });
          assert.notInclude([400, 415], (await send("{}")).status);
          assert.notInclude([400, 415], (await send("", true)).status);
        });
      }
    }

    it("reads no query beside the API either, but for the console", async () => {
      for (const path of ["/metrics", "/docs", "/openapi.json"]) {
        assertFaults(await api().get(`${path}?name=x`), {
          "query.name": /It takes no parameters\./,
        });
      }
      assert.strictEqual((await api().get("/?from=mail")).status, 200);
    });

    it("names the parameter that was meant, and no more than ten", async () => {
      const { json } = await api().get("/api/orders/?user=zz&status[]=FAILED");
      assert.strictEqual(
        json.detail,
        "`user` is not a parameter of this request. Did you mean `user_id`? `status[]` is not a parameter of this request. Did you mean `status`?",
      );
      const many = Array.from({ length: 500 }, (_, n) => `limit${n}=1`);
      const refused = await api().get(`/api/orders/?${many.join("&")}`);
      assert.lengthOf(refused.json.errors, 10);
      const long = await api().get(`/api/orders/?${"x".repeat(8_000)}=1`);
      assert.lengthOf(long.json.errors[0].path[1], 50);
    });

    it("places no order where the query says what is not read", async () => {
      const path = "/api/orders/?dry_run=true";
      const body =
        '{"order_id":"with a query","user_id":1,"item_ids":["a"],"total_amount":1}';
      const headers = { "content-type": "application/json" };
      const refused = await api().request("POST", path, { body, headers });
      assertFaults(refused, { "query.dry_run": /It takes no parameters\./ });
      const found = await api().get("/api/orders/with%20a%20query/");
      assert.strictEqual(found.status, 404);
    });

    for (const [path, answered] of paths) {
      it(`answers other methods with 405: ${path}`, async () => {
        for (const asked of withAndWithoutSlash(path)) {
          for (const method of methods) {
            if (!api().canSend(method)) continue;
            const answer = await api().request(method, asked);
            if (answered.includes(method)) {
              assert.notStrictEqual(answer.status, 405, `${method} ${asked}`);
              continue;
            }
            assert.strictEqual(answer.status, 405, `${method} ${asked}`);
            assert.strictEqual(answer.headers.allow, answered.join(", "));
            if (method === "HEAD") continue;
            assertProblem(answer, 405, "urn:order-service:method-not-allowed");
            assert.include(answer.json.detail, answered.join(", "));
          }
        }
      });
    }

    it("answers alike with and without its trailing slash", async () => {
      for (const [path, answered] of paths) {
        const method = answered.includes("GET") ? "GET" : "POST";
        const [bare, slashed = bare] = await Promise.all(
          withAndWithoutSlash(path).map((asked) =>
            api().request(method, asked),
          ),
        );
        assert.strictEqual(bare?.status, slashed?.status, path);
        assert.strictEqual(
          bare?.headers["content-type"],
          slashed?.headers["content-type"],
        );
      }
    });

    it("answers HEAD as it would GET, without the body", async () => {
      const placed = await api().place();
      const { location = "" } = placed.headers;
      await api().until(placed, "COMPLETED");
      for (const path of [location, ...paths.map(([path]) => path)]) {
        const answered = paths.find(([known]) => known === path)?.[1];
        if (answered?.includes("GET") === false) continue;
        const got = await api().get(path);
        const head = await api().request("HEAD", path);
        assert.strictEqual(head.status, got.status, path);
        assert.strictEqual(head.text, "");
        for (const name of ["content-type", "etag", "link"]) {
          assert.strictEqual(head.headers[name], got.headers[name], path);
        }
      }
      const { etag = "" } = (await api().get(location)).headers;
      const unchanged = await api().request("HEAD", location, {
        headers: { "if-none-match": etag },
      });
      assert.strictEqual(unchanged.status, 304);
    });

    it.each([
      "/api",
      "/api/",
      "/API/ORDERS/",
      "//api/orders/",
      "/api/orders/a/b/",
      "/api/orders/a/cancel/b",
      "/api/orders/a/cancel//",
      "/api/orders/..%2f..%2f/x/y",
      "/health",
      "/health/live/x",
      "/favicon.ico",
      "/admin/",
      "/%E0%A4%A",
      "/api/orders;x/",
    ])("is one of those documented, and %s is not", async (path) => {
      for (const method of ["GET", "POST", "DELETE"]) {
        const answer = await api().request(method, path);
        assertProblem(answer, 404, "urn:order-service:path-not-found");
      }
      assert.strictEqual((await api().request("HEAD", path)).status, 404);
    });
  });

  describe("metrics", () => {
    it("count every order", async () => {
      const placed = await api().place();
      await api().until(placed, "COMPLETED");
      const listed = (await api().pages("/api/orders/?limit=500")).flat();
      for (const path of withAndWithoutSlash("/api/orders/metrics")) {
        const { json, status } = await api().get(path);
        assert.strictEqual(status, 200);
        assert.containsAllKeys(json, [
          "total_orders_processed",
          "status_counts",
          "average_processing_time_seconds",
          "oldest_pending_age_seconds",
        ]);
        const counts = json.status_counts as Record<string, number>;
        assert.deepStrictEqual(Object.keys(counts), [
          "PENDING",
          "PROCESSING",
          "COMPLETED",
          "FAILED",
          "CANCELLED",
        ]);
        assert.strictEqual(json.total_orders_processed, counts.COMPLETED);
        assert.isAbove(json.average_processing_time_seconds, 0);
        const sum = Object.values(counts).reduce((a, b) => a + b, 0);
        assert.strictEqual(sum, listed.length);
      }
    });

    it("say how long the oldest PENDING order waits", async () => {
      const placed = await api().place({ item_ids: '["later"]' });
      await api().until(placed, "PENDING", 1);
      const { json } = await api().get("/api/orders/metrics/");
      assert.isAtLeast(json.status_counts.PENDING, 1);
      assert.isAtLeast(json.oldest_pending_age_seconds, 0);
      assert.isBelow(json.oldest_pending_age_seconds, 3600);
    });
  });

  describe("health", () => {
    it("says that the process lives, and that it is ready", async () => {
      const live = await api().get("/health/live");
      assert.deepStrictEqual(live.json, { status: "live" });
      const ready = await api().get("/health/ready");
      assert.strictEqual(ready.status, 200);
      assert.strictEqual(ready.json.status, "ready");
      assert.isNotEmpty(ready.json.partitions);
    });
  });

  describe("Prometheus metrics", () => {
    it("are text in its format", async () => {
      const { headers, text } = await api().get("/metrics");
      assert.match(headers["content-type"] ?? "", /^text\/plain; version=0/);
      const label = String.raw`[a-zA-Z_]\w*="(?:[^"\\]|\\.)*"`;
      const line = new RegExp(
        String.raw`^(# (HELP|TYPE) \w+ .+|[a-zA-Z_:][\w:]*(\{${label}(,${label})*,?\})? (-?[\d.e+-]+|[+-]Inf|NaN))$`,
      );
      const lines = text.trim().split("\n");
      for (const given of lines) assert.match(given, line);
      assert.include(text, "# TYPE http_requests_total counter");
      assert.match(text, /^orders_placed_total\{outcome="created"\} \d+$/m);
    });
  });

  describe("the pages that never change", () => {
    it.each(["/docs", "/openapi.json", "/", "/console/preact.js"])(
      "are sent compressed to who can read that, and not again: %s",
      async (path) => {
        const plain = await api().get(path, { "accept-encoding": "identity" });
        assert.strictEqual(plain.headers["content-encoding"], undefined);
        const zipped = await api().get(path, {
          "accept-encoding": "br;q=1, gzip;q=0.8",
        });
        assert.strictEqual(zipped.headers["content-encoding"], "gzip");
        for (const { headers } of [plain, zipped]) {
          assert.strictEqual(headers.vary, "Accept-Encoding");
          assert.strictEqual(headers.etag, plain.headers.etag);
        }
        assert.strictEqual(gunzipSync(zipped.bytes).toString(), plain.text);
        assert.isBelow(zipped.bytes.length, plain.text.length / 1.5);
        const { etag = "" } = plain.headers;
        const known = await api().get(path, { "if-none-match": etag });
        assert.strictEqual(known.status, 304);
        assert.strictEqual(known.text, "");
      },
    );
  });

  describe("the OpenAPI document", () => {
    const read = async (): Promise<Document> =>
      (await api().get("/openapi.json")).json;

    it("is the one that `openApi.test.ts` lints", async () => {
      const { json } = await api().get("/openapi.json");
      assert.deepEqual(json, OpenApi.fromApi(Contract));
    });

    it("is OpenAPI 3.1", async () => {
      const document = await read();
      assert.match(document.openapi, /^3\.1\.\d+$/);
      assert.isNotEmpty(document.info.title);
      assert.isNotEmpty(document.info.version);
      const operationIds = new Set<string>();
      for (const [path, item] of Object.entries(document.paths)) {
        assert.match(path, /^\//);
        for (const [method, operation] of Object.entries(item)) {
          assert.include(["get", "post", "delete"], method);
          assert.isFalse(operationIds.has(operation.operationId));
          operationIds.add(operation.operationId);
          assert.deepStrictEqual(
            operation.parameters
              .filter((parameter) => parameter.in === "path")
              .map(({ name, required }) => `${name} ${required}`),
            (path.match(/\{\w+\}/g) ?? []).map((_) => `${_.slice(1, -1)} true`),
          );
          for (const parameter of operation.parameters) {
            assert.include(["path", "query", "header"], parameter.in);
            assert.isObject(parameter.schema);
          }
          assert.isNotEmpty(Object.keys(operation.responses));
          for (const [status, response] of Object.entries(
            operation.responses,
          )) {
            assert.match(status, /^[1-5]\d\d$/);
            assert.isNotEmpty(response.description);
            for (const [type, { schema }] of Object.entries(
              response.content ?? {},
            )) {
              assert.isObject(schema);
              assert.include(
                Number(status) < 400
                  ? (otherTypes[operation.operationId] ?? ["application/json"])
                  : ["application/problem+json"],
                type,
              );
            }
          }
        }
      }
      const references = JSON.stringify(document).matchAll(
        /"\$ref":"#\/components\/schemas\/([^"]+)"/g,
      );
      for (const [, name = ""] of references) {
        assert.property(document.components.schemas, name);
      }
    });

    it("has every endpoint of the contract", async () => {
      const document = await read();
      for (const group of Object.values(Contract.groups)) {
        for (const { method, path } of Object.values(group.endpoints)) {
          const documented = path.replace(/:(\w+)/g, "{$1}");
          assert.property(document.paths, documented);
          assert.property(
            document.paths[documented],
            method.toLowerCase(),
            documented,
          );
        }
      }
    });

    it("describes the limits that the service keeps", async () => {
      const { components, paths } = await read();
      const { parameters = [] } = paths["/api/orders/"]?.get ?? {};
      assert.deepStrictEqual(
        parameters.find(({ name }) => name === "limit")?.schema,
        { type: "integer", minimum: 1, maximum: 500, default: 50 },
      );
      const examples = [
        { order_id: 1, user_id: 1, item_ids: [1], total_amount: 200.3 },
        { order_id: "a", user_id: "b", item_ids: [{}], total_amount: "0.29" },
        { order_id: 1e25, user_id: "b", item_ids: ["x"], total_amount: 0.29 },
      ];
      for (const example of examples) {
        assert.deepStrictEqual(
          faultsOf(components.schemas, "PlaceOrder", example),
          [],
        );
      }
      const { user_id: _, ...incomplete } = examples[0] as object & {
        user_id: unknown;
      };
      assert.isNotEmpty(faultsOf(components.schemas, "PlaceOrder", incomplete));
    });

    // The last test: it looks back at what all the others were answered.
    it("describes all that this suite was answered", async () => {
      const document = await read();
      const seen = new Set<string>();
      for (const { answer, method, path } of api().exchanges) {
        const name = documentedPath(document, path);
        const operation =
          name === undefined
            ? undefined
            : document.paths[name]?.[method.toLowerCase()];
        if (operation === undefined) continue;
        // What no endpoint has heard of: the path was not one.
        if (/path-not-found/.test(answer.text)) continue;
        const status = String(answer.status);
        const what = `${operation.operationId} ${status}`;
        const response = operation.responses[status];
        assert.isDefined(response, what);
        for (const [header, { required }] of Object.entries(
          response?.headers ?? {},
        )) {
          if (required === false || (status === "200" && method === "POST")) {
            continue;
          }
          assert.isDefined(answer.headers[header], `${what}: ${header}`);
        }
        if (answer.text === "") {
          assert.isUndefined(response?.content, what);
        } else {
          const [type = ""] = answer.headers["content-type"]?.split(";") ?? [];
          // The text of an export is described as a whole, lines each by itself.
          const isExport = operation.operationId === "orders.export";
          const one = () =>
            type === ndjson ? linesOf(answer.text) : [answer.json];
          const schema = response?.content?.[type]?.schema;
          assert.isDefined(schema, `${what}: ${type}`);
          const told = isStream(type)
            ? // Where it begins is no event.
              framesOf(answer.text).filter(({ data }) => data !== undefined)
            : isExport && answer.status === 200
              ? [answer.text]
              : one();
          for (const json of told) {
            assert.deepStrictEqual(
              faultsOf(document.components.schemas, schema ?? {}, json),
              [],
              what,
            );
          }
        }
        seen.add(what);
      }
      assert.includeMembers(Array.from(seen), [
        ...["orders.place 200", "orders.place 201", "orders.place 400"],
        ...["orders.place 409", "orders.place 413", "orders.place 415"],
        ...["orders.placeMany 200", "orders.placeMany 400"],
        ...["orders.placeMany 409", "orders.placeMany 413"],
        ...["orders.placeMany 415"],
        ...["orders.list 200", "orders.list 400", "orders.metrics 200"],
        ...["orders.find 200", "orders.find 304", "orders.find 404"],
        ...["orders.cancel 200", "orders.cancel 404", "orders.cancel 409"],
        ...["orders.retry 200", "orders.retry 404", "orders.retry 409"],
        ...["orders.history 200", "orders.history 404", "events.list 200"],
        ...["events.list 400", "events.list 410", "events.stream 200"],
        ...["events.stream 400", "health.live 200", "health.ready 200"],
      ]);
    });
  });

  describe("the docs", () => {
    it("load without the internet", async () => {
      const { headers, status, text } = await api().get("/docs");
      assert.strictEqual(status, 200);
      assert.match(headers["content-type"] ?? "", /^text\/html/);
      // Without the scripts' own text only the page's elements are left.
      const page = text.replace(/(<script[^>]*>)[\s\S]*?<\/script>/g, "$1");
      assert.isBelow(page.length, 5000);
      assert.include(page, "<script>");
      assert.notMatch(page, /\b(src|href|action)\s*=/i);
      assert.notMatch(page, /https?:|url\(|@import/i);
      // The script would fetch fonts, from fonts.scalar.com, if not told so.
      assert.include(text, '"withDefaultFonts":false');
      assert.include(text, '"/api/orders/{order_id}/cancel/"');
    });
  });
};
