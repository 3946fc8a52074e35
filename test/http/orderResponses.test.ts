import { assert, describe, it } from "@effect/vitest";
import { Arbitrary, DateTime, Schema } from "effect";
import {
  ItemIds,
  Order,
  OrderId,
  TotalAmount,
  UserId,
} from "../../src/domain/Order.ts";
import { toJson } from "../../src/domain/OrderJson.ts";
import { OrderStatus } from "../../src/domain/OrderStatus.ts";

const encode = Schema.encodeSync(Order);

const isId = Schema.is(OrderId);
const areItems = Schema.is(ItemIds);

/** Any text that may be an id: of any script, with quotes and backslashes. */
const id = Arbitrary.map(Arbitrary.schema(Schema.String), (text) => {
  const wellFormed = text.toWellFormed().replace(/\p{Cc}/gu, "");
  const short = Array.from(wellFormed.trim()).slice(0, 50).join("").trim();
  return isId(short) ? short : `"${short.length}"`;
});

/** Any JSON that may be an item. */
const item = Arbitrary.filter(Arbitrary.schema(Schema.Json), (json) =>
  areItems([json]),
);

const whole = (minimum: number, maximum: number) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum }));

const Millis = whole(0, 4_102_444_800_000);

/** Which of its moments a time of an order is: some are the same. */
const Which = Schema.Literals([0, 1, 2]);
const WhichIfAny = Schema.NullOr(Which);

describe("an order as JSON, written by hand", () => {
  it.prop(
    "is what the contract encodes",
    {
      order_id: id,
      user_id: id,
      item_ids: Arbitrary.array(item, { minLength: 1, maxLength: 5 }),
      cents: whole(1, 9_999_999_999),
      status: OrderStatus,
      moments: Schema.Tuple([Millis, Millis, Millis]),
      created: Which,
      updated: Which,
      started: WhichIfAny,
      completed: WhichIfAny,
      next: WhichIfAny,
      attempts: whole(0, 99),
      last_error: Schema.NullOr(Schema.String),
    },
    (given) => {
      const { attempts, last_error, moments, status } = given;
      const at = (which: typeof Which.Type) =>
        DateTime.makeUnsafe(moments[which]);
      const atIfAny = (which: typeof WhichIfAny.Type) =>
        which === null ? null : at(which);
      const order: Order = {
        order_id: OrderId.make(given.order_id),
        user_id: UserId.make(given.user_id),
        item_ids: given.item_ids,
        total_amount: TotalAmount.make(given.cents / 100),
        status,
        created_at: at(given.created),
        updated_at: at(given.updated),
        processing_started_at: atIfAny(given.started),
        processing_completed_at: atIfAny(given.completed),
        attempts,
        next_attempt_at: atIfAny(given.next),
        last_error,
      };
      assert.strictEqual(toJson(order), JSON.stringify(encode(order)));
    },
    { arbitrary: { runs: 300 } },
  );
});
