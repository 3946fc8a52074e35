import { assert, describe, it } from "@effect/vitest";
import { Duration, Schema } from "effect";
import {
  type AttemptOutcome,
  afterFailure,
  afterUnmade,
  endOf,
  type FailedAttempt,
  moves,
  type RetryPolicy,
} from "../../src/domain/OrderLifecycle.ts";
import { OrderStatus } from "../../src/domain/OrderStatus.ts";

const between = (minimum: number, maximum: number) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum }));

const hour = 3_600_000;

/** A policy, and an attempt that failed under it; times in milliseconds. */
const Failure = Schema.Struct({
  maxAttempts: between(1, 20),
  base: between(1, hour),
  cap: between(1, 10 * hour),
  attempt: between(1, 30),
  final: Schema.Boolean,
  retryAfter: Schema.UndefinedOr(between(0, 20 * hour)),
  /** In thousandths. */
  random: between(0, 999),
});
type Failure = typeof Failure.Type;

const decide = (given: Failure) => {
  const failed: FailedAttempt = {
    attempt: given.attempt,
    final: given.final,
    retryAfter:
      given.retryAfter === undefined
        ? undefined
        : Duration.millis(given.retryAfter),
  };
  const policy: RetryPolicy = {
    maxAttempts: given.maxAttempts,
    base: Duration.millis(given.base),
    cap: Duration.millis(given.cap),
  };
  return afterFailure(failed, policy, given.random / 1000);
};

/** The wait in milliseconds, of an order that has attempts left. */
const waitOf = (given: Failure): number => {
  const { attempt } = given;
  const after = decide({ ...given, final: false, maxAttempts: attempt + 1 });
  assert.strictEqual(after.status, "PENDING");
  return after.status === "PENDING" ? Duration.toMillis(after.wait) : 0;
};

/** The wait without the part that chance takes off. */
const fullOf = ({ attempt, base, cap }: Failure) =>
  Math.min(cap, base * 2 ** (attempt - 1));

describe("after a failed attempt", () => {
  it.prop(
    "an order is FAILED exactly when the failure is final or was the last attempt",
    [Failure],
    ([given]) => {
      const isOver = given.final || given.attempt >= given.maxAttempts;
      assert.strictEqual(decide(given).status, isOver ? "FAILED" : "PENDING");
    },
  );

  it.prop(
    "it waits between half and all of base x 2^(n-1), at most the cap",
    [Failure],
    ([given]) => {
      const wait = waitOf({ ...given, retryAfter: undefined });
      assert.isAtLeast(wait, Math.round(fullOf(given) / 2));
      assert.isAtMost(wait, fullOf(given));
      assert.isAtMost(wait, given.cap);
    },
  );

  it.prop(
    "it waits at least as long as asked, up to an hour, whatever the cap",
    [Failure],
    ([given]) => {
      const wait = waitOf(given);
      const asked = Math.min(given.retryAfter ?? 0, hour);
      assert.isAtLeast(wait, asked);
      assert.isAtMost(wait, Math.max(fullOf(given), asked));
    },
  );

  it.prop(
    "it waits no shorter after a later attempt, with the same chance",
    [Failure],
    ([given]) => {
      const earlier = waitOf(given);
      const later = waitOf({ ...given, attempt: given.attempt + 1 });
      assert.isAtLeast(later, earlier);
    },
  );

  it("waits as the README says: 1 s, 2 s, 4 s ... at most 5 minutes", () => {
    const waits = Array.from({ length: 11 }, (_, index) =>
      waitOf({
        maxAttempts: 12,
        base: 1000,
        cap: 300_000,
        attempt: index + 1,
        final: false,
        retryAfter: undefined,
        random: 0,
      }),
    );
    assert.deepStrictEqual(
      waits,
      [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map((_) => _ * 1000),
    );
  });

  it("does not wait beyond all numbers after very many attempts", () => {
    const wait = waitOf({
      maxAttempts: 5000,
      base: 1000,
      cap: hour,
      attempt: 4999,
      final: false,
      retryAfter: undefined,
      random: 500,
    });
    assert.strictEqual(wait, 0.75 * hour);
  });
});

/** An attempt that was not made; times in milliseconds. */
const Unmade = Schema.Struct({
  base: between(1, hour),
  cap: between(1, 10 * hour),
  begun: between(1, 2 ** 31 - 1),
  retryAfter: Schema.UndefinedOr(between(0, 20 * hour)),
  /** In thousandths. */
  random: between(0, 999),
});
type Unmade = typeof Unmade.Type;

const unmadeWaitOf = ({ retryAfter, ...given }: Unmade, pause?: number) =>
  Duration.toMillis(
    afterUnmade(
      {
        begun: given.begun,
        retryAfter:
          retryAfter === undefined ? undefined : Duration.millis(retryAfter),
        pause: pause === undefined ? undefined : Duration.millis(pause),
      },
      {
        maxAttempts: 8,
        base: Duration.millis(given.base),
        cap: Duration.millis(given.cap),
      },
      given.random / 1000,
    ),
  );

describe("after an attempt that was not made", () => {
  it.prop(
    "the order waits half a minute at most, unless asked to wait longer",
    [Unmade],
    ([given]) => {
      const asked = Math.min(given.retryAfter ?? 0, hour);
      const wait = unmadeWaitOf(given);
      assert.isAtLeast(wait, asked);
      assert.isAtMost(wait, Math.max(30_000, asked));
      assert.isAtMost(wait, Math.max(given.cap, asked));
    },
  );

  it("waits longer each time, so that none comes back for ever at once", () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 5000].map((begun) =>
      unmadeWaitOf({
        base: 1000,
        cap: 300_000,
        begun,
        retryAfter: undefined,
        random: 0,
      }),
    );
    assert.deepStrictEqual(
      waits,
      [1, 2, 4, 8, 16, 30, 30, 30].map((_) => _ * 1000),
    );
  });

  it.prop(
    "it waits as long as nothing is begun, and no longer",
    [Unmade, between(0, hour)],
    ([given, pause]) => {
      assert.strictEqual(unmadeWaitOf(given, pause), pause);
    },
  );
});

describe("the end of an attempt", () => {
  const policy = {
    maxAttempts: 3,
    base: Duration.seconds(1),
    cap: Duration.minutes(5),
  };
  const end = (outcome: AttemptOutcome, attempts: number) =>
    endOf(outcome, { attempts, begun: 7 }, policy, 0);

  it("is the work's, where it was done", () => {
    assert.deepStrictEqual(end({ _tag: "Done" }, 3), { move: "complete" });
  });

  it("lets the order be begun again at once, where its first was lost", () => {
    const lost = end({ _tag: "Lost" }, 1);
    assert.deepInclude(lost, { move: "postpone", wait: Duration.zero });
    const onlyOne = { attempts: 1, begun: 7 };
    const policyOfOne = { ...policy, maxAttempts: 1 };
    assert.strictEqual(
      endOf({ _tag: "Lost" }, onlyOne, policyOfOne, 0).move,
      "bury",
    );
  });

  it("follows one policy for failed attempts and for later lost ones", () => {
    const failed = end({ _tag: "Failed", error: "no" }, 2);
    assert.deepStrictEqual(failed, {
      move: "postpone",
      wait: Duration.seconds(2),
      error: "no",
    });
    const lost = end({ _tag: "Lost" }, 2);
    assert.deepInclude(lost, { move: "postpone", wait: Duration.seconds(2) });
    assert.strictEqual(end({ _tag: "Lost" }, 3).move, "bury");
    assert.strictEqual(end({ _tag: "Failed", error: "no" }, 3).move, "bury");
    const final = { _tag: "Failed", error: "no", final: true } as const;
    assert.strictEqual(end(final, 1).move, "bury");
  });

  it("spends nothing where it was not made, however often", () => {
    const away = end({ _tag: "NotMade", error: "away" }, 3);
    // By its seventh beginning, and no longer than half a minute.
    assert.deepStrictEqual(away, {
      move: "release",
      wait: Duration.seconds(30),
      error: "away",
    });
    // Cut off by a drain, it is due at once.
    assert.deepInclude(end({ _tag: "NotMade" }, 3), {
      move: "release",
      wait: Duration.zero,
    });
  });

  it("keeps no more of an error than has room", () => {
    const failed = end({ _tag: "Failed", error: "x".repeat(9000) }, 3);
    assert.strictEqual(failed.move === "bury" && failed.error.length, 2000);
  });
});

describe("the moves of an order", () => {
  it("lead from PENDING to every status, and from the final ones only by retry", () => {
    const all = Object.values(moves);
    const reached = new Set<OrderStatus>(["PENDING"]);
    for (let before = -1; before !== reached.size; ) {
      before = reached.size;
      for (const { from, to } of all) if (reached.has(from)) reached.add(to);
    }
    assert.deepStrictEqual(reached, new Set(OrderStatus.literals));
    const leaving = Object.entries(moves).filter(([, { from }]) =>
      (["COMPLETED", "FAILED", "CANCELLED"] as ReadonlyArray<string>).includes(
        from,
      ),
    );
    assert.deepStrictEqual(leaving, [["retry", moves.retry]]);
  });
});
