/** What the console decides without a browser: its words, figures and addresses. */
import { assert, describe, it } from "vitest";
import { groupsOf } from "../../src/console/page/deadLetterGroups.js";
import { findingsOf, type Seen } from "../../src/console/page/findings.js";
import {
  columnsOf,
  deadLettersOfHour,
  extremesOf,
  type History,
  joined,
} from "../../src/console/page/history.js";
import { addressOf, hrefOf } from "../../src/console/page/router.js";
import { lengthOf, rateOf } from "../../src/console/page/time.js";

const counts = {
  PENDING: 0,
  PROCESSING: 0,
  COMPLETED: 0,
  FAILED: 0,
  CANCELLED: 0,
};

const agoMillis = (millis: number) =>
  new Date(Date.now() - millis).toISOString();

const instance = {
  name: "one",
  version: "0.1.0",
  started_at: agoMillis(60_000),
  state: "RUNNING",
  partitions: Array.from({ length: 32 }, (_, index) => index),
  in_work: 0,
  mailbox_depth: 0,
  upkeep: [],
} as const;

const well: Seen = {
  metrics: {
    total_orders_processed: 0,
    status_counts: counts,
    average_processing_time_seconds: null,
    oldest_pending_age_seconds: null,
  },
  processing: {
    state: "RUNNING",
    paused_at: null,
    paused_by: null,
    instances: [instance],
    receiver: null,
    rates: {
      placed_per_second: 0,
      completed_per_second: 0,
      failed_per_second: 0,
    },
    changes: [],
  },
  deadLettersOfHour: 0,
  subscriptions: [],
};

const textsOf = (seen: Seen) => findingsOf(seen).map(({ text }) => text);

/** `well`, with other processing. */
const processing = (other: Partial<NonNullable<Seen["processing"]>>): Seen => ({
  ...well,
  processing: {
    ...(well.processing as NonNullable<Seen["processing"]>),
    ...other,
  },
});

describe("what is wrong, in words", () => {
  it("is upkeep that has not succeeded for long, with the instance", () => {
    const text = "No order could leave the table for 6 minutes.";
    assert.deepStrictEqual(
      textsOf(processing({ instances: [{ ...instance, upkeep: [text] }] })),
      [`one: ${text}`],
    );
  });

  it("is nothing where all is well, or nothing is known yet", () => {
    assert.deepStrictEqual(textsOf(well), []);
    assert.deepStrictEqual(
      textsOf({
        metrics: undefined,
        processing: undefined,
        deadLettersOfHour: undefined,
        subscriptions: [],
      }),
      [],
    );
  });

  it("says that no instance is there, and how many partitions have no owner", () => {
    assert.match(
      textsOf(processing({ instances: [] }))[0] ?? "",
      /No instance/,
    );
    const partitions = instance.partitions.slice(1);
    assert.match(
      textsOf(processing({ instances: [{ ...instance, partitions }] }))[0] ??
        "",
      /^1 partition has no owner/,
    );
  });

  it("says who paused it, and does not call what waits for that slow", () => {
    const paused = processing({
      state: "PAUSED",
      paused_at: agoMillis(5_000),
      paused_by: "olga",
      instances: [{ ...instance, state: "PAUSED" }],
    });
    const texts = textsOf({
      ...paused,
      metrics: {
        ...(well.metrics as NonNullable<Seen["metrics"]>),
        oldest_pending_age_seconds: 600,
      },
    });
    assert.lengthOf(texts, 1);
    assert.match(texts[0] ?? "", /PAUSED, \d s ago by olga/);
  });

  it("puts what is bad before what is worth a warning", () => {
    const found = findingsOf({
      ...processing({
        state: "PAUSED",
        instances: [{ ...instance, state: "PAUSED" }],
        receiver: {
          circuit: "OPEN",
          since: agoMillis(120_000),
          last_error: "nobody answered (ECONNREFUSED)",
          last_error_at: agoMillis(1_000),
        },
      }),
      deadLettersOfHour: 1,
    });
    assert.deepStrictEqual(
      found.map(({ weight }) => weight),
      ["bad", "bad", "warn"],
    );
    assert.match(found[0]?.text ?? "", /2 min|120 s/);
    assert.match(found[0]?.text ?? "", /ECONNREFUSED/);
    assert.match(found[1]?.text ?? "", /^1 order became a dead letter/);
  });
});

/** Samples so many seconds ago, with their rates of dead letters. */
const historyOf = (
  samples: ReadonlyArray<readonly [number, number | null, number]>,
): History => ({
  since: agoMillis(3_600_000),
  step_seconds: 10,
  samples: samples.map(([seconds, failed_per_second, FAILED]) => ({
    time: agoMillis(seconds * 1_000),
    status_counts: { ...counts, FAILED },
    oldest_pending_age_seconds: null,
    placed_per_second: failed_per_second,
    completed_per_second: null,
    failed_per_second,
    waiting_seconds: null,
    completion_seconds: null,
  })),
});

describe("the history of a chart", () => {
  it("goes on from its end, without what is too old", () => {
    const known = historyOf([
      [100, 1, 0],
      [50, 2, 0],
    ]);
    const latest = historyOf([[10, 3, 0]]);
    const [last] = known.samples.slice(-1);
    const both = joined(
      known,
      { ...latest, samples: [last as never, ...latest.samples] },
      60,
    );
    assert.deepStrictEqual(columnsOf(both, ["placed_per_second"])[1], [2, 3]);
  });

  it("keeps what nobody counted as a gap", () => {
    const history = historyOf([
      [30, 1, 0],
      [20, null, 0],
      [10, 2, 0],
    ]);
    assert.deepStrictEqual(columnsOf(history, ["placed_per_second"])[1], [
      1,
      null,
      2,
    ]);
    assert.deepStrictEqual(extremesOf([1, null, 5, null]), {
      highest: 2,
      latest: 2,
    });
  });

  it("counts the dead letters of the hour, through gaps and until now", () => {
    // 30 s x 2, then 5 more over a gap, 10 s x 1, and 3 since.
    const history = historyOf([
      [4_000, 50, 100],
      [3_500, 0, 100],
      [3_470, 2, 160],
      [300, null, 165],
      [290, 1, 175],
    ]);
    assert.approximately(deadLettersOfHour(history, 178), 60 + 5 + 10 + 3, 0.1);
  });
});

describe("dead letters by error", () => {
  it("are counted, the latest failure first", () => {
    const order = (last_error: string | null, updated_at: string) =>
      ({ last_error, updated_at }) as Parameters<typeof groupsOf>[0][number];
    assert.deepStrictEqual(
      groupsOf([
        order("a", "2026-01-01T00:00:00Z"),
        order("b", "2026-01-03T00:00:00Z"),
        order("a", "2026-01-02T00:00:00Z"),
        order(null, "2026-01-01T00:00:00Z"),
      ]),
      [
        { error: "b", count: 1, newest: "2026-01-03T00:00:00Z" },
        { error: "a", count: 2, newest: "2026-01-02T00:00:00Z" },
        { error: null, count: 1, newest: "2026-01-01T00:00:00Z" },
      ],
    );
  });
});

describe("addresses", () => {
  it.each(["a/b?c#d", "../%2e", "<img src=x>", "ü 1", "100%"])(
    "lead to the order %s",
    (id) => {
      const { id: found, page } = addressOf(hrefOf("orders", { id }));
      assert.deepStrictEqual([page, found], ["orders", id]);
    },
  );

  it("hold filters, and leave out those that are empty", () => {
    const href = hrefOf("orders", {
      query: {
        status: ["FAILED", "PENDING"],
        user_id: "a&b",
        cursor: "",
        x: undefined,
      },
    });
    const { query } = addressOf(href);
    assert.deepStrictEqual(
      [...query],
      [
        ["status", "FAILED"],
        ["status", "PENDING"],
        ["user_id", "a&b"],
      ],
    );
  });

  it("that are broken lead nowhere, and break nothing", () => {
    assert.deepStrictEqual(addressOf("#/orders/%E0%A4%A").id, "%E0%A4%A");
    assert.strictEqual(addressOf("").page, "");
  });
});

describe("figures", () => {
  it("are short, and none says zero of what is more", () => {
    assert.deepStrictEqual(
      [0, 0.0012, 0.35, 4.21, 5, 59, 150, 600, 7_500, 200_000].map(lengthOf),
      [
        "0 s",
        "1.2 ms",
        "350 ms",
        "4.2 s",
        "5 s",
        "59 s",
        "2.5 min",
        "10 min",
        "2 h 5 min",
        "2 d 7 h",
      ],
    );
    assert.deepStrictEqual([null, 0, 0.001, 0.25, 12.4, 1_900.2].map(rateOf), [
      "–",
      "0",
      "0.01",
      "0.3",
      "12",
      "1,900",
    ]);
  });
});
