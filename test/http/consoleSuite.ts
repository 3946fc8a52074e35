/** The console's page and its files, as a browser asks for them. */
import { gunzipSync } from "node:zlib";
import { assert, describe, it } from "vitest";
import { neededBy } from "../../src/api/Access.ts";
import { Api as Contract } from "../../src/api/Api.ts";
import { allScopes } from "../../src/domain/Scope.ts";
import { type Answer, type Api, assertProblem } from "./api.ts";

type File = Pick<Answer, "headers" | "bytes" | "text">;

/** What a file has a browser ask for. */
const asksFor = ({ headers, text }: File): ReadonlyArray<string> => {
  const type = headers["content-type"] ?? "";
  const found = type.startsWith("text/html")
    ? text.matchAll(/\b(?:src|href)\s*=\s*"([^"]*)"/g)
    : type.startsWith("text/css")
      ? text.matchAll(/(?:@import|url\()\s*["']?([^"')]*)/g)
      : text.matchAll(/\b(?:from|import)\s*\(?\s*["']([^"'\s=]+)["']/g);
  return Array.from(found, ([, name = ""]) => name).filter(
    (name) => !name.startsWith("data:") && name !== "/docs",
  );
};

export const consoleSuite = (api: () => Api) => {
  /** The page, and all that it leads to, as it was sent. */
  const everything = async () => {
    const got = new Map<string, File>();
    const read = async (path: string): Promise<void> => {
      if (got.has(path)) return;
      const zipped = await api().get(path, { "accept-encoding": "gzip" });
      assert.strictEqual(zipped.status, 200, path);
      assert.strictEqual(zipped.headers["content-encoding"], "gzip", path);
      const { bytes, headers } = zipped;
      const file = { bytes, headers, text: gunzipSync(bytes).toString() };
      got.set(path, file);
      for (const asked of asksFor(file)) {
        const url = new URL(asked, `http://service${path}`);
        assert.match(asked, /^(\.?\/)/, `${path} asks for ${asked}`);
        assert.strictEqual(url.host, "service", `${path} asks for ${asked}`);
        await read(url.pathname);
      }
    };
    await read("/");
    return got;
  };

  describe("the console", () => {
    it("is a page with its files, each of its type, from this service alone", async () => {
      const types: Readonly<Record<string, string>> = {
        js: "text/javascript; charset=utf-8",
        css: "text/css; charset=utf-8",
        svg: "image/svg+xml",
      };
      const files = await everything();
      assert.includeMembers(Array.from(files.keys()), [
        ...["/", "/console/app.js", "/console/contract.js"],
        ...["/console/preact.js", "/console/htm.js", "/console/console.css"],
      ]);
      for (const [path, { headers, text }] of files) {
        assert.strictEqual(
          headers["content-type"],
          types[path.split(".")[1] ?? ""] ?? "text/html; charset=utf-8",
          path,
        );
        assert.strictEqual(headers["cache-control"], "no-cache");
        // A map that is not served is a 404 for whoever looks closer.
        assert.notInclude(text, "sourceMappingURL", path);
      }
      const page = files.get("/")?.text ?? "";
      assert.notMatch(page, /<script(?![^>]*\bsrc=)|<style|\son\w+=|\bstyle=/i);
    });

    it("is not sent again to who has it", async () => {
      for (const [path, { headers }] of await everything()) {
        const again = await api().get(path, {
          "if-none-match": headers.etag ?? "",
        });
        assert.strictEqual(again.status, 304, path);
        assert.strictEqual(again.text, "");
      }
    });

    it("is the same with a query, which is the page's own", async () => {
      const page = await api().get("/");
      const { headers, text } = await api().get("/?status=FAILED&x=/console/");
      assert.strictEqual(text, page.text);
      assert.strictEqual(headers.etag, page.headers.etag);
    });

    it("runs no script but its own files, and makes none of text", async () => {
      const { headers } = await api().get("/");
      const policy = new Map(
        (headers["content-security-policy"] ?? "")
          .split("; ")
          .map((rule) => [rule.split(" ")[0], rule.split(" ").slice(1)]),
      );
      assert.deepStrictEqual(policy.get("default-src"), ["'none'"]);
      assert.deepStrictEqual(policy.get("script-src"), ["'self'"]);
      assert.deepStrictEqual(policy.get("style-src"), ["'self'"]);
      assert.deepStrictEqual(policy.get("connect-src"), ["'self'"]);
      assert.deepStrictEqual(policy.get("base-uri"), ["'none'"]);
      assert.deepStrictEqual(policy.get("require-trusted-types-for"), [
        "'script'",
      ]);
      assert.deepStrictEqual(policy.get("trusted-types"), ["'none'"]);
    });

    it("knows each endpoint of the contract by its name", async () => {
      const { text } = await api().get("/console/contract.js");
      const json = /^export const endpoints = (\{.*\});$/m.exec(text)?.[1];
      const endpoints = JSON.parse(json ?? "{}");
      for (const group of Object.values(Contract.groups)) {
        for (const endpoint of Object.values(group.endpoints)) {
          const { identifier, method, path } = endpoint;
          assert.deepStrictEqual(
            endpoints[`${group.identifier}.${identifier}`],
            {
              method,
              path,
              needed: neededBy(endpoint, group),
            },
          );
        }
      }
    });

    it("has no other files", async () => {
      for (const path of [
        ...["/console/", "/console/none.js", "/console/index.html"],
        ...["/console/app.js/x", "/console/..%2fConsolePage.ts"],
        ...["/console/contract.d.ts", "/console/%2e%2e/ConsolePage.ts"],
        ...["/console/APP.JS", "/index.html", "/console//app.js"],
      ]) {
        const answer = await api().get(path);
        assertProblem(answer, 404, "urn:order-service:path-not-found");
      }
    });

    it("is not kept once more for each way to write a path", async () => {
      // However it is written, it may be answered, but not by a copy.
      for (const path of ["/console/%61pp.js", "/console/app%2ejs"]) {
        const { headers, status } = await api().get(path);
        assert.include([200, 404], status, path);
        assert.notProperty(headers, "etag", path);
      }
    });
  });

  describe("a session, where access is open", () => {
    it("is anybody's, with all scopes, and needs no cookie", async () => {
      for (const method of ["GET", "POST"]) {
        const answer = await api().request(method, "/api/session/");
        assert.deepStrictEqual(answer.json, {
          access: "open",
          name: null,
          scopes: allScopes,
        });
        assert.notProperty(answer.headers, "set-cookie");
      }
      const out = await api().request("DELETE", "/api/session/");
      assert.strictEqual(out.status, 204);
    });
  });
};
