import { assert, describe, it } from "vitest";
import type * as Checks from "../../load/chaos/Checks.ts";
import {
  backlogSeconds,
  longestSeconds,
  recoverySeconds,
  standstills,
} from "../../load/chaos/Recovery.ts";
import type { OrderStatus } from "../../src/domain/OrderStatus.ts";

describe("the recovery of one instance", () => {
  it("takes the slowest recovery, and never forgives a missing one", () => {
    const steady = Array.from({ length: 8 }, (_, index) => 1200 + index * 500);
    assert.strictEqual(
      recoverySeconds(
        [800, 4800],
        [1000, 5000],
        [900, ...steady, 5500, 5600],
        9000,
      ),
      0.5,
    );
    assert.strictEqual(
      recoverySeconds([800], [1000], [900], 9000),
      Number.POSITIVE_INFINITY,
    );
    assert.isUndefined(recoverySeconds([], [], [900], 9000));
  });

  it("takes work that pauses again for not recovered", () => {
    const times = [1100, 1200, 5000, 5100];
    assert.strictEqual(recoverySeconds([900], [1000], times, 9000), 4);
  });

  it("expects no work when no more orders come", () => {
    const times = [1100, 1200, 5000, 5100];
    assert.strictEqual(recoverySeconds([900], [1000], times, 1150), 0.1);
  });

  it("blames a pause on the fault that came before it", () => {
    const times = [1100, 1200, 5000, 5100];
    assert.strictEqual(
      recoverySeconds([900, 1190], [1000, 4900], times, 9000),
      0.1,
    );
  });
});

describe("a pause", () => {
  const steady = (from: number, to: number) =>
    Array.from({ length: (to - from) / 100 }, (_, index) => from + index * 100);

  it("is the next fault's where work went on until then", () => {
    const times = [...steady(1100, 3000), ...steady(4400, 9000)];
    assert.strictEqual(
      recoverySeconds([900, 3000], [1000, 4300], times, 9000),
      0.1,
    );
  });

  it("is the first fault's where it was long before the next", () => {
    const times = [...steady(1100, 1600), ...steady(4400, 9000)];
    assert.strictEqual(
      recoverySeconds([900, 3000], [1000, 4300], times, 9000),
      3.4,
    );
  });
});

describe("the recovery of several instances", () => {
  const order = { order_id: "one", created_at: 1000 };
  /** What the order became, and when. */
  const history = (...became: ReadonlyArray<readonly [OrderStatus, number]>) =>
    became.map(
      ([became, at]): Checks.Transition => ({
        order_id: "one",
        was: "PENDING",
        became,
        attempts_was: 0,
        attempts: 0,
        error: null,
        who: "order-service",
        at,
      }),
    );
  const longest = (
    faults: ReadonlyArray<number>,
    ...became: ReadonlyArray<readonly [OrderStatus, number]>
  ) => longestSeconds(faults, [], standstills([order], history(...became)));

  it("is counted from the fault that lengthened it, up to the next", () => {
    const waits = [{ from: 1500, to: 9000 }];
    assert.strictEqual(longestSeconds([1200, 5000], [1400], waits), 4);
    assert.strictEqual(longestSeconds([1200, 2000], [1400], waits), 7);
    // The first was not over yet.
    assert.strictEqual(longestSeconds([1200, 5000], [9000], waits), 7.5);
  });

  it("is the time in which an order was placed and not begun", () => {
    assert.strictEqual(
      longest([500], ["PROCESSING", 4000], ["COMPLETED", 4100]),
      3,
    );
  });

  it("is the time in which an order was begun and not ended", () => {
    assert.strictEqual(
      longest([500], ["PROCESSING", 1100], ["COMPLETED", 6100]),
      5,
    );
  });

  it("goes on while an attempt was lost, until the next is begun", () => {
    assert.strictEqual(
      longest(
        [500],
        ["PROCESSING", 1100],
        ["PENDING", 5100],
        ["PROCESSING", 6100],
        ["COMPLETED", 6200],
      ),
      5,
    );
  });

  it("counts from the first fault on", () => {
    const moves = [
      ["PROCESSING", 4000],
      ["COMPLETED", 4100],
    ] as const;
    assert.strictEqual(longest([2500, 3500], ...moves), 1.5);
    assert.strictEqual(longest([4200], ...moves), 0);
    assert.isUndefined(longest([], ...moves));
  });

  it("never forgives an order without an end", () => {
    assert.strictEqual(
      longest([500], ["PROCESSING", 1100]),
      Number.POSITIVE_INFINITY,
    );
    assert.strictEqual(longest([500]), Number.POSITIVE_INFINITY);
  });
});

describe("the backlog of a fault", () => {
  const ended = (order_id: string, at: number): Checks.Transition => ({
    order_id,
    was: "PROCESSING",
    became: "COMPLETED",
    attempts_was: 1,
    attempts: 1,
    error: null,
    who: "order-service",
    at,
  });
  const orders = [
    { order_id: "before", created_at: 1000 },
    { order_id: "after", created_at: 5000 },
  ];

  it("is done when the last order placed before the fault's end is", () => {
    const changes = [ended("before", 7000), ended("after", 9000)];
    assert.strictEqual(backlogSeconds([500, 4000], orders, changes), 3);
  });

  it("is never done while one of them has no end", () => {
    const changes = [
      { ...ended("before", 7000), became: "PENDING" as const },
      ended("after", 9000),
    ];
    assert.strictEqual(
      backlogSeconds([4000], orders, changes),
      Number.POSITIVE_INFINITY,
    );
  });

  it("is none when all was done, or no fault was", () => {
    const changes = [ended("before", 2000)];
    assert.strictEqual(backlogSeconds([4000], orders, changes), 0);
    assert.isUndefined(backlogSeconds([], orders, changes));
  });
});
