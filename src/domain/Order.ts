/**
 * What an order is. Field names are those of the JSON contract and of the
 * table, so that an order reads the same from the socket to the row.
 */
import { Equal, Schema, SchemaTransformation } from "effect";
import { OrderStatus } from "./OrderStatus.ts";

/** Words that mean something else in the place of an order's id in a path. */
export const reservedOrderIds: ReadonlySet<string> = new Set([
  ".",
  "..",
  ...["metrics", "retry", "cancel", "batch", "export", "history"],
]);

const idMaxCharacters = 50;

const isText = Schema.makeFilter<string>(
  (text) => {
    if (!text.isWellFormed()) {
      return "contains half of a surrogate pair, which is not text: remove it";
    }
    return /\p{Cc}/u.test(text)
      ? "contains a control character (NUL, tab, line break ...): remove it"
      : undefined;
  },
  { toJsonSchema: () => ({}) },
);

const isNotBlank = Schema.isMinCodePoints(1, {
  message: "must not be blank",
});

const isShort = Schema.isMaxCodePoints(idMaxCharacters, {
  message: `must be at most ${idMaxCharacters} characters long`,
});

const isNotReserved = Schema.makeFilter<string>(
  (text) =>
    reservedOrderIds.has(text)
      ? `"${text}" is a word of this service's own paths and cannot be an order_id: choose another`
      : undefined,
  { toJsonSchema: () => ({ not: { enum: [...reservedOrderIds] } }) },
);

/** 1..50 characters (code points), trimmed, without control characters. */
export const OrderId = Schema.String.check(
  isNotBlank,
  isShort,
  isText,
  isNotReserved,
).pipe(Schema.brand("OrderId"));
export type OrderId = typeof OrderId.Type;

/** 1..50 characters (code points), trimmed, without control characters. */
export const UserId = Schema.String.check(isNotBlank, isShort, isText).pipe(
  Schema.brand("UserId"),
);
export type UserId = typeof UserId.Type;

export const totalAmountMax = 99_999_999.99;

/** The number of cents in an amount, which need not be whole. */
const cents = (amount: number) => Math.round(amount * 100);

/** Why a number is no amount of money; `undefined` when it is one. */
export const amountFault = (amount: number): string | undefined => {
  if (!(amount > 0)) return "must be greater than zero";
  if (amount > totalAmountMax) return `must be at most ${totalAmountMax}`;
  return cents(amount) / 100 === amount
    ? undefined
    : "must have at most two decimals";
};

/**
 * Money: above zero, at most 99999999.99, in whole cents. A JavaScript number
 * holds every such amount exactly as written (10 digits of the 15 it keeps).
 */
export const TotalAmount = Schema.Finite.check(
  Schema.makeFilter(amountFault, {
    // Not `multipleOf: 0.01`: validators divide, and find 0.29 / 0.01 broken.
    toJsonSchema: () => ({ exclusiveMinimum: 0, maximum: totalAmountMax }),
  }),
).pipe(Schema.brand("TotalAmount"));
export type TotalAmount = typeof TotalAmount.Type;

export const itemsMax = 1000;
/** How deep the JSON of an item may be nested. */
export const itemDepthMax = 32;

/** Why a value cannot be kept as it was given; `undefined` when it can. */
const itemFault = (value: unknown, depth: number): string | undefined => {
  switch (typeof value) {
    case "string":
      if (value.includes("\0")) return "contains a NUL character: remove it";
      return value.isWellFormed()
        ? undefined
        : "contains half of a surrogate pair, which is not text: remove it";
    case "number":
      return Number.isFinite(value)
        ? undefined
        : "is a number too large to be kept: send it as a string";
    case "boolean":
      return undefined;
    case "object": {
      if (value === null) return undefined;
      if (depth >= itemDepthMax) {
        return `is nested deeper than ${itemDepthMax} levels`;
      }
      if (Array.isArray(value)) {
        for (const element of value) {
          const fault = itemFault(element, depth + 1);
          if (fault !== undefined) return fault;
        }
        return undefined;
      }
      const prototype = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) {
        return "is a number that cannot be kept exactly: send it as a string";
      }
      for (const [key, element] of Object.entries(value)) {
        const fault = itemFault(key, depth) ?? itemFault(element, depth + 1);
        if (fault !== undefined) return fault;
      }
      return undefined;
    }
    default:
      return "is not JSON";
  }
};

/** 1..1000 JSON values, none null, kept as given. */
export const ItemIds = Schema.Array(Schema.Unknown)
  .annotate({ message: "must be an array of items" })
  .check(
    Schema.isMinLength(1, { message: "must name at least one item" }),
    Schema.isMaxLength(itemsMax, {
      message: `must name at most ${itemsMax} items`,
    }),
    Schema.makeFilter<ReadonlyArray<unknown>>(
      (items) =>
        items.slice(0, itemsMax).flatMap((item, index) => {
          const fault = item === null ? "must not be null" : itemFault(item, 0);
          return fault === undefined ? [] : [{ path: [index], issue: fault }];
        }),
      {
        toJsonSchema: () => ({
          items: {
            description: "Any JSON value but null.",
            not: { type: "null" },
          },
        }),
      },
    ),
  )
  .annotate({
    description: "1..1000 JSON values, none null, kept as given.",
  });
export type ItemIds = typeof ItemIds.Type;

/** What a caller says of an order when placing it. */
export const NewOrder = Schema.Struct({
  order_id: OrderId,
  user_id: UserId,
  item_ids: ItemIds,
  total_amount: TotalAmount,
});
export interface NewOrder extends Schema.Schema.Type<typeof NewOrder> {}

/** Whether two orders say the same, so that placing one again is a replay. */
export const sameContent = (one: NewOrder, other: NewOrder): boolean =>
  one.order_id === other.order_id &&
  one.user_id === other.user_id &&
  one.total_amount === other.total_amount &&
  Equal.equals(one.item_ids, other.item_ids);

/** A moment, in UTC. */
export const Time = Schema.String.annotate({ format: "date-time" }).pipe(
  Schema.decodeTo(
    Schema.DateTimeUtc,
    SchemaTransformation.dateTimeUtcFromString,
  ),
);

/** An order as the service keeps it. Times are the database's. */
export const Order = Schema.Struct({
  ...NewOrder.fields,
  status: OrderStatus,
  created_at: Time,
  updated_at: Time,
  processing_started_at: Schema.NullOr(Time).annotate({
    description: "When its latest attempt began.",
  }),
  processing_completed_at: Schema.NullOr(Time).annotate({
    description: "When it became COMPLETED.",
  }),
  attempts: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).annotate({
    description: "Attempts begun so far.",
  }),
  next_attempt_at: Schema.NullOr(Time).annotate({
    description: "When a PENDING order that failed before is tried again.",
  }),
  last_error: Schema.NullOr(Schema.String).annotate({
    description: "Why its latest failed attempt failed.",
  }),
}).annotate({ identifier: "Order" });
export interface Order extends Schema.Schema.Type<typeof Order> {}
