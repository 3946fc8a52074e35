import { assert, describe, it } from "vitest";
import { TokenBuckets } from "../../src/access/TokenBuckets.ts";
import { parseRateLimit } from "../../src/domain/RateLimit.ts";

const make = (max = 10) => {
  const clock = { millis: 0 };
  return { clock, buckets: new TokenBuckets(max, () => clock.millis) };
};

const limit = { limit: 6, windowSeconds: 60 };

describe("a limit of rate", () => {
  it.each([
    ["10/second", 10, 1],
    ["600/minute", 600, 60],
    ["1000000/hour", 1_000_000, 3600],
  ])("is written as %s", (text, limit, windowSeconds) => {
    assert.deepStrictEqual(parseRateLimit(text), { limit, windowSeconds });
  });

  it.each([
    "",
    "off",
    "0/second",
    "1000001/hour",
    "1.5/second",
    "10/day",
    "10",
    "-1/second",
    " 1/second",
    "1/seconds",
  ])("is not written as %j", (text) =>
    assert.isUndefined(parseRateLimit(text)),
  );
});

describe("a bucket of tokens", () => {
  it("has so many at once, and then one at a time", () => {
    const { buckets, clock } = make();
    for (let left = 5; left >= 0; left -= 1) {
      assert.deepStrictEqual(buckets.take("a", limit), {
        isTaken: true,
        remaining: left,
        retryAfterSeconds: left === 0 ? 10 : 0,
        resetSeconds: (6 - left) * 10,
      });
    }
    assert.deepInclude(buckets.take("a", limit), {
      isTaken: false,
      remaining: 0,
      retryAfterSeconds: 10,
    });
    clock.millis = 9_999;
    assert.isFalse(buckets.take("a", limit).isTaken);
    clock.millis = 10_000;
    assert.isTrue(buckets.take("a", limit).isTaken);
    assert.isFalse(buckets.take("a", limit).isTaken);
  });

  it("is right after what it says, and not before", () => {
    const { buckets, clock } = make();
    for (let taken = 0; taken < 6; taken += 1) buckets.take("a", limit);
    clock.millis = 3_300;
    const { retryAfterSeconds } = buckets.take("a", limit);
    clock.millis += retryAfterSeconds * 1000;
    assert.isTrue(buckets.take("a", limit).isTaken);
  });

  it("is never more than full", () => {
    const { buckets, clock } = make();
    clock.millis = 3_600_000;
    buckets.take("a", limit);
    clock.millis *= 2;
    assert.strictEqual(buckets.look("a", limit).remaining, 6);
    buckets.giveBack("a", limit);
    assert.strictEqual(buckets.look("a", limit).remaining, 6);
  });

  it("is each key's own", () => {
    const { buckets } = make();
    for (let taken = 0; taken < 7; taken += 1) buckets.take("a", limit);
    assert.isFalse(buckets.take("a", limit).isTaken);
    assert.isTrue(buckets.take("b", limit).isTaken);
  });

  it("is forgotten when others were used later", () => {
    const { buckets } = make(100);
    for (let number = 0; number < 100_000; number += 1) {
      buckets.take(String(number), limit);
      buckets.take("in use", limit);
      assert.isAtMost(buckets.size, 200);
    }
    assert.isFalse(buckets.take("in use", limit).isTaken);
  });
});
