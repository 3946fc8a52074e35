import { assert, describe, it } from "@effect/vitest";
import { Effect, Schema } from "effect";
import { HttpServerRequest } from "effect/http";
import { PlaceOrder } from "../../src/api/PlaceOrder.ts";
import { OrderId, TotalAmount, UserId } from "../../src/domain/Order.ts";
import * as JsonBody from "../../src/http/JsonBody.ts";
import { orderIn } from "../../src/http/Placing.ts";

/** Money as a count of cents: every amount there is. */
const Cents = Schema.Int.check(
  Schema.isBetween({ minimum: 1, maximum: 9_999_999_999 }),
);

/** Cents as a decimal, made of digits alone: no arithmetic that could round. */
const decimalOf = (cents: number) => {
  const digits = String(cents).padStart(3, "0");
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
};

/** What the service reads of a request whose body has this `total_amount`. */
const read = (total_amount: string) =>
  JsonBody.use(
    HttpServerRequest.fromWeb(
      new Request("http://service/api/orders/", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: `{"order_id":"a","user_id":"b","item_ids":[1],"total_amount":${total_amount}}`,
      }),
    ),
    orderIn,
  );

const encode = Schema.encodeSync(PlaceOrder);
const decode = Schema.decodeUnknownSync(PlaceOrder);

describe("an amount", () => {
  it.effect.prop(
    "of any whole cents comes out as it went in, however it is written",
    [Cents],
    Effect.fnUntraced(function* ([cents]) {
      const decimal = decimalOf(cents);
      for (const written of [
        decimal,
        `"${decimal}"`,
        `" +${decimal}000 "`,
        `${decimal}00000000000000000000`,
        `${cents}e-2`,
        `"00${cents}00E-4"`,
        JSON.stringify(Number(decimal)),
      ]) {
        const { total_amount } = yield* read(written);
        assert.strictEqual(total_amount.toFixed(2), decimal, written);
        // As it is answered, and as it is stored.
        const answered = JSON.stringify(total_amount);
        assert.match(answered, /^\d+(\.\d\d?)?$/);
        assert.strictEqual(Number(answered), total_amount);
        assert.strictEqual(
          decimalOf(Math.round(Number(answered) * 100)),
          decimal,
        );
      }
    }),
    { arbitrary: { runs: 500 } },
  );

  it.effect.prop(
    "with anything after its cents is refused, never rounded",
    [
      Cents,
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })),
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })),
    ],
    Effect.fnUntraced(function* ([cents, zeros, digit]) {
      const decimal = `${decimalOf(cents)}${"0".repeat(zeros)}${digit}`;
      for (const written of [decimal, `"${decimal}"`]) {
        const refusal = yield* Effect.flip(read(written));
        assert.strictEqual(refusal._tag, "BadRequestProblem");
      }
    }),
    { arbitrary: { runs: 300 } },
  );

  it.effect.prop(
    "beyond the most is refused",
    [Schema.Int.check(Schema.isGreaterThan(9_999_999_999))],
    Effect.fnUntraced(function* ([cents]) {
      for (const written of [decimalOf(cents), `"${decimalOf(cents)}"`]) {
        const refusal = yield* Effect.flip(read(written));
        assert.strictEqual(refusal._tag, "BadRequestProblem");
      }
    }),
  );
});

describe("PlaceOrder", () => {
  /** As a caller of the typed client would make it. */
  const New = Schema.Struct({
    order_id: OrderId,
    user_id: UserId,
    item_ids: Schema.NonEmptyArray(
      Schema.Union([
        Schema.String,
        Schema.Finite,
        Schema.Boolean,
        Schema.Struct({ sku: Schema.String, count: Schema.Int }),
      ]),
    ),
    total_amount: Cents,
  });

  const isKept = (text: string) => text.isWellFormed() && !text.includes("\0");

  it.prop("reads what it has written", [New], ([given]) => {
    const texts = given.item_ids.flatMap((item) =>
      typeof item === "object" ? [item.sku] : [String(item)],
    );
    if (!texts.every(isKept)) return;
    const order = {
      ...given,
      // A placed id is trimmed: what has spaces around is another id.
      order_id: given.order_id.trim(),
      user_id: given.user_id.trim(),
      total_amount: TotalAmount.make(Number(decimalOf(given.total_amount))),
    };
    if (order.order_id === "" || order.user_id === "") return;
    const json = JSON.stringify(encode(decode(order)));
    assert.deepStrictEqual(
      JSON.parse(JSON.stringify(decode(JSON.parse(json)))),
      JSON.parse(JSON.stringify(order)),
    );
    assert.strictEqual(JSON.stringify(encode(decode(JSON.parse(json)))), json);
  });

  it.prop(
    "reads an integer as the text of its digits",
    [Schema.Int],
    ([id]) => {
      const rest = { item_ids: [1], total_amount: 1 };
      const number = decode({ order_id: id, user_id: id, ...rest });
      const text = decode({
        order_id: String(id),
        user_id: String(id),
        ...rest,
      });
      assert.deepStrictEqual(number, text);
    },
  );
});
