import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { ManagedRuntime } from "effect";
import { HttpServerResponse } from "effect/http";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import {
  type Asked,
  guarded,
  ownHosts,
  refusalOf,
} from "../../src/http/Browsers.ts";
import {
  type ServiceProcess,
  startService,
} from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

const statusOf = (
  asked: Partial<Asked>,
  isOwnHost: (host: string) => boolean = () => true,
) =>
  refusalOf(
    {
      method: "POST",
      path: "/api/orders/a/cancel/",
      host: "localhost:8000",
      origin: undefined,
      fetchSite: undefined,
      ...asked,
    },
    isOwnHost,
  )?.status;

describe("a change asked for by a page", () => {
  it.each<[string, Partial<Asked>]>([
    ["by no page at all", {}],
    ["by a page of this service", { fetchSite: "same-origin" }],
    ["by the reader, not by a page", { fetchSite: "none" }],
    ["from this host", { origin: "http://localhost:8000" }],
    ["in other letters", { origin: "http://LocalHost:8000" }],
    [
      "behind a proxy with TLS",
      { host: "orders.example", origin: "https://orders.example" },
    ],
    [
      "behind a proxy with TLS that writes its port",
      { host: "orders.example:443", origin: "https://orders.example" },
    ],
    ["at port 80", { host: "a.example:80", origin: "http://a.example" }],
    ["at IPv6", { host: "[::1]:8000", origin: "http://[0::1]:8000" }],
    [
      "behind a proxy that changes Host",
      {
        host: "10.0.0.7:8000",
        origin: "https://orders.example",
        fetchSite: "same-origin",
      },
    ],
  ])("is done: %s", (_, asked) => {
    assert.isUndefined(statusOf(asked));
  });

  it.each<[string, Partial<Asked>]>([
    ["another site", { fetchSite: "cross-site" }],
    ["another port of this host", { fetchSite: "same-site" }],
    ["somewhere in words of tomorrow", { fetchSite: "same-planet" }],
    ["nowhere", { fetchSite: "" }],
    ["another origin", { origin: "https://evil.example" }],
    ["a port nearby", { origin: "http://localhost:8001" }],
    ["the usual port", { origin: "http://localhost" }],
    ["a name that begins alike", { origin: "http://localhost.evil:8000" }],
    ["a page without an origin", { origin: "null" }],
    ["an origin of nothing", { origin: "" }],
    ["a file", { origin: "file://" }],
    ["an extension", { origin: "chrome-extension://abc" }],
    ["two origins", { origin: "http://localhost:8000 http://evil.example" }],
    ["a page, to no Host", { host: undefined, origin: "http://a.example" }],
    ["a file, to no Host", { host: "", origin: "file://" }],
    [
      "another site that names this origin",
      { origin: "http://localhost:8000", fetchSite: "cross-site" },
    ],
  ])("is refused from %s", (_, asked) => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE", "PURGE"]) {
      assert.strictEqual(statusOf({ ...asked, method }), 403, method);
    }
    for (const method of ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"]) {
      assert.isUndefined(statusOf({ ...asked, method }), method);
    }
  });
});

describe("the names of a service", () => {
  const loopback = ownHosts(undefined, true);
  const listed = ownHosts(
    ["Orders.Example", "a.example:8080", "b.example:443", "[::1]", "10.0.0.7"],
    true,
  );

  it.each([
    ...["localhost", "LOCALHOST", "localhost.", "localhost:8000", "127.0.0.1"],
    ...["127.0.0.1:1", "127.8.9.10:8000", "[::1]", "[::1]:8000", "[0:0::1]"],
  ])("are those of loopback where it listens there: %s", (host) => {
    assert.isTrue(loopback(host));
  });

  it.each([
    ...["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"],
    ...["notlocalhost", "10.0.0.7", "128.0.0.1", "0.0.0.0", "[::]", "[::2]"],
    ...[
      "localhost/",
      "a@localhost",
      "localhost@evil",
      "a b",
      "::1",
      "[::1",
      "",
    ],
    ...["localhost:99999", "localhost:x", "evil.example#localhost", ".", ":80"],
    ...["localhost,evil.example", "localhost\\", "[::ffff:7f00:1]"],
  ])("are no others there: %s", (host) => {
    assert.isFalse(loopback(host));
  });

  it.each([
    ...["orders.example", "orders.example:1", "ORDERS.example.:8000"],
    ...["a.example:8080", "b.example", "b.example:443", "[::1]:8000"],
    ...["[0:0:0:0:0:0:0:1]", "10.0.0.7:80"],
  ])("are those it was given: %s", (host) => {
    assert.isTrue(listed(host));
  });

  it.each([
    ...["localhost", "127.0.0.1", "a.example", "a.example:80", "b.example:80"],
    ...[
      "x.orders.example",
      "orders.example.evil",
      "orders",
      "[::2]",
      "10.0.0.8",
    ],
  ])("are no others then: %s", (host) => {
    assert.isFalse(listed(host));
  });

  it("are any where it listens for others, and where it is told so", () => {
    assert.isTrue(ownHosts(undefined, false)("anything.example:1"));
    assert.isTrue(ownHosts(["a.example", "*"], true)("anything.example:1"));
    assert.isFalse(ownHosts(["a.example"], false)("anything.example:1"));
  });

  const none = () => false;

  it("are asked for first, with any method, but not of a probe", () => {
    const origin = "https://evil.example";
    assert.strictEqual(statusOf({ origin }, none), 421);
    assert.strictEqual(statusOf({ method: "GET" }, none), 421);
    const probe = { method: "GET", path: "/health/ready" };
    assert.isUndefined(statusOf(probe, none));
    assert.strictEqual(statusOf({ ...probe, path: "/healthy" }, none), 421);
    assert.strictEqual(
      statusOf({ ...probe, method: "POST", origin }, none),
      403,
    );
  });

  it("are not asked for where there is no Host, as with HTTP/1.0", () => {
    assert.isUndefined(statusOf({ host: undefined }, none));
    assert.isUndefined(statusOf({ host: "" }, none));
  });
});

describe("an answer", () => {
  const policyOf = (path: string) =>
    guarded(path, HttpServerResponse.text("")).headers[
      "content-security-policy"
    ];

  it("lets the docs alone run a script", () => {
    for (const path of ["/docs", "/docs/"]) {
      assert.match(policyOf(path) ?? "", /script-src 'unsafe-inline'/);
    }
    for (const path of ["/docs/x", "/api/orders/", "/openapi.json"]) {
      assert.strictEqual(
        policyOf(path),
        "default-src 'none'; frame-ancestors 'none'",
      );
    }
  });
});

describe("a service that is told nothing and listens on loopback", () => {
  const database = ManagedRuntime.make(TestDatabase.layer);
  let service: ServiceProcess | undefined;

  beforeAll(async () => {
    const { url } = await database.runPromise(TestDatabase);
    service = await startService({ DATABASE_URL: url });
  });
  afterAll(async () => {
    await service?.stop();
    await database.dispose();
  });

  /** Lines as they go over the wire; the status of the answer. */
  const statusOf = async (...lines: ReadonlyArray<string>) => {
    const { hostname, port } = new URL(service?.url ?? "");
    const socket = connect(Number(port), hostname);
    socket.end(`${lines.join("\r\n")}\r\n\r\n`);
    return Number((await text(socket)).split(" ")[1]);
  };

  it.each([
    ["localhost", ["GET /metrics HTTP/1.1", "Host: localhost:8000"]],
    ["an address", ["GET /metrics HTTP/1.1", "Host: 127.0.0.1"]],
    ["a final dot", ["GET /metrics HTTP/1.1", "Host: LOCALHOST.:1"]],
    ["no Host in HTTP/1.0", ["GET /metrics HTTP/1.0"]],
    ["an empty Host", ["GET /metrics HTTP/1.1", "Host:"]],
    [
      "a target that names it, whatever Host says",
      ["GET http://localhost:8000/metrics HTTP/1.1", "Host: evil.example"],
    ],
    ["a probe", ["GET /health/live HTTP/1.1", "Host: evil.example"]],
    [
      "a target with a probe's path",
      ["GET http://evil.example/health/live HTTP/1.1", "Host: localhost"],
    ],
  ])("answers %s", async (_, lines) => {
    assert.strictEqual(await statusOf(...lines, "Connection: close"), 200);
  });

  it.each([
    ["another name", ["GET /metrics HTTP/1.1", "Host: evil.example"]],
    ["its port", ["GET /metrics HTTP/1.1", "Host: evil.example:8000"]],
    ["HTTP/1.0", ["GET /metrics HTTP/1.0", "Host: evil.example"]],
    [
      "a target that names another, whatever Host says",
      ["GET http://evil.example/metrics HTTP/1.1", "Host: localhost"],
    ],
    [
      "a target that leaves a probe's path",
      ["GET http://evil.example/health/../metrics HTTP/1.1", "Host: localhost"],
    ],
  ])("does not go by %s", async (_, lines) => {
    assert.strictEqual(await statusOf(...lines, "Connection: close"), 421);
  });

  it("goes by none of two names", async () => {
    const lines = ["Host: evil.example", "Host: localhost"];
    assert.strictEqual(
      await statusOf("GET /metrics HTTP/1.1", ...lines, "Connection: close"),
      400,
    );
  });
});
