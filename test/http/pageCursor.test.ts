import { assert, describe, it } from "@effect/vitest";
import { DateTime, Schema } from "effect";
import { cursorOf, PageCursor, parseCursor } from "../../src/api/PageCursor.ts";

const PageEnd = Schema.Struct({
  millis: Schema.Int.check(
    Schema.isBetween({ minimum: 0, maximum: 253_402_300_799_999 }),
  ),
  seq: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
});

const isCursor = Schema.is(PageCursor);

describe("a page's cursor", () => {
  it.prop("leads back to where the page ended", [PageEnd], ([end]) => {
    const created_at = DateTime.makeUnsafe(end.millis);
    const seq = BigInt(end.seq);
    const cursor = cursorOf({ created_at, seq });
    assert.match(cursor, /^[\w-]+$/, "it needs encoding in a URL");
    assert.deepStrictEqual(parseCursor(cursor), { created_at, seq });
    assert.isTrue(isCursor(cursor));
  });

  it.prop("is nothing else than that", [Schema.String], ([text]) => {
    const end = parseCursor(text);
    assert.strictEqual(isCursor(text), end !== undefined);
    if (end === undefined) return;
    assert.deepStrictEqual(parseCursor(cursorOf(end)), end);
  });

  it("knows orders up to the largest number of the database's", () => {
    const created_at = DateTime.makeUnsafe(0);
    const seq = 2n ** 63n - 1n;
    assert.deepStrictEqual(parseCursor(cursorOf({ created_at, seq })), {
      created_at,
      seq,
    });
    // One more is no number of the database's: it is refused, not asked for.
    assert.isUndefined(parseCursor(cursorOf({ created_at, seq: 2n ** 63n })));
  });
});
