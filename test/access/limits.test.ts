/** Limits of rate, as callers meet them, and streams of keys that end. */
import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import { Api, assertProblem } from "../http/api.ts";
import { overSocket } from "../http/transports.ts";
import { startService } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

const adminKey = "an-admin-key-of-more-than-32-characters";

const service = Effect.fnUntraced(function* (env: Record<string, string>) {
  const { url } = yield* TestDatabase;
  const started = yield* Effect.acquireRelease(
    Effect.promise(() => startService({ DATABASE_URL: url, ...env })),
    (started) => Effect.promise(() => started.stop("SIGKILL")),
  );
  const api = new Api(overSocket(started.url));
  yield* Effect.addFinalizer(() => Effect.sync(() => api.close()));
  return { ...started, api };
});

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

const make = async (api: Api, given: object) => {
  const answer = await api.request("POST", "/api/keys/", {
    headers: { "content-type": "application/json", ...bearer(adminKey) },
    body: JSON.stringify(given),
  });
  assert.strictEqual(answer.status, 201, answer.text);
  return answer.json as { readonly id: string; readonly key: string };
};

describe("RATE_LIMIT", () => {
  it.live("limits each address where access is open, and no probe", () =>
    Effect.gen(function* () {
      const { api } = yield* service({
        RATE_LIMIT: "3/hour",
        TRUSTED_PROXIES: "127.0.0.1",
      });
      yield* Effect.promise(async () => {
        const from = (address: string) => ({ "x-forwarded-for": address });
        for (const left of [2, 1, 0]) {
          const { headers, status } = await api.get(
            "/api/orders/",
            from("192.0.2.1"),
          );
          assert.strictEqual(status, 200);
          assert.strictEqual(
            headers["ratelimit-policy"],
            '"default";q=3;w=3600',
          );
          assert.match(
            headers.ratelimit ?? "",
            new RegExp(`^"default";r=${left};t=\\d+$`),
          );
          assert.notProperty(headers, "retry-after");
        }
        const refused = await api.place({}, { headers: from("192.0.2.1") });
        assertProblem(refused, 429, "urn:order-service:too-many-requests");
        const seconds = Number(refused.headers["retry-after"]);
        assert.isAtMost(seconds, 1200);
        assert.isAbove(seconds, 1100);
        assert.strictEqual(refused.json.retry_after_seconds, seconds);
        assert.strictEqual(
          refused.headers["ratelimit-policy"],
          '"default";q=3;w=3600',
        );
        assert.match(refused.headers.ratelimit ?? "", /^"default";r=0;t=\d+$/);
        const other = await api.get("/api/events/", from("192.0.2.2"));
        assert.strictEqual(other.status, 200);
        assert.match(other.headers.ratelimit ?? "", /r=2/);
        for (let asked = 0; asked < 5; asked += 1) {
          const live = await api.get("/health/live", from("192.0.2.1"));
          assert.strictEqual(live.status, 200);
          assert.notProperty(live.headers, "ratelimit");
        }
      });
    }).pipe(Effect.provide(TestDatabase.layer)),
  );

  it.live("limits each key, by its own limit first", () =>
    Effect.gen(function* () {
      const { api } = yield* service({
        ACCESS: "keys",
        ADMIN_KEY: adminKey,
        RATE_LIMIT: "20/hour",
      });
      yield* Effect.promise(async () => {
        const own = await make(api, {
          name: "own",
          scopes: ["orders:read"],
          rate_limit: "1/minute",
        });
        const usual = await make(api, {
          name: "usual",
          scopes: ["orders:read"],
        });
        const statuses = async (key: string) =>
          [
            await api.get("/api/orders/", bearer(key)),
            await api.get("/api/keys/", bearer(key)),
          ].map(
            ({ headers, status }) => `${status} ${headers["ratelimit-policy"]}`,
          );
        assert.deepStrictEqual(await statuses(own.key), [
          '200 "default";q=1;w=60',
          '429 "default";q=1;w=60',
        ]);
        assert.deepStrictEqual(await statuses(usual.key), [
          '200 "default";q=20;w=3600',
          '403 "default";q=20;w=3600',
        ]);
      });
    }).pipe(Effect.provide(TestDatabase.layer)),
  );

  it.live("answers good keys however many bad ones their address shows", () =>
    Effect.gen(function* () {
      const { api } = yield* service({ ACCESS: "keys", ADMIN_KEY: adminKey });
      yield* Effect.promise(async () => {
        for (let number = 0; number < 20; number += 1) {
          const { status } = await api.get(
            "/api/orders/",
            bearer(`wrong-${number}`),
          );
          assert.strictEqual(status, 401);
        }
        const { key } = await make(api, {
          name: "good",
          scopes: ["orders:read"],
        });
        const { status } = await api.get("/api/orders/", bearer(key));
        assert.strictEqual(status, 200);
      });
    }).pipe(Effect.provide(TestDatabase.layer)),
  );
});

describe("a stream", () => {
  it.live("ends when its key is revoked, on another instance too", () =>
    Effect.gen(function* () {
      const env = { ACCESS: "keys", ADMIN_KEY: adminKey };
      const one = yield* service(env);
      const other = yield* service({ ...env, RUNNER_HOST: "other" });
      yield* Effect.promise(async () => {
        const { id, key } = await make(one.api, {
          name: "listener",
          scopes: ["orders:read"],
        });
        const ended = [one, other].map(async ({ url }) => {
          const answer = await fetch(`${url}/api/events/stream/`, {
            headers: bearer(key),
          });
          assert.strictEqual(answer.status, 200);
          const reader = answer.body?.getReader();
          while (!(await reader?.read())?.done);
          return Date.now();
        });
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        const revoked = Date.now();
        await one.api.request("DELETE", `/api/keys/${id}/`, {
          headers: bearer(adminKey),
        });
        for (const at of await Promise.all(ended)) {
          assert.isAtLeast(at, revoked);
          assert.isBelow(at - revoked, 13_000);
        }
        for (const { api } of [one, other]) {
          const { status } = await api.get("/api/orders/", bearer(key));
          assert.strictEqual(status, 401);
        }
      });
    }).pipe(Effect.provide(TestDatabase.layer)),
  );
});
