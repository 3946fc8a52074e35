/** What goes into one delivery: so many events, and so many bytes. */
import { assert, describe, it } from "@effect/vitest";
import { DateTime, Effect } from "effect";
import { OrderId, UserId } from "../../src/domain/Order.ts";
import type { OrderEvent } from "../../src/domain/OrderEvent.ts";
import type { EventFollower } from "../../src/events/EventFollower.ts";
import {
  batchBytesMax,
  batchMax,
  next,
} from "../../src/events/SubscriptionBatch.ts";

const start = { record: 0n, index: 0 };

const event = (n: number, error = ""): OrderEvent => ({
  id: `x-${n}`,
  place: { record: BigInt(n), index: 0 },
  type: n % 2 === 0 ? "order.failed" : "order.placed",
  time: DateTime.makeUnsafe(n * 1000),
  order_id: OrderId.make(`O${n}`),
  user_id: UserId.make("U"),
  status: "FAILED",
  attempt: 1,
  ...(error === "" ? {} : { error }),
});

/** A log of events 1, 2, 3 ... that remembers how it was read. */
const logOf = (events: ReadonlyArray<OrderEvent>) => {
  const limits: Array<number> = [];
  const read: EventFollower["Service"]["read"] = (after, limit) =>
    Effect.sync(() => {
      limits.push(limit);
      const from = Number(after.record);
      const some = events.slice(from, from + limit);
      const end = some.at(-1)?.place ?? after;
      return {
        ...{ events: some, end, endId: undefined, isHeld: false },
        isEnd: some.length < limit,
      };
    });
  const follower = { read, follow: Effect.void, untilAfter: () => Effect.void };
  return { limits, follower };
};

const bytesOf = (text: string) => new TextEncoder().encode(text).length;

const numbers = (body: string) =>
  (JSON.parse(body) as ReadonlyArray<{ id: string }>).map(({ id }) =>
    Number(id.slice(2)),
  );

describe("a batch", () => {
  it.effect("has a hundred events, and says where to read on", () =>
    Effect.gen(function* () {
      const events = Array.from({ length: 130 }, (_, n) => event(n + 1));
      const { follower } = logOf(events);
      const one = yield* next(follower, {}, start);
      assert.deepStrictEqual(
        [one.size, one.end.record, one.isEnd, one.oldest],
        [batchMax, 100n, false, 1000],
      );
      const two = yield* next(follower, {}, one.end);
      assert.deepStrictEqual(
        [two.size, two.end.record, two.isEnd],
        [30, 130n, true],
      );
      assert.notStrictEqual(one.id, two.id);
      assert.strictEqual((yield* next(follower, {}, start)).id, one.id);
    }),
  );

  it.effect("has at most a mebibyte, unless one event has more", () =>
    Effect.gen(function* () {
      // Three bytes a character: it is bytes that count.
      const large = "\u20ac".repeat(120_000);
      const events = [
        ...[event(1, large), event(2, large), event(3, large)],
        ...[event(4, large.repeat(4)), event(5)],
      ];
      const { follower } = logOf(events);
      const sizes: Array<number> = [];
      let place = start;
      const seen: Array<number> = [];
      while (seen.length < events.length) {
        const batch = yield* next(follower, {}, place);
        sizes.push(batch.size);
        seen.push(...numbers(batch.body));
        if (batch.size > 1) assert.isAtMost(bytesOf(batch.body), batchBytesMax);
        place = batch.end as typeof place;
      }
      assert.deepStrictEqual(sizes, [2, 1, 1, 1]);
      assert.deepStrictEqual(seen, [1, 2, 3, 4, 5]);
    }),
  );

  it.effect("has what is wanted of many, and no more are looked at", () =>
    Effect.gen(function* () {
      const events = Array.from({ length: 20_000 }, (_, n) => event(n + 1));
      const { follower, limits } = logOf(events);
      const failed = yield* next(follower, { type: ["order.failed"] }, start);
      assert.deepStrictEqual(
        [failed.size, failed.end.record],
        [batchMax, 200n],
      );
      limits.length = 0;
      const none = yield* next(follower, { type: ["order.retried"] }, start);
      assert.deepStrictEqual(
        [none.size, none.end.record, none.isEnd, none.oldest],
        [0, 5000n, false, undefined],
      );
      assert.strictEqual(limits.length, 5);
    }),
  );
});
