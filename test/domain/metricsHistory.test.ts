/** Steps, and what is read off samples. */
import { readFileSync } from "node:fs";
import { assert, describe, it } from "@effect/vitest";
import { DateTime } from "effect";
import {
  historySeconds,
  pointsMax,
  pointsOf,
  type StepTotals,
  stepSecondsOf,
} from "../../src/domain/MetricsHistory.ts";
import { type Receiver, worstReceiver } from "../../src/domain/Processing.ts";
import { version } from "../../src/domain/Version.ts";

const hour = 3600;
const day = 24 * hour;

const at = (seconds: number) => DateTime.makeUnsafe(seconds * 1000);

const totals = (
  step: number,
  more: Partial<StepTotals> & { readonly completed?: number } = {},
): StepTotals => {
  const { completed = 0, ...rest } = more;
  return {
    step,
    at: at(step * 10),
    placed: 0,
    failures: 0,
    status_counts: {
      PENDING: 0,
      PROCESSING: 0,
      COMPLETED: completed,
      FAILED: 0,
      CANCELLED: 0,
    },
    oldest_pending_age_seconds: null,
    waited_orders: 0,
    waited_seconds: 0,
    whole_orders: 0,
    whole_seconds: 0,
    ...rest,
  };
};

describe("the step of a history", () => {
  it.each([
    [hour, undefined, 10],
    [day, undefined, 240],
    [7 * day, undefined, 1800],
    [0, undefined, 10],
    [hour, 1, 10],
    [hour, 61, 70],
    [day, 10, 90],
    [2 * day, 10, 300],
    [7 * day, 10, 900],
    [7 * day, 86_400, 86_400],
  ] as const)(
    "over %i seconds, asked for as %s, is %i",
    (span, asked, step) => {
      assert.strictEqual(stepSecondsOf(span, asked), step);
    },
  );

  it("never makes too many samples", () => {
    for (let span = 1; span <= historySeconds; span += 997) {
      assert.isAtMost(span / stepSecondsOf(span, 1), pointsMax);
    }
  });
});

describe("the points of a history", () => {
  it("tell rates and averages since the step before", () => {
    const [point, ...more] = pointsOf(
      [
        totals(100, { placed: 5, failures: 1, completed: 2 }),
        totals(101, {
          placed: 25,
          failures: 4,
          completed: 12,
          waited_orders: 4,
          waited_seconds: 1,
          whole_orders: 2,
          whole_seconds: 5,
        }),
      ],
      at(1005),
    );
    assert.deepStrictEqual(more, []);
    assert.deepInclude(point, {
      time: at(1010),
      placed_per_second: 2,
      completed_per_second: 1,
      failed_per_second: 0.3,
      waiting_seconds: 0.25,
      completion_seconds: 2.5,
    });
  });

  it("tell a step without a sample as a gap, not as nothing that happened", () => {
    const points = pointsOf([totals(1), totals(3, { placed: 50 })], at(0));
    assert.deepStrictEqual(
      points.map(({ placed_per_second, time }) => [
        time.epochMilliseconds / 1000,
        placed_per_second,
      ]),
      [
        [10, null],
        [30, null],
      ],
    );
  });

  it("know no average of no orders, nor of totals that began anew", () => {
    const [, point] = pointsOf(
      [
        totals(1, { placed: 5, whole_orders: 7, whole_seconds: 7 }),
        totals(2, { placed: 5, whole_orders: 1, whole_seconds: 1 }),
      ],
      at(0),
    );
    assert.deepInclude(point, {
      placed_per_second: 0,
      waiting_seconds: null,
      completion_seconds: null,
    });
  });
});

describe("the receiver, as all instances see it", () => {
  const receiver = (
    circuit: Receiver["circuit"],
    since: number,
    error?: readonly [string, number],
  ): Receiver => ({
    circuit,
    since: at(since),
    last_error: error?.[0] ?? null,
    last_error_at: error === undefined ? null : at(error[1]),
  });

  it("is as the worst of them sees it, with the latest error of all", () => {
    assert.isNull(worstReceiver([]));
    assert.isNull(worstReceiver([null, null]));
    assert.deepStrictEqual(
      worstReceiver([
        receiver("CLOSED", 1, ["later", 90]),
        null,
        receiver("OPEN", 7, ["earlier", 80]),
        receiver("OPEN", 5),
        receiver("HALF_OPEN", 3),
      ]),
      receiver("OPEN", 5, ["later", 90]),
    );
  });
});

describe("the version", () => {
  it("is that of the package", () => {
    const file = new URL("../../package.json", import.meta.url);
    assert.strictEqual(JSON.parse(readFileSync(file, "utf8")).version, version);
  });
});
