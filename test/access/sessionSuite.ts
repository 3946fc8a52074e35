/** How a browser signs in: a key that is shown once, and kept in a cookie. */
import { assert, describe, it } from "vitest";
import { allScopes } from "../../src/domain/Scope.ts";
import { type Answer, type Api, assertProblem } from "../http/api.ts";

interface Subject {
  readonly api: Api;
  readonly adminKey: string;
  /** The keys that the service was given, and some that are not good. */
  readonly key: (name: string) => string;
  readonly make: (
    given: Readonly<Record<string, unknown>>,
  ) => Promise<{ readonly id: string; readonly key: string }>;
}

type Headers = Readonly<Record<string, string>>;

let addresses = 0;

/** Each from an address of its own, of which no bad key is known. */
const from = (): Headers => {
  addresses += 1;
  return { "x-forwarded-for": `2001:db9:${addresses.toString(16)}::1` };
};

const host = "127.0.0.1:8000";

/** As the page of this service sends it. */
const ofBrowser: Headers = {
  host,
  origin: `http://${host}`,
  "sec-fetch-site": "same-origin",
};

const bearer = (key: string): Headers => ({ authorization: `Bearer ${key}` });

/** What a browser sends back of what it was given. */
const cookieOf = ({ headers }: Answer): string => {
  const given = headers["set-cookie"];
  // Node's client has them in an array.
  const text = Array.isArray(given) ? given[0] : given;
  return /^([^;]*)/.exec(text ?? "")?.[1] ?? "";
};

const attributesOf = ({ headers }: Answer): ReadonlyArray<string> =>
  String(headers["set-cookie"]).split("; ").slice(1).toSorted();

export const sessionSuite = (subject: () => Subject) =>
  describe("a browser", () => {
    const path = "/api/session/";
    const who = (headers: Headers) =>
      subject().api.get(path, { ...from(), ...headers });
    const signIn = (key: string, headers: Headers = ofBrowser) =>
      subject().api.post(path, { ...from(), ...headers, ...bearer(key) });
    const assertRefused = (answer: Answer) => {
      assertProblem(answer, 401, "urn:order-service:key-required");
      // Not Basic, nor Digest, for which browsers open a window.
      assert.match(answer.headers["www-authenticate"] ?? "", /^Bearer\b/);
      assert.notProperty(answer.headers, "set-cookie");
    };

    it("signs in with a key, and is known by the cookie from then on", async () => {
      const { api, key } = subject();
      const signed = await signIn(key("orders:read"));
      assert.strictEqual(signed.status, 200, signed.text);
      assert.deepStrictEqual(signed.json, {
        access: "keys",
        name: "key of orders:read",
        scopes: ["orders:read"],
      });
      assert.strictEqual(signed.headers["cache-control"], "no-store");
      assert.deepStrictEqual(attributesOf(signed), [
        "HttpOnly",
        `Max-Age=${30 * 24 * 60 * 60}`,
        "Path=/",
        "SameSite=Strict",
      ]);
      const cookie = cookieOf(signed);
      assert.match(cookie, /^orders_key_8000=/);
      const session = await who({ ...ofBrowser, cookie });
      assert.deepStrictEqual(session.json, signed.json);
      const listed = await api.get("/api/orders/", { ...ofBrowser, cookie });
      assert.strictEqual(listed.status, 200);
      const keys = await api.get("/api/keys/", { ...ofBrowser, cookie });
      assertProblem(keys, 403, "urn:order-service:scope-missing");
      const docs = await api.get("/docs", { host, cookie });
      assert.strictEqual(docs.status, 200);
    });

    it("signs in with any key there may be", async () => {
      const signed = await signIn(subject().adminKey);
      assert.deepStrictEqual(signed.json.scopes, allScopes);
      const { json } = await who({ ...ofBrowser, cookie: cookieOf(signed) });
      assert.strictEqual(json.name, signed.json.name);
    });

    it("behind TLS sends the cookie over TLS alone, and takes none of a neighbour", async () => {
      const { key } = subject();
      const tls = {
        host: "127.0.0.1",
        origin: "https://127.0.0.1",
        "sec-fetch-site": "same-origin",
      };
      const signed = await signIn(key("orders:read"), tls);
      const cookie = cookieOf(signed);
      assert.match(cookie, /^__Host-orders_key=/);
      assert.include(attributesOf(signed), "Secure");
      assert.include(attributesOf(signed), "Path=/");
      const planted = `orders_key=${key("orders:place")}`;
      for (const both of [`${planted}; ${cookie}`, `${cookie}; ${planted}`]) {
        const { json } = await who({ ...tls, cookie: both });
        assert.strictEqual(json.name, "key of orders:read");
      }
      const out = await subject().api.request("DELETE", path, { headers: tls });
      const takenBack = String(out.headers["set-cookie"]);
      assert.match(takenBack, /(^|,)orders_key=;/);
      assert.match(takenBack, /__Host-orders_key=;[^,]*(,[^,=]*)?Secure/);
    });

    it.each(["wrong", "malformed", "revoked", "expired"])(
      "gets no cookie for a key that is %s, and nothing by one",
      async (kind) => {
        const { key } = subject();
        assertRefused(await signIn(key(kind)));
        const cookie = `orders_key_8000=${key(kind)}`;
        assertRefused(await who({ ...ofBrowser, cookie }));
        assertRefused(
          await subject().api.post(path, { ...from(), ...ofBrowser, cookie }),
        );
      },
    );

    it("of another site signs nobody in or out", async () => {
      const { api, key } = subject();
      for (const site of [
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
        { origin: "http://127.0.0.1:3000" },
      ]) {
        for (const method of ["POST", "DELETE"]) {
          const answer = await api.request(method, path, {
            headers: { host, ...bearer(key("admin")), ...site },
          });
          assertProblem(answer, 403, "urn:order-service:cross-site");
          assert.notProperty(answer.headers, "set-cookie");
        }
      }
    });

    it("keeps the key of each port apart, and takes no cookie of a like name", async () => {
      const { adminKey } = subject();
      for (const name of [
        ...["orders_key", "orders_key_8001", "orders_key_80001"],
        ...["xorders_key_8000", "__Host-orders_key", "ORDERS_KEY_8000"],
      ]) {
        assertRefused(
          await who({ ...ofBrowser, cookie: `${name}=${adminKey}` }),
        );
      }
      for (const cookie of [
        ...["orders_key_8000", "orders_key_8000=", ";;==;", "=", "%"],
        ...["orders_key_8000=%", "orders_key_8000=%ff", `a=${adminKey}`],
      ]) {
        assertRefused(await who({ ...ofBrowser, cookie }));
      }
    });

    it("is whom a program says that it is: Authorization goes first", async () => {
      const { adminKey, key } = subject();
      const cookie = `orders_key_8000=${adminKey}`;
      const said = await who({
        ...ofBrowser,
        cookie,
        ...bearer(key("orders:read")),
      });
      assert.strictEqual(said.json.name, "key of orders:read");
      assertRefused(await who({ ...ofBrowser, cookie, ...bearer("none") }));
      assertRefused(
        await who({ ...ofBrowser, cookie, authorization: "Basic YTpi" }),
      );
    });

    it("signs out, with a key or without", async () => {
      const { api } = subject();
      for (const headers of [{}, { cookie: "orders_key_8000=none" }]) {
        const answer = await api.request("DELETE", path, {
          headers: { ...ofBrowser, ...headers },
        });
        assert.strictEqual(answer.status, 204, answer.text);
        const takenBack = String(answer.headers["set-cookie"]);
        assert.match(takenBack, /(^|,) ?orders_key_8000=;/);
        assert.match(takenBack, /(^|,) ?__Host-orders_key_8000=;/);
        assert.include(takenBack, "Max-Age=0");
        assert.strictEqual(answer.headers["cache-control"], "no-store");
      }
    });

    it("is told to keep no answer, as no cache on the way may", async () => {
      const { adminKey, api } = subject();
      const cookie = `orders_key_8000=${adminKey}`;
      for (const asked of ["/api/orders/", "/api/keys/", "/metrics"]) {
        const { headers } = await api.get(asked, { ...ofBrowser, cookie });
        assert.strictEqual(headers["cache-control"], "no-store", asked);
      }
      // It is the same page for all who may read it.
      const docs = await api.get("/docs", { ...ofBrowser, cookie });
      assert.strictEqual(docs.headers["cache-control"], "no-cache");
    });

    it("hears events by its cookie, until the key is revoked", async () => {
      const { adminKey, api, make } = subject();
      const { id, key } = await make({
        name: "listening browser",
        scopes: ["orders:read"],
      });
      const cookie = cookieOf(await signIn(key));
      const headers = { ...ofBrowser, cookie };
      const heard = api.listen("/api/events/stream/", 1_000_000, headers);
      const first = await api.listen("/api/events/stream/", 1, headers);
      assert.strictEqual(first.status, 200);
      await api.request("DELETE", `/api/keys/${id}/`, {
        headers: { ...from(), ...bearer(adminKey) },
      });
      // It ends, long before as many events.
      assert.strictEqual((await heard).status, 200);
      assertRefused(await who(headers));
    });
  });
