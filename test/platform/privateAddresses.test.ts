import { assert, describe, it } from "vitest";
import {
  isPrivate,
  isPrivateHost,
} from "../../src/platform/PrivateAddresses.ts";

describe("a private address", () => {
  it.each([
    ...["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254"],
    ...["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
    ...["100.64.0.1", "100.127.255.255", "169.254.169.254"],
    ...["192.0.0.1", "192.0.0.170", "192.0.2.1", "198.51.100.7"],
    ...["203.0.113.9", "198.18.0.1", "198.19.255.255"],
    ...["224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"],
    ...["::", "::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1"],
    ...["fc00::1", "fdff::1", "ff02::1", "2001:db8::1", "3fff::1", "100::1"],
    // IPv4 in IPv6: mapped, compatible, translated, NAT64, 6to4.
    ...["::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1"],
    ...["0:0:0:0:0:ffff:c0a8:0101", "::127.0.0.1", "::a00:1"],
    ...["::ffff:0:192.168.0.1", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1"],
    ...["64:ff9b:1::808:808", "2002:7f00:1::1", "2002:a9fe:a9fe::"],
    // Not an address at all.
    ...["", "receiver.example", "127.0.0.1.example", "0x7f000001"],
  ])("is %s", (address) => {
    assert.isTrue(isPrivate(address));
  });

  it.each([
    ...["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "11.0.0.1"],
    ...["100.63.255.255", "100.128.0.0", "169.253.0.1", "192.0.1.1"],
    ...["192.167.1.1", "198.17.0.1", "198.20.0.1", "223.255.255.255"],
    ...["2606:4700:4700::1111", "2a00:1450::1", "fbff::1", "fe00::1"],
    ...["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"],
  ])("is not %s", (address) => {
    assert.isFalse(isPrivate(address));
  });
});

describe("the host of a URL", () => {
  it.each([
    ...["http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/"],
    ...["http://017700000001/", "http://[::1]/", "http://[::ffff:10.0.0.1]/"],
    ...["https://localhost:8000/", "http://LOCALHOST./", "http://a.localhost/"],
    ...["http://10.0.0.1:80/", "http://169.254.169.254/latest/meta-data"],
    ...["http://127.0.0.1./", "http://①27.0.0.1/"],
  ])("is private in %s", (url) => {
    assert.isTrue(isPrivateHost(new URL(url).hostname));
  });

  it.each([
    ...["https://receiver.example/", "http://8.8.8.8/", "http://10.example/"],
    ...["http://[2606:4700::1]/", "http://localhost.example/"],
    "http://notlocalhost/",
  ])("is not seen to be private in %s", (url) => {
    assert.isFalse(isPrivateHost(new URL(url).hostname));
  });
});
