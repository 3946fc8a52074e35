/**
 * Every request of the contract by every kind of key, seen from outside. The
 * table is made of the contract: an endpoint that is new is in it, and one that
 * does not say which scope it needs lets nothing start.
 */
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { isScope, type Needed, pages } from "../../src/api/Access.ts";
import { rules } from "../../src/api/Api.ts";
import { keyOf } from "../../src/domain/ApiKey.ts";
import { allScopes, type Scope } from "../../src/domain/Scope.ts";
import { type Answer, Api, assertProblem } from "../http/api.ts";
import type { RunningService } from "../http/contractSuite.ts";
import { sessionSuite } from "./sessionSuite.ts";

export const adminKey = "an-admin-key-of-more-than-32-characters";

interface Asked {
  readonly method: string;
  /** As the contract writes it. */
  readonly path: string;
  readonly needed: Needed;
}

const table: ReadonlyArray<Asked> = [
  ...rules,
  ...Object.entries(pages).map(([path, needed]) => ({
    method: "GET",
    path,
    needed,
  })),
];

/** A request that does no harm: its order, key, event is none. */
const urlOf = (path: string): string => {
  const url = path.replace(/:\w+/g, "none");
  // It would go on for ever.
  return path.endsWith("/stream/") ? `${url}?after=none` : url;
};

let addresses = 0;

/** Each from an address of its own, of which no bad key is known. */
const from = (): Readonly<Record<string, string>> => {
  addresses += 1;
  return { "x-forwarded-for": `2001:db8:${addresses.toString(16)}::1` };
};

const bearer = (key: string) => ({ authorization: `Bearer ${key}`, ...from() });

export const accessSuite = (
  name: string,
  start: (
    settings: Readonly<Record<string, string>>,
  ) => Promise<RunningService>,
) =>
  describe(name, () => {
    let service: RunningService | undefined;
    let api: Api;
    const keys = new Map<string, string>();

    const make = async (given: Readonly<Record<string, unknown>>) => {
      const answer = await api.request("POST", "/api/keys/", {
        headers: { "content-type": "application/json", ...bearer(adminKey) },
        body: JSON.stringify(given),
      });
      assert.strictEqual(answer.status, 201, answer.text);
      return answer.json as { readonly id: string; readonly key: string };
    };

    beforeAll(async () => {
      service = await start({
        ACCESS: "keys",
        ADMIN_KEY: adminKey,
        TRUSTED_PROXIES: "127.0.0.1",
        PROCESSING_TIME: "1 hour",
      });
      api = new Api(service.transport);
      for (const scope of allScopes) {
        const { key } = await make({
          name: `key of ${scope}`,
          scopes: [scope],
        });
        keys.set(scope, key);
      }
      const revoked = await make({ name: "revoked", scopes: allScopes });
      const gone = await api.request("DELETE", `/api/keys/${revoked.id}/`, {
        headers: bearer(adminKey),
      });
      assert.strictEqual(gone.status, 204);
      keys.set("revoked", revoked.key);
      const expired = await make({
        name: "expired",
        scopes: allScopes,
        expires_at: new Date(Date.now() + 300).toISOString(),
      });
      await new Promise((resolve) => setTimeout(resolve, 400));
      keys.set("expired", expired.key);
      keys.set("wrong", keyOf(crypto.getRandomValues(new Uint8Array(20))));
      keys.set("malformed", `${expired.key}x`);
    });

    afterAll(async () => {
      api?.close();
      await service?.stop();
    });

    const keyNamed = (name: string) => {
      const key = keys.get(name);
      assert.isDefined(key, name);
      return key;
    };

    const send = (
      { method, path }: Asked,
      headers: Readonly<Record<string, string>>,
      url = urlOf(path),
    ) =>
      api.request(method, url, {
        headers:
          method === "POST"
            ? { "content-type": "application/json", ...headers }
            : headers,
        ...(method === "POST" ? { body: "{}" } : {}),
      });

    const assertRefused = (answer: Answer, challenge: string) => {
      assertProblem(answer, 401, "urn:order-service:key-required");
      assert.strictEqual(answer.headers["www-authenticate"], challenge);
    };

    const assertPassed = ({ status, text }: Answer) =>
      assert.notInclude([401, 403, 429], status, text);

    const assertLacks = (answer: Answer, scope: Scope) => {
      assertProblem(answer, 403, "urn:order-service:scope-missing");
      assert.strictEqual(answer.json.scope, scope);
      assert.include(answer.json.detail, scope);
    };

    for (const asked of table) {
      const { method, needed, path } = asked;
      describe(`${method} ${path}`, () => {
        if (needed === "anybody") {
          it("answers without a key, and with any", async () => {
            assertPassed(await send(asked, {}));
            assertPassed(await send(asked, bearer(keyNamed("wrong"))));
          });
          return;
        }

        it("is refused without a key", async () => {
          for (const headers of [
            {},
            { authorization: "" },
            { authorization: "Bearer" },
            { authorization: "Bearer " },
            { authorization: `Basic ${btoa(`admin:${adminKey}`)}` },
            { authorization: adminKey },
            { cookie: `key=${adminKey}; session=${adminKey}` },
            { cookie: "orders_key=", host: "127.0.0.1" },
            { "x-api-key": adminKey },
          ]) {
            assertRefused(await send(asked, headers), "Bearer");
          }
          const url = urlOf(path);
          assertRefused(
            await send(
              asked,
              {},
              `${url}${url.includes("?") ? "&" : "?"}key=${adminKey}&access_token=${adminKey}`,
            ),
            "Bearer",
          );
        });

        it.each(["wrong", "malformed", "revoked", "expired"])(
          "is refused with a key that is %s",
          async (kind) => {
            assertRefused(
              await send(asked, bearer(keyNamed(kind))),
              'Bearer error="invalid_token"',
            );
          },
        );

        it.each(allScopes)("by a key with %s alone", async (scope) => {
          const answer = await send(asked, bearer(keyNamed(scope)));
          if (isScope(needed) && scope !== needed) assertLacks(answer, needed);
          else assertPassed(answer);
        });

        it("is answered with ADMIN_KEY, whatever the scheme's case", async () => {
          assertPassed(await send(asked, bearer(adminKey)));
          const authorization = `bearer  ${adminKey}`;
          assertPassed(await send(asked, { authorization }));
        });

        it("is answered to a browser that keeps the key, and not to another site", async () => {
          const headers = {
            host: "127.0.0.1",
            cookie: `other=1; orders_key=${adminKey}`,
          };
          assertPassed(await send(asked, headers));
          const own = { ...headers, "sec-fetch-site": "same-origin" };
          assertPassed(await send(asked, own));
          for (const site of ["same-site", "cross-site"]) {
            const answer = await send(asked, {
              ...headers,
              "sec-fetch-site": site,
            });
            if (method === "GET") assertRefused(answer, "Bearer");
            else assertProblem(answer, 403, "urn:order-service:cross-site");
          }
        });

        it("is no other by another way to write it", async () => {
          const scope = allScopes.find((one) => one !== needed) as Scope;
          const statuses = [
            400,
            403,
            404,
            405,
            ...(isScope(needed) ? [] : [200]),
          ];
          const [url = "", query] = urlOf(path).split("?");
          const bare = url.replace(/\/$/, "");
          const last = bare.lastIndexOf("/") + 1;
          for (const written of [
            bare,
            `${bare}/`,
            `${bare}//`,
            `/${bare}`,
            bare.toUpperCase(),
            `${bare};x`,
            `${bare}%00`,
            `${bare.slice(0, last)}%${bare.charCodeAt(last).toString(16)}${bare.slice(last + 1)}`,
            `${bare.slice(0, last)}./${bare.slice(last)}`,
            `/health/live/..${bare}`,
            `/health/..${bare}`,
            bare.replaceAll("/", "%2F").replace("%2F", "/"),
          ]) {
            const again = query === undefined ? written : `${written}?${query}`;
            assert.include([401], (await send(asked, {}, again)).status, again);
            const { status } = await send(
              asked,
              bearer(keyNamed(scope)),
              again,
            );
            assert.include(statuses, status, again);
          }
        });

        it("is refused to a page of another site, with a good key too", async () => {
          const headers = {
            ...bearer(adminKey),
            origin: "https://evil.example",
            "sec-fetch-site": "cross-site",
          };
          const answer = await send(asked, headers);
          if (method === "GET") assertPassed(answer);
          else assertProblem(answer, 403, "urn:order-service:cross-site");
          assert.notProperty(answer.headers, "access-control-allow-origin");
        });
      });
    }

    it("refuses what is not there without a key, and says so with any", async () => {
      for (const [method, path, status] of [
        ["GET", "/no/such/path", 404],
        ["POST", "/", 405],
        ["POST", "/console/app.js", 405],
        ["GET", "/console", 404],
        ["GET", "/api/", 404],
        ["GET", "/health/none", 404],
        ["PUT", "/api/orders/", 405],
        ["DELETE", "/api/orders/none/", 405],
        ["OPTIONS", "/api/orders/", 405],
      ] as const) {
        assertRefused(await api.request(method, path, {}), "Bearer");
        for (const scope of allScopes) {
          const headers = bearer(keyNamed(scope));
          const answer = await api.request(method, path, { headers });
          assert.strictEqual(answer.status, status, `${method} ${path}`);
        }
      }
    });

    sessionSuite(() => ({ api, adminKey, key: keyNamed, make }));

    it("places an order by its scope, and cancels it by another", async () => {
      const placed = await api.place(
        {},
        { headers: bearer(keyNamed("orders:place")) },
      );
      assert.strictEqual(placed.status, 201, placed.text);
      const { location = "" } = placed.headers;
      const refused = await api.post(`${location}cancel/`, {
        ...bearer(keyNamed("orders:place")),
      });
      assertLacks(refused, "orders:operate");
      const read = bearer(keyNamed("orders:read"));
      assert.strictEqual((await api.get(location, read)).status, 200);
    });

    it("keeps who cancelled an order in its history", async () => {
      const place = bearer(keyNamed("orders:place"));
      const operate = bearer(keyNamed("orders:operate"));
      const read = bearer(keyNamed("orders:read"));
      // One of those that wait: it takes a turn to begin one.
      for (let tries = 0; ; tries += 1) {
        const placed = await api.place({}, { headers: place });
        const { location = "" } = placed.headers;
        const cancelled = await api.post(`${location}cancel/`, operate);
        if (cancelled.status === 409 && tries < 50) continue;
        assert.strictEqual(cancelled.status, 200, cancelled.text);
        const { json } = await api.get(`${location}history/`, read);
        const last = json.at(-1);
        assert.include(last, {
          type: "cancelled",
          actor: "key of orders:operate",
        });
        return;
      }
    });

    it("asks no key of the same name twice, and shows none again", async () => {
      const answer = await api.request("POST", "/api/keys/", {
        headers: { "content-type": "application/json", ...bearer(adminKey) },
        body: JSON.stringify({ name: "key of orders:read", scopes: ["admin"] }),
      });
      assertProblem(answer, 409, "urn:order-service:key-name-taken");
      const listed = await api.get("/api/keys/", bearer(adminKey));
      assert.strictEqual(listed.status, 200);
      for (const key of keys.values()) assert.notInclude(listed.text, key);
      assert.notMatch(listed.text, /digest|[0-9a-f]{64}/);
    });
  });
