/**
 * Whose request it is, by address. Behind proxies that are trusted it is in
 * `X-Forwarded-For`, in which anybody can write: it is read from the right, as
 * far as trusted proxies have written it.
 *
 * Effect's `HttpMiddleware.xForwardedHeaders` reads it so, too. It takes the
 * `Host` from a header as well, by which a page could give itself a name of
 * this service (`Browsers`), and does its work when nobody asks for an address.
 */
import { Option, Result } from "effect";
import type { HttpServerRequest } from "effect/http";
import { IpNetwork, NetAddress } from "effect/net";

/** An address as it is written, with or without brackets and a port. */
const parse = (text: string): NetAddress.IpAddress | undefined => {
  const bare = text.trim().replace(/^\[(.*)\]$/, "$1");
  const ip = NetAddress.ipFromString(bare);
  if (Result.isSuccess(ip)) return NetAddress.toCanonical(ip.success);
  const withPort = NetAddress.inetAddressFromString(text.trim());
  return Result.isSuccess(withPort)
    ? NetAddress.toCanonical(withPort.success.address)
    : undefined;
};

/** One caller may have 2^64 addresses of IPv6: the network stands for them. */
const ipv6NetworkBits = 64;

const nameOf = (address: NetAddress.IpAddress): string =>
  NetAddress.isIpv4Address(address)
    ? NetAddress.formatIp(address)
    : IpNetwork.format(IpNetwork.fromAddressUnsafe(address, ipv6NetworkBits));

/**
 * What tells a caller's address; `undefined` where there is none, as behind
 * `FetchService`.
 *
 * @param trusted networks of proxies whose `X-Forwarded-For` is believed
 */
export const make = (trusted: ReadonlyArray<IpNetwork.IpNetwork>) => {
  const isTrusted = (address: NetAddress.IpAddress) =>
    trusted.some((network) => IpNetwork.contains(network, address));

  return (request: HttpServerRequest.HttpServerRequest): string | undefined => {
    const peerText = Option.getOrUndefined(request.peerAddress);
    const peer = peerText === undefined ? undefined : parse(peerText);
    if (peer === undefined) return undefined;
    if (!isTrusted(peer)) return nameOf(peer);
    const forwarded = request.headers["x-forwarded-for"]?.split(",") ?? [];
    let client = peer;
    for (const text of forwarded.reverse()) {
      const address = parse(text);
      // What a trusted proxy wrote ends here.
      if (address === undefined) break;
      client = address;
      if (!isTrusted(address)) break;
    }
    return nameOf(client);
  };
};
