/**
 * The JSON in which an order is placed: what callers may write, and how it is
 * read into the domain's `NewOrder`. Unknown fields are ignored.
 */
import { Effect, Schema, SchemaIssue, SchemaTransformation } from "effect";
import {
  amountFault,
  ItemIds,
  type NewOrder,
  OrderId,
  TotalAmount,
  UserId,
} from "../domain/Order.ts";

const idMessage = "must be a string or an integer";

/** How an id may be written; `description` says whose it is. */
export const idInJson = (description: string) =>
  Schema.Union([
    Schema.String,
    Schema.Finite.check(
      // Longer integers than a number can hold come as their digits.
      Schema.makeFilter<number>(
        (id) => (Number.isSafeInteger(id) ? undefined : idMessage),
        { toJsonSchema: () => ({ type: "integer" }) },
      ),
    ),
  ]).annotate({
    message: idMessage,
    description: `${description} 1..50 characters after trimming, without control characters; or a JSON integer, kept as its digits.`,
  });

/** A JSON integer stands for its digits; text is trimmed. */
export const idFromJson = SchemaTransformation.transform<
  string,
  string | number
>({
  decode: (given) => String(given).trim(),
  encode: (id) => id,
});

const decimal = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/** Digits that carry the value: without sign, point, leading and trailing zeros. */
const significantDigits = (text: string) => {
  const digits = text.replace(/e.*$/i, "").replace(/[+\-.]/g, "");
  // Greedy from the front: a million zeros are read once, not once for each.
  return /^0*(\d*[1-9])?/.exec(digits)?.[1]?.length ?? 0;
};

/**
 * Reads "19.90" as 19.9, exactly or not at all: text with more significant
 * digits than a number can keep is refused, never rounded.
 */
const amountFromJson = SchemaTransformation.transformEffect<
  number,
  string | number
>({
  decode: (given, options) => {
    if (typeof given === "number") return Effect.succeed(given);
    const text = given.trim();
    const refuse = (message: string) =>
      Effect.fail(new SchemaIssue.InvalidValue({ message }, given, options));
    if (!decimal.test(text)) return refuse('must be a decimal such as "19.90"');
    const amount = Number(text);
    return Number.isFinite(amount) && significantDigits(text) <= 15
      ? Effect.succeed(amount)
      : refuse(amountFault(amount) ?? "must have at most two decimals");
  },
  encode: (amount) => Effect.succeed(amount),
});

const required = { messageMissingKey: "is required" } as const;

/** The body of `POST /api/orders/`. */
export const PlaceOrder = Schema.Struct({
  order_id: idInJson("The caller's own name for the order.")
    .pipe(Schema.decodeTo(OrderId, idFromJson))
    .annotateKey(required),
  user_id: idInJson("Who orders.")
    .pipe(Schema.decodeTo(UserId, idFromJson))
    .annotateKey(required),
  item_ids: ItemIds.annotateKey(required),
  total_amount: Schema.Union([Schema.Finite, Schema.String])
    .annotate({
      message: "must be a number or a decimal string",
      description:
        "Above zero, at most 99999999.99, at most two decimals; as a JSON number or a decimal string.",
    })
    .pipe(Schema.decodeTo(TotalAmount, amountFromJson))
    .annotateKey(required),
}).annotate({ identifier: "PlaceOrder", message: "must be a JSON object" });

// The contract reads into exactly what the domain calls a new order.
const _check: Schema.Codec<NewOrder, typeof PlaceOrder.Encoded> = PlaceOrder;
void _check;
