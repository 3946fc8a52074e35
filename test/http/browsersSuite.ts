/** What a page of another site cannot do here, and what browsers are told. */
import { assert, describe, it } from "vitest";
import { type Api, assertProblem } from "./api.ts";

export const browsersSuite = (api: () => Api) => {
  /** Asks for a change that would be made, and gives the order back. */
  const cancel = async (headers: Readonly<Record<string, string>>) => {
    const placed = await api().place({ item_ids: '["later"]' });
    const waiting = await api().until(placed, "PENDING", 1);
    const { location = "" } = placed.headers;
    const answer = await api().post(`${location}cancel/`, headers);
    const { json } = await api().get(location);
    const changed = json.updated_at !== waiting.json.updated_at;
    return { answer, changed, status: json.status };
  };

  describe("a page", () => {
    it.each([
      { "sec-fetch-site": "cross-site", origin: "https://evil.example" },
      { "sec-fetch-site": "same-site" },
      { origin: "https://evil.example" },
      { origin: "null" },
    ])("of another site changes nothing: %j", async (headers) => {
      const { answer, changed, status } = await cancel(headers);
      assertProblem(answer, 403, "urn:order-service:cross-site");
      assert.isFalse(changed);
      assert.strictEqual(status, "PENDING");
    });

    it.each([
      { "sec-fetch-site": "same-origin", origin: "https://orders.example" },
      { host: "127.0.0.1", origin: "http://127.0.0.1" },
      { host: "A.example.:8080", origin: "http://a.example.:8080" },
    ])("of this service does: %j", async (headers) => {
      const { answer, status } = await cancel(headers);
      assert.strictEqual(answer.status, 200, answer.text);
      assert.strictEqual(status, "CANCELLED");
    });

    it("of another site places no order, and retries none", async () => {
      const headers = { origin: "https://evil.example" };
      const order_id = `evil-${process.pid}-${Date.now()}`;
      const placed = await api().place(
        { order_id: JSON.stringify(order_id) },
        { headers },
      );
      assertProblem(placed, 403, "urn:order-service:cross-site");
      const found = await api().get(`/api/orders/${order_id}/`);
      assert.strictEqual(found.status, 404);
      for (const path of [
        "/api/orders/retry/",
        "/api/orders/cancel/",
        "/api/orders/a/retry/",
      ]) {
        const answer = await api().post(path, headers);
        assertProblem(answer, 403, "urn:order-service:cross-site");
      }
      for (const method of ["PUT", "DELETE"]) {
        const answer = await api().request(method, "/api/orders/", { headers });
        assertProblem(answer, 403, "urn:order-service:cross-site");
      }
    });

    it("of another site may ask, for it is shown no answer", async () => {
      const answer = await api().get("/api/orders/", {
        origin: "https://evil.example",
        "sec-fetch-site": "cross-site",
      });
      assert.strictEqual(answer.status, 200);
      assert.notProperty(answer.headers, "access-control-allow-origin");
    });
  });

  describe("a Host", () => {
    it.each([
      ...["127.0.0.1", "127.0.0.1:1", "order-service", "ORDER-SERVICE.:8000"],
      ...["a.example:8080", "[::1]:8000", "[0:0::1]"],
    ])("is a name of this service: %s", async (host) => {
      const answer = await api().get("/api/orders/?limit=1", { host });
      assert.strictEqual(answer.status, 200, answer.text);
    });

    it.each([
      ...["evil.example", "localhost", "a.example", "a.example:80", "[::2]"],
      ...["127.0.0.1.evil.example", "order-service.evil.example", "x:y:z"],
    ])("is none: %s", async (host) => {
      for (const [method, path] of [
        ["GET", "/api/orders/"],
        ["POST", "/api/orders/"],
        ["GET", "/docs"],
        ["GET", "/metrics"],
        ["GET", "/no/such/path"],
      ] as const) {
        const answer = await api().request(method, path, { headers: { host } });
        assertProblem(answer, 421, "urn:order-service:misdirected");
        assert.include(answer.json.detail, "ALLOWED_HOSTS");
      }
    });

    it("is any to a probe", async () => {
      const answer = await api().get("/health/live", { host: "10.0.0.7:8000" });
      assert.strictEqual(answer.status, 200);
    });
  });

  describe("every answer", () => {
    const assertGuarded = (
      headers: Readonly<Record<string, string | undefined>>,
      what: string,
    ) => {
      assert.strictEqual(headers["x-content-type-options"], "nosniff", what);
      assert.strictEqual(headers["referrer-policy"], "no-referrer", what);
      assert.strictEqual(
        headers["cross-origin-resource-policy"],
        "same-origin",
        what,
      );
      const policy = headers["content-security-policy"] ?? "";
      assert.match(policy, /^default-src 'none'; /, what);
      assert.match(policy, /; frame-ancestors 'none'$/, what);
      // Nothing from elsewhere: no host, no scheme but what is in the page.
      assert.notMatch(policy, /https?:|\*|unsafe-eval|\w\.\w/, what);
    };

    it("tells a browser to guess nothing, load nothing, frame nothing", async () => {
      const placed = await api().place();
      assertGuarded(placed.headers, "201");
      const { location = "" } = placed.headers;
      const { etag = "" } = (await api().get(location)).headers;
      for (const [method, path, headers] of [
        ["GET", location, {}],
        ["GET", location, { "if-none-match": "*" }],
        ["GET", location, { "if-none-match": etag }],
        ["GET", "/api/orders/", {}],
        ["GET", "/api/orders/metrics/", {}],
        ["GET", "/no/such/path", {}],
        ["DELETE", "/docs", {}],
        ["HEAD", "/docs", {}],
        ["GET", "/", {}],
        ["GET", "/console/app.js", {}],
        ["GET", "/console/none.js", {}],
        ["GET", "/api/session/", {}],
        ["GET", "/docs/", {}],
        ["GET", "/openapi.json", {}],
        ["GET", "/metrics", {}],
        ["GET", "/health/live", {}],
        ["GET", "/api/orders/", { host: "evil.example" }],
        ["POST", "/api/orders/", { origin: "https://evil.example" }],
        ["POST", "/api/orders/", {}],
      ] as const) {
        const answer = await api().request(method, path, { headers });
        assertGuarded(answer.headers, `${method} ${path} ${answer.status}`);
      }
    });
  });
};
