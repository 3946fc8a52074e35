import { Option, Result } from "effect";
import { HttpServerRequest } from "effect/http";
import { IpNetwork } from "effect/net";
import { assert, describe, it } from "vitest";
import * as ClientAddress from "../../src/http/ClientAddress.ts";

const proxies = ["10.0.0.0/8", "fd00::/8"].map((network) =>
  Result.getOrThrow(IpNetwork.fromString(network)),
);

const addressOf = (
  peer: string | undefined,
  forwarded?: string,
): string | undefined =>
  ClientAddress.make(proxies)(
    HttpServerRequest.fromWeb(
      new Request("http://service/", {
        headers:
          forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
      }),
    ).modify({ remoteAddress: Option.fromUndefinedOr(peer) }),
  );

describe("the address of a caller", () => {
  it.each([
    ["the connection's", "192.0.2.1", undefined, "192.0.2.1"],
    ["the connection's, of a proxy", "10.0.0.1", undefined, "10.0.0.1"],
    ["none", undefined, "192.0.2.1", undefined],
    ["as a socket writes IPv4", "::ffff:192.0.2.1", undefined, "192.0.2.1"],
    ["not what anybody writes", "192.0.2.1", "198.51.100.7", "192.0.2.1"],
    ["what a proxy writes", "10.0.0.1", "198.51.100.7", "198.51.100.7"],
    [
      "not what stood there before",
      "10.0.0.1",
      "6.6.6.6, 198.51.100.7",
      "198.51.100.7",
    ],
    [
      "before several proxies",
      "10.0.0.1",
      "6.6.6.6, 198.51.100.7, fd00::1, 10.1.1.1",
      "198.51.100.7",
    ],
    ["the first, if all are proxies", "10.0.0.1", "10.2.2.2", "10.2.2.2"],
    ["the proxy's, of nonsense", "10.0.0.1", "a, unknown", "10.0.0.1"],
    ["with a port", "10.0.0.1", "198.51.100.7:1234", "198.51.100.7"],
    ["with a port", "10.0.0.1", "[2001:db8::1]:1234", "2001:db8::/64"],
    ["in brackets", "10.0.0.1", "[2001:db8::1]", "2001:db8::/64"],
    [
      "the network of IPv6",
      "2001:db8:1:2:3:4:5:6",
      undefined,
      "2001:db8:1:2::/64",
    ],
    ["nobody's, of an empty header", "10.0.0.1", "", "10.0.0.1"],
  ])("is %s: %s, %s", (_, peer, forwarded, expected) => {
    assert.strictEqual(addressOf(peer, forwarded), expected);
  });
});
