/**
 * The addresses of this machine and of networks of its own, and all others that
 * lead to no receiver on the internet. Whoever may say where to post to could
 * reach with them what is not meant for him.
 *
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 */
import { BlockList, isIP } from "node:net";

const ipv4 = [
  "0.0.0.0/8", // this network, and the unspecified address
  "10.0.0.0/8", // private
  "100.64.0.0/10", // behind carriers' NAT
  "127.0.0.0/8", // loopback
  "168.63.129.16/32", // metadata of Azure, at a public address
  "169.254.0.0/16", // link-local: metadata of clouds
  "172.16.0.0/12", // private
  "192.0.0.0/24", // protocols
  "192.0.2.0/24", // documentation
  "192.88.99.0/24", // 6to4 relays, as they were
  "192.168.0.0/16", // private
  "198.18.0.0/15", // benchmarks
  "198.51.100.0/24", // documentation
  "203.0.113.0/24", // documentation
  "224.0.0.0/4", // multicast
  "240.0.0.0/4", // reserved, and broadcast
];

const ipv6 = [
  "::/128", // unspecified
  "::1/128", // loopback
  "64:ff9b:1::/48", // NAT64 of a network of its own
  "100::/64", // discarded
  "2001::/23", // protocols
  "2001:db8::/32", // documentation
  "3fff::/20", // documentation
  "5f00::/16", // segment routing
  "fc00::/7", // private
  "fe80::/10", // link-local
  "fec0::/10", // private, as it was
  "ff00::/8", // multicast
];

const listOf = (subnets: ReadonlyArray<string>, family: "ipv4" | "ipv6") => {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network = "", bits] = subnet.split("/");
    list.addSubnet(network, Number(bits), family);
  }
  return list;
};

const private4 = listOf(ipv4, "ipv4");
const private6 = listOf(ipv6, "ipv6");

/** The eight groups of an IPv6 address, in any of its notations. */
const groupsOf = (address: string): ReadonlyArray<number> => {
  const text = address
    .replace(/%.*$/, "")
    .replace(/\d+\.\d+\.\d+\.\d+$/, (dotted) => {
      const [a = 0, b = 0, c = 0, d = 0] = dotted.split(".").map(Number);
      return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
    });
  const [head = "", tail] = text.split("::");
  const read = (part: string) =>
    part === "" ? [] : part.split(":").map((group) => parseInt(group, 16));
  const left = read(head);
  if (tail === undefined) return left;
  const right = read(tail);
  const zeros = new Array<number>(8 - left.length - right.length).fill(0);
  return [...left, ...zeros, ...right];
};

const dotted = (high = 0, low = 0) =>
  [high >> 8, high & 255, low >> 8, low & 255].join(".");

/** The IPv4 address that an IPv6 address stands for, if it does for one. */
const ipv4In = (address: string): string | undefined => {
  const groups = groupsOf(address);
  const [a, b, c, d, e, f, g, h] = groups;
  const isZero = (...some: ReadonlyArray<number | undefined>) =>
    some.every((group) => group === 0);
  // Mapped, and compatible as it once was; the latter has ::1 in it, too.
  if (isZero(a, b, c, d, e) && (f === 0xffff || f === 0)) return dotted(g, h);
  if (isZero(a, b, c, d) && e === 0xffff && f === 0) return dotted(g, h);
  // NAT64, 6to4.
  if (a === 0x64 && b === 0xff9b && isZero(c, d, e, f)) return dotted(g, h);
  if (a === 0x2002) return dotted(b, c);
  return undefined;
};

/** Whether a receiver at this address is to be refused; also if it is none. */
export const isPrivate = (address: string): boolean => {
  switch (isIP(address)) {
    case 4:
      return private4.check(address, "ipv4");
    case 6: {
      const inside = ipv4In(address);
      return (
        private6.check(address.replace(/%.*$/, ""), "ipv6") ||
        (inside !== undefined && private4.check(inside, "ipv4"))
      );
    }
    default:
      return true;
  }
};

/**
 * Whether the host of a URL is such an address itself, or a name of this
 * machine. What any other name leads to is seen when it is resolved.
 */
export const isPrivateHost = (hostname: string): boolean => {
  const host = hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  return isIP(host) === 0 ? /(^|\.)localhost$/i.test(host) : isPrivate(host);
};
