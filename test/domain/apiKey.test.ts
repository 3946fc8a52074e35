import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { Schema } from "effect";
import { assert, describe, it } from "vitest";
import {
  isKey,
  isKeyId,
  KeyName,
  keyBytes,
  keyLength,
  keyOf,
  shownOf,
  toDigits,
  withoutKeys,
} from "../../src/domain/ApiKey.ts";

const bytes = (text: string) =>
  new Uint8Array(createHash("sha1").update(text).digest());
const some = Array.from({ length: 500 }, (_, index) =>
  keyOf(bytes(String(index))),
);

describe("a key", () => {
  it("is 160 bits and a checksum, in characters that stand anywhere", () => {
    assert.strictEqual(keyBytes, 20);
    for (const key of some) {
      assert.strictEqual(key.length, keyLength);
      assert.match(key, /^osk_[0-9a-hjkmnp-tv-z]{38}$/);
      assert.strictEqual(encodeURIComponent(key), key);
      assert.isTrue(isKey(key));
    }
    assert.strictEqual(new Set(some).size, some.length);
  });

  it("is the same for the same bits, all of which count", () => {
    const zeros = new Uint8Array(20);
    const key = keyOf(zeros);
    assert.match(key, /^osk_0{32}/);
    for (let bit = 0; bit < 160; bit += 1) {
      const other = zeros.slice();
      other[bit >> 3] = 0x80 >> (bit & 7);
      assert.notStrictEqual(keyOf(other).slice(0, 36), key.slice(0, 36));
    }
  });

  it("ends in the upper 30 bits of the CRC-32 of the rest", () => {
    for (const key of some.slice(0, 20)) {
      const sum = new Uint8Array(4);
      new DataView(sum.buffer).setUint32(0, crc32(key.slice(0, -6)));
      assert.strictEqual(key.slice(-6), toDigits(sum).slice(0, 6));
    }
  });

  it("is none with any one character changed, or two changed about", () => {
    const [key = ""] = some;
    for (let at = 0; at < key.length; at += 1) {
      for (const digit of "0123456789abcdefghijklmnopqrstuvwxyzABZ_-. ") {
        if (digit === key[at]) continue;
        assert.isFalse(isKey(key.slice(0, at) + digit + key.slice(at + 1)));
      }
      const next = key.charAt(at + 1);
      if (next === "" || next === key[at]) continue;
      assert.isFalse(
        isKey(key.slice(0, at) + next + key.charAt(at) + key.slice(at + 2)),
      );
    }
    for (const none of ["", "osk_", key.slice(1), `${key} `, key.repeat(2)]) {
      assert.isFalse(isKey(none), none);
    }
  });

  it("is not found in what is written of it", () => {
    const [key = "", other = ""] = some;
    assert.strictEqual(shownOf(key), key.slice(0, 10));
    assert.strictEqual(
      withoutKeys(`/a/${key}/b/${other}?key=${key}x`),
      `/a/${shownOf(key)}.../b/${shownOf(other)}...?key=${shownOf(key)}...`,
    );
    assert.strictEqual(withoutKeys("/api/orders/osk_1/"), "/api/orders/osk_1/");
  });

  it("stands in full in no path, however it is encoded", () => {
    const [key] = some as [string];
    const encoded = Array.from(
      key,
      (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`,
    );
    for (const written of [
      key.replace("_", "%5F"),
      encoded.join(""),
      encoded.join("").toLowerCase(),
      `${key.slice(0, 10)}${encoded.slice(10).join("")}`,
    ]) {
      assert.strictEqual(
        withoutKeys(`/api/orders/${written}/`),
        `/api/orders/${shownOf(written)}.../`,
      );
    }
  });
});

describe("the name of a key", () => {
  it.each([
    "a\u202eb",
    "a\u200bb",
    "\ufeffshop",
    "a\u2066b",
    "a\u2028b",
    "a\u0085b",
  ])("has no character that hides or turns others: %j", (name) => {
    assert.isFalse(Schema.is(KeyName)(name));
  });

  it("may be in any script", () => {
    for (const name of ["Laden 1", "店", "متجر"]) {
      assert.isTrue(Schema.is(KeyName)(name));
    }
  });
});

describe("the id of a key", () => {
  it("is told from what is none", () => {
    assert.isTrue(isKeyId(toDigits(bytes("a").slice(0, 10))));
    for (const none of ["", "none", "\0".repeat(16), "A".repeat(16)]) {
      assert.isFalse(isKeyId(none));
    }
  });
});
