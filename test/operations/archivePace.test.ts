import { assert, describe, it } from "vitest";
import { OrderId } from "../../src/domain/Order.ts";
import * as Pace from "../../src/operations/ArchivePace.ts";

const seen = (
  seq: number,
  how: "ready" | "open" | "young",
  item_bytes = 10,
) => ({
  order_id: OrderId.make(`O${seq}`),
  seq: BigInt(seq),
  item_bytes,
  isReady: how === "ready",
  isOld: how !== "young",
});

const options = { after: 5n, limit: 4, size: 3, bytesMax: 100 };
const chosen = (orders: ReadonlyArray<ReturnType<typeof seen>>) => {
  const { isEnd, orders: leaving, readTo } = Pace.choose(orders, options);
  return [leaving.map(({ seq }) => Number(seq)), Number(readTo), isEnd];
};

describe("what leaves together", () => {
  it("is what may, past what is still open", () => {
    assert.deepStrictEqual(
      chosen([seen(6, "ready"), seen(7, "open"), seen(9, "ready")]),
      [[6, 9], 9, true],
    );
  });

  it("ends where orders are too young, whatever follows", () => {
    assert.deepStrictEqual(
      chosen([seen(6, "ready"), seen(7, "young"), seen(8, "ready")]),
      [[6], 6, true],
    );
  });

  it("is as many as are to, and goes on behind the last of them", () => {
    const more = [6, 7, 8, 9].map((seq) => seen(seq, "ready"));
    assert.deepStrictEqual(chosen(more), [[6, 7, 8], 8, false]);
  });

  it("is bounded by its bytes, but for a single one", () => {
    assert.deepStrictEqual(
      chosen([seen(6, "ready", 60), seen(7, "open"), seen(8, "ready", 60)]),
      [[6], 7, false],
    );
    assert.deepStrictEqual(chosen([seen(6, "ready", 600), seen(7, "ready")]), [
      [6],
      6,
      false,
    ]);
  });

  it("is nothing where nothing is, or all is open", () => {
    assert.deepStrictEqual(chosen([]), [[], 5, true]);
    const open = [6, 7, 8, 9].map((seq) => seen(seq, "open"));
    assert.deepStrictEqual(chosen(open), [[], 9, false]);
  });
});

describe("the pace", () => {
  it("is halved by slow statements and doubled by quick ones, within bounds", () => {
    assert.strictEqual(Pace.sizeAfter(100, 300), 50);
    assert.strictEqual(Pace.sizeAfter(100, 10), 200);
    assert.strictEqual(Pace.sizeAfter(100, 200), 100);
    assert.strictEqual(Pace.sizeAfter(Pace.sizeMin, 9000), Pace.sizeMin);
    assert.strictEqual(Pace.sizeAfter(Pace.sizeMax, 1), Pace.sizeMax);
  });

  it("stands back where the process wakes late, and goes on all the same", () => {
    assert.strictEqual(Pace.backAfter(30), 0);
    assert.strictEqual(Pace.backAfter(80), 400);
    assert.strictEqual(Pace.backAfter(10_000), 500);
    assert.strictEqual(Pace.sizeWhenBusy(1000), 500);
    assert.strictEqual(Pace.sizeWhenBusy(120), 100);
    assert.strictEqual(Pace.sizeWhenBusy(20), 20);
  });

  it("leaves half of the time to others", () => {
    assert.strictEqual(Pace.pauseAfter(1), Pace.pauseMinMillis);
    assert.strictEqual(Pace.pauseAfter(200), 200);
    assert.strictEqual(Pace.pauseAfter(1000), 1000);
  });
});
