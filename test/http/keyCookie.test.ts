import { Headers } from "effect/http";
import { assert, describe, it } from "vitest";
import { keyIn } from "../../src/http/KeyCookie.ts";

const keyOf = (headers: Readonly<Record<string, string>>) =>
  keyIn(Headers.fromInput(headers));

const planted = "orders_key=planted";
const own = "__Host-orders_key=own";

describe("the cookie of a browser", () => {
  it.each([
    ["orders.example", "__Host-orders_key=own; orders_key=planted", "own"],
    ["orders.example", planted, undefined],
    ["127.0.0.1", planted, "planted"],
    ["localhost", own, "own"],
  ])("of a secure page on %s, %s, has the key %s", (host, cookie, key) => {
    assert.strictEqual(
      keyOf({ host, cookie, "sec-fetch-site": "same-origin" }),
      key,
    );
  });

  it("needs no prefix where a browser says nothing, as it does without TLS", () => {
    assert.strictEqual(keyOf({ host: "10.0.0.7", cookie: planted }), "planted");
  });
});
