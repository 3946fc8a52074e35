import { assert, describe, it } from "vitest";
import * as Checks from "../../load/chaos/Checks.ts";
import type { OrderStatus } from "../../src/domain/OrderStatus.ts";

/** A history, told as "PENDING0 PROCESSING1 ...": statuses with attempts. */
const history = (
  told: string,
  by: Partial<Pick<Checks.Transition, "who" | "error">> = {},
  order_id = "one",
): Array<Checks.Transition> => {
  const states = told.split(" ").map((state) => ({
    status: state.replace(/\d+$/, "") as OrderStatus,
    attempts: Number(/\d+$/.exec(state)?.[0]),
  }));
  return states.slice(1).map((state, index) => ({
    order_id,
    was: states[index]?.status ?? "PENDING",
    became: state.status,
    attempts_was: states[index]?.attempts ?? 0,
    attempts: state.attempts,
    error: null,
    who: "order-service",
    at: index,
    ...by,
  }));
};

const nothing = { completedTwice: [], regressed: [], stolen: [] };

describe("histories", () => {
  it.each([
    ["an order completed at once", "PENDING0 PROCESSING1 COMPLETED1"],
    [
      "an order completed at the second attempt",
      "PENDING0 PROCESSING1 PENDING1 PROCESSING2 COMPLETED2",
    ],
    [
      "an attempt refunded by a drain",
      "PENDING0 PROCESSING1 PENDING0 PROCESSING1 COMPLETED1",
    ],
    [
      "a dead letter retried",
      "PENDING0 PROCESSING1 FAILED1 PENDING0 PROCESSING1 COMPLETED1",
    ],
    ["an order cancelled", "PENDING0 CANCELLED0"],
  ])("finds nothing wrong with %s", (_, told) => {
    assert.deepStrictEqual(Checks.histories(history(told)), nothing);
  });

  it.each([
    ["going back to work", "PENDING0 PROCESSING1 COMPLETED1 PROCESSING2"],
    ["being completed again", "PENDING0 PROCESSING1 COMPLETED1 COMPLETED1"],
    ["failing", "PENDING0 PROCESSING1 COMPLETED1 FAILED1"],
  ])("calls a completed order %s completed twice", (_, told) => {
    assert.deepStrictEqual(Checks.histories(history(told)).completedTwice, [
      "one",
    ]);
  });

  it("calls an order completed twice by two owners so, whoever was first", () => {
    const found = Checks.histories([
      ...history("PENDING0 PROCESSING1 COMPLETED1"),
      ...history("PROCESSING1 COMPLETED1"),
    ]);
    assert.deepStrictEqual(found.completedTwice, ["one"]);
    assert.deepStrictEqual(found.regressed, ["one"]);
  });

  it.each([
    ["leaves CANCELLED", "PENDING0 CANCELLED0 PENDING0"],
    [
      "is retried with attempts left over",
      "PENDING0 PROCESSING1 FAILED1 PENDING1",
    ],
    ["begins uncounted", "PENDING0 PROCESSING0"],
    ["begins counted twice", "PENDING0 PROCESSING2"],
    [
      "gets more than one attempt back",
      "PENDING0 PROCESSING1 PENDING1 PROCESSING2 PENDING0",
    ],
    ["is completed without having begun", "PENDING0 COMPLETED0"],
    ["begins again while it is in work", "PENDING0 PROCESSING1 PROCESSING2"],
    ["had attempts before its first", "PENDING3 PROCESSING4 COMPLETED4"],
  ])("calls an order regressed that %s", (_, told) => {
    assert.deepStrictEqual(Checks.histories(history(told)).regressed, ["one"]);
  });

  it("calls an order regressed whose changes do not follow each other", () => {
    const found = Checks.histories([
      ...history("PENDING0 PROCESSING1"),
      ...history("PENDING0 PROCESSING1"),
    ]);
    assert.deepStrictEqual(found.regressed, ["one"]);
  });

  it.each([
    ["completes", "PROCESSING1 COMPLETED1", null],
    ["fails", "PROCESSING1 PENDING1", "the receiver answered 500"],
    // As the order's new owner left it in `last_error`.
    ["completes", "PROCESSING1 COMPLETED1", "the attempt was lost: frozen"],
    ["refunds", "PROCESSING1 PENDING0", "the attempt was lost: frozen"],
  ])(
    "calls an attempt stolen that another than its owner %s",
    (_, told, error) => {
      const begun = history("PENDING0 PROCESSING1", { who: "new owner" });
      const found = Checks.histories([...begun, ...history(told, { error })]);
      assert.deepStrictEqual(found.stolen, ["one"]);
    },
  );

  it("lets an owner take back what another has left", () => {
    const begun = history("PENDING0 PROCESSING1", { who: "new owner" });
    const ended = history("PROCESSING1 PENDING1", {
      error: "the attempt was lost: the process working on it stopped",
    });
    assert.deepStrictEqual(Checks.histories([...begun, ...ended]), nothing);
  });

  it("keeps orders apart", () => {
    const found = Checks.histories([
      ...history("PENDING0 PROCESSING1 COMPLETED1", {}, "one"),
      ...history("PENDING0 PROCESSING1 COMPLETED1", {}, "two"),
    ]);
    assert.deepStrictEqual(found, nothing);
  });
});

describe("lost", () => {
  const promised = { order_id: "one", user_id: "me", total_amount: 1.5 };
  const stored = (changed: Partial<Checks.StoredOrder>) =>
    new Map([
      [
        "one",
        {
          ...promised,
          status: "COMPLETED" as const,
          attempts: 1,
          created_at: 0,
          ...changed,
        },
      ],
    ]);

  it("finds the order that is there as promised, and at its end", () => {
    assert.deepStrictEqual(Checks.lost([promised], stored({})), []);
  });

  it.each([
    ["is not there", new Map<string, Checks.StoredOrder>()],
    ["is not at its end", stored({ status: "PROCESSING" })],
    ["has another owner", stored({ user_id: "you" })],
    ["has another amount", stored({ total_amount: 1.51 })],
  ])("misses the order that %s", (_, table) => {
    assert.deepStrictEqual(Checks.lost([promised], table), ["one"]);
  });
});

describe("figures", () => {
  it("counts what lies in a window, each second", () => {
    const times = [0, 1000, 1500, 1999, 2000];
    assert.strictEqual(Checks.rateIn(times, { from: 1000, to: 2000 }), 3);
    assert.strictEqual(Checks.rateIn(times, { from: 0, to: 2000 }), 2);
    assert.isUndefined(Checks.rateIn(times, { from: 5, to: 5 }));
  });

  it("tells where counts differ from the rows", () => {
    const rows = {
      PENDING: 0,
      PROCESSING: 0,
      COMPLETED: 5,
      FAILED: 0,
      CANCELLED: 0,
    };
    assert.deepStrictEqual(Checks.differences("told", rows, rows), []);
    assert.deepStrictEqual(
      Checks.differences("told", { ...rows, COMPLETED: 4 }, rows),
      ["told 4 COMPLETED, the table has 5"],
    );
  });

  it("reads a gauge in what Prometheus is told", () => {
    const text = '# TYPE a gauge\na_b 5\na{c="d"} 4\na -3\n';
    assert.strictEqual(Checks.gaugeIn(text, "a"), -3);
    assert.isUndefined(Checks.gaugeIn(text, "b"));
  });
});
