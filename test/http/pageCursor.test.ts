import { assert, describe, it } from "@effect/vitest";
import { Schema } from "effect";
import { cursorOf, PageCursor, parseCursor } from "../../src/api/PageCursor.ts";

const Seq = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0));

const isCursor = Schema.is(PageCursor);

describe("a page's cursor", () => {
  it.prop("leads back to where the page ended", [Seq], ([number]) => {
    const seq = BigInt(number);
    const cursor = cursorOf({ seq });
    assert.match(cursor, /^[\w-]+$/, "it needs encoding in a URL");
    assert.deepStrictEqual(parseCursor(cursor), { seq });
    assert.isTrue(isCursor(cursor));
  });

  it.prop("is nothing else than that", [Schema.String], ([text]) => {
    const end = parseCursor(text);
    assert.strictEqual(isCursor(text), end !== undefined);
    if (end === undefined) return;
    assert.deepStrictEqual(parseCursor(cursorOf(end)), end);
  });

  it("knows orders up to the largest number of the database's", () => {
    const seq = 2n ** 63n - 1n;
    assert.deepStrictEqual(parseCursor(cursorOf({ seq })), { seq });
    // One more is no number of the database's: it is refused, not asked for.
    assert.isUndefined(parseCursor(cursorOf({ seq: 2n ** 63n })));
  });
});
