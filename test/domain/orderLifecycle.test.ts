import { assert, describe, it } from "@effect/vitest";
import { Duration, Schema } from "effect";
import {
  afterFailure,
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
    "it waits at least as long as asked, and never longer than the cap",
    [Failure],
    ([given]) => {
      const wait = waitOf(given);
      assert.isAtLeast(wait, Math.min(given.retryAfter ?? 0, given.cap));
      assert.isAtMost(wait, given.cap);
      assert.isAtMost(wait, Math.max(fullOf(given), given.retryAfter ?? 0));
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
