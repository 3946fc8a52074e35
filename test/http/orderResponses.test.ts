import { assert, describe, it } from "@effect/vitest";
import { DateTime, Schema } from "effect";
import {
  ItemIds,
  Order,
  OrderId,
  TotalAmount,
  UserId,
} from "../../src/domain/Order.ts";
import { OrderStatus } from "../../src/domain/OrderStatus.ts";
import { toJson } from "../../src/http/OrderResponses.ts";

const encode = Schema.encodeSync(Order);
const time = (millis: number) => DateTime.makeUnsafe(millis);
const Millis = Schema.Int.check(
  Schema.isBetween({ minimum: 0, maximum: 4_102_444_800_000 }),
);

describe("an order as JSON, written by hand", () => {
  it.prop(
    "is what the contract encodes",
    {
      millis: Millis,
      later: Schema.NullOr(Millis),
      status: OrderStatus,
      attempts: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 99 })),
      cents: Schema.Int.check(
        Schema.isBetween({ minimum: 1, maximum: 9_999_999_999 }),
      ),
      error: Schema.NullOr(Schema.String),
      text: Schema.String,
    },
    ({ attempts, cents, error, later, millis, status, text }) => {
      const at = later === null ? null : time(later);
      const order: Order = {
        order_id: OrderId.make("ORD001"),
        user_id: UserId.make("\u{1f600}"),
        item_ids: ItemIds.make([1.5, { a: [true, "x"] }, `${text.length}`]),
        total_amount: TotalAmount.make(cents / 100),
        status,
        created_at: time(millis),
        updated_at: time(millis),
        processing_started_at: at,
        processing_completed_at: at,
        attempts,
        next_attempt_at: at,
        last_error: error,
      };
      assert.strictEqual(toJson(order), JSON.stringify(encode(order)));
    },
  );
});
