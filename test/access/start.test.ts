/** Where access is open and where it is closed, and what is said of it at start. */
import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import {
  spawnService,
  startService,
  until,
} from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

const adminKey = "an-admin-key-of-more-than-32-characters";

const service = Effect.fnUntraced(function* (env: Record<string, string>) {
  const { url } = yield* TestDatabase;
  return yield* Effect.acquireRelease(
    Effect.promise(() => startService({ DATABASE_URL: url, ...env })),
    (started) => Effect.promise(() => started.stop("SIGKILL")),
  );
});

/** What is answered on this machine, wherever else it listens. */
const statusOf = async (
  { url }: { readonly url: string },
  path: string,
  key?: string,
) => {
  const { status } = await fetch(
    new URL(path, url.replace(/0\.0\.0\.0|localhost/, "127.0.0.1")),
    key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } },
  );
  return status;
};

describe("access", () => {
  it.live("is open on a loopback address, and says nothing of it", () =>
    Effect.gen(function* () {
      const started = yield* service({});
      assert.strictEqual(
        yield* Effect.promise(() => statusOf(started, "/api/orders/")),
        200,
      );
      assert.notMatch(started.output(), /nobody gets in|access is open/);
    }).pipe(Effect.provide(TestDatabase.layer)),
  );

  it.live("is closed elsewhere, and the log says how to get in", () =>
    Effect.gen(function* () {
      const started = yield* service({ HOST: "0.0.0.0" });
      yield* Effect.promise(async () => {
        await until("the line", async () =>
          started.output().includes("nobody gets in"),
        );
        const lines = started
          .output()
          .split("\n")
          .filter((line) => line.includes("nobody gets in"));
        assert.strictEqual(lines.length, 1);
        assert.match(lines[0] ?? "", /"WARN".*ADMIN_KEY.*POST \/api\/keys\//);
        assert.strictEqual(await statusOf(started, "/health/ready"), 200);
        assert.strictEqual(await statusOf(started, "/api/orders/"), 401);
        assert.strictEqual(await statusOf(started, "/docs"), 401);
        assert.strictEqual(await statusOf(started, "/", adminKey), 200);
        assert.strictEqual(
          await statusOf(started, "/api/session/", adminKey),
          401,
        );
      });
    }).pipe(Effect.provide(TestDatabase.layer)),
  );

  it.live("is closed without a word where there is a key", () =>
    Effect.gen(function* () {
      const admin = yield* service({
        HOST: "0.0.0.0",
        ADMIN_KEY: adminKey,
        RUNNER_HOST: "first",
      });
      const key = yield* Effect.promise(async () => {
        const base = admin.url.replace(/0\.0\.0\.0|localhost/, "127.0.0.1");
        const made = await fetch(`${base}/api/keys/`, {
          method: "POST",
          headers: {
            authorization: `Bearer ${adminKey}`,
            "content-type": "application/json",
          },
          body: '{"name":"reader","scopes":["orders:read"]}',
        });
        return ((await made.json()) as { readonly key: string }).key;
      });
      const started = yield* service({ ACCESS: "keys" });
      yield* Effect.promise(async () => {
        assert.strictEqual(await statusOf(started, "/api/orders/"), 401);
        assert.strictEqual(await statusOf(started, "/api/orders/", key), 200);
        assert.strictEqual(
          await statusOf(started, "/api/orders/", adminKey),
          401,
        );
        assert.strictEqual(await statusOf(admin, "/api/keys/", adminKey), 200);
      });
      for (const { output } of [admin, started]) {
        assert.notMatch(output(), /nobody gets in|access is open/);
      }
    }).pipe(Effect.provide(TestDatabase.layer)),
  );

  it.live("is open elsewhere if it is told so, and warns", () =>
    Effect.gen(function* () {
      const started = yield* service({
        HOST: "0.0.0.0",
        ACCESS: "open",
        ALLOWED_HOSTS: "localhost,127.0.0.1",
      });
      yield* Effect.promise(async () => {
        assert.strictEqual(await statusOf(started, "/api/orders/"), 200);
        await until("the line", async () =>
          started.output().includes("access is open"),
        );
      });
    }).pipe(Effect.provide(TestDatabase.layer)),
  );

  it.live.each([
    ["ACCESS", "closed", /ACCESS: must be open or keys/],
    ["ADMIN_KEY", "a-secret-that-is-too-short", /ADMIN_KEY: must have 32/],
    ["ADMIN_KEY", "s".repeat(257), /ADMIN_KEY: must have 32 to 256/],
    ["ADMIN_KEY", `${"s".repeat(20)} ${"s".repeat(20)}`, /without spaces/],
    ["RATE_LIMIT", "600", /RATE_LIMIT: must be a limit such as 600\/minute/],
    ["TRUSTED_PROXIES", "10.0.0.0/33", /TRUSTED_PROXIES: must be addresses/],
    ["TRUSTED_PROXIES", "proxy", /TRUSTED_PROXIES: must be addresses/],
  ] as const)(
    "says in one line that %s=%s will not do",
    ([name, value, words]) =>
      Effect.promise(async () => {
        const { ended, output } = spawnService({
          DATABASE_URL: "postgres://127.0.0.1:1/none",
          [name]: value,
        });
        assert.strictEqual(await ended, 1);
        const line = output().trim();
        assert.strictEqual(line.split("\n").length, 1, line);
        assert.match(line, words);
        if (name === "ADMIN_KEY") assert.notInclude(line, value);
      }),
  );
});
