/** Which known name a mistyped one is taken for. */
import { assert, describe, it } from "@effect/vitest";
import {
  editDistance,
  nameBegunAs,
  nearestName,
} from "../../src/domain/NearestName.ts";

const known = ["user_id", "created_before", "dry_run", "limit", "status"];

describe("the nearest name", () => {
  it.each([
    ["userId", "user_id"],
    ["USER-ID", "user_id"],
    ["dryrun", "dry_run"],
    ["status[]", "status"],
    ["lmiit", "limit"],
    ["limits", "limit"],
    ["statsu", "status"],
    ["user", "user_id"],
    ["x", undefined],
    ["", undefined],
    ["l".repeat(10_000), undefined],
  ])("of %s is %s", (name, nearest) => {
    assert.strictEqual(nearestName(name, known), nearest);
  });

  it("is the nearest, not the first that is near", () => {
    assert.strictEqual(
      nearestName("FULFILMENT_URLS", ["FULFILLMENT_URL", "FULFILMENT_URLX"]),
      "FULFILMENT_URLX",
    );
  });

  it("counts a swap of neighbours as one mistake", () => {
    assert.strictEqual(editDistance("limit", "lmiit"), 1);
    assert.strictEqual(editDistance("", "abc"), 3);
    assert.strictEqual(editDistance("same", "same"), 0);
    assert.strictEqual(editDistance("kitten", "sitting"), 3);
  });
});

describe("a name that is cut short, or goes on", () => {
  it.each([
    ["user", "user_id"],
    ["created", "created_before"],
    ["limit_max", "limit"],
    ["us", undefined],
    ["x", undefined],
  ])("%s is %s", (name, meant) => {
    assert.strictEqual(nameBegunAs(name, known), meant);
  });

  it("is none where it may be two", () => {
    assert.isUndefined(
      nameBegunAs("created", ["created_before", "created_after"]),
    );
  });
});
