import { assert, describe, it } from "vitest";
import {
  type Meaning,
  meaningOf,
  withoutAddress,
} from "../../src/processor/ReceiverAnswer.ts";

/** As design and README say, for every status there may be. */
const meant = (status: number): Meaning => {
  if (status < 300) return "done";
  if ([429, 502, 503, 504].includes(status)) return "away";
  if (status < 400 || status >= 500) return "retryable";
  return [401, 403, 404, 408, 409, 425].includes(status)
    ? "retryable"
    : "final";
};

describe("the answer of a receiver", () => {
  it("means what the README says, whatever its status", () => {
    for (let status = 200; status < 600; status += 1) {
      assert.strictEqual(meaningOf(status), meant(status), String(status));
    }
    assert.strictEqual(meaningOf(999), "final");
  });

  const clean = withoutAddress(
    new URL("https://shop.example:8443/hooks/T0KEN%21?key=s3cret%2Fword&v=2"),
  );

  it.each([
    "Cannot POST /hooks/T0KEN%21?key=s3cret%2Fword&v=2",
    "Cannot POST /hooks/T0KEN%21?key=s3cret%2Fword&amp;v=2",
    "no route https://shop.example:8443/hooks/T0KEN%21",
    "key s3cret/word is not known at shop.example",
    '{"query":"key=s3cret%2Fword"}',
  ])("is told without the address: %s", (text) => {
    assert.notMatch(clean(text), /T0KEN|s3cret|shop\.example/);
  });

  it("is told as it is otherwise", () => {
    assert.strictEqual(clean("v is 2: sold out"), "v is 2: sold out");
  });
});
