/** Orders to try the service with, such as the reference system makes. */
import { Effect, Layer, Random } from "effect";
import {
  type NewOrder,
  OrderId,
  TotalAmount,
  UserId,
} from "../domain/Order.ts";
import { Database } from "../persistence/Database.ts";
import { OrderRepository } from "../persistence/OrderRepository.ts";
import { Orders } from "./Orders.ts";

const items = [
  { id: "ITEM001", cents: 99_999 },
  { id: "ITEM002", cents: 69_999 },
  { id: "ITEM003", cents: 19_999 },
  { id: "ITEM004", cents: 49_999 },
  { id: "ITEM005", cents: 29_999 },
];

/** `ORD-` and 8 hex digits, of one of five users, with 1 to 3 of five items. */
export const random = Effect.gen(function* () {
  const number = yield* Random.nextIntBetween(0, 0xffff_ffff);
  const user = yield* Random.nextIntBetween(1, 5);
  const count = yield* Random.nextIntBetween(1, 3);
  const chosen = (yield* Random.shuffle(items)).slice(0, count);
  const cents = chosen.reduce((sum, item) => sum + item.cents, 0);
  return {
    order_id: OrderId.make(
      `ORD-${number.toString(16).toUpperCase().padStart(8, "0")}`,
    ),
    user_id: UserId.make(`USER00${user}`),
    item_ids: chosen.map((item) => item.id),
    total_amount: TotalAmount.make(cents / 100),
  } satisfies NewOrder;
});

export interface SampleOrdersOptions {
  readonly count: number;
  /** Whether somebody acts on the orders: these are made up. */
  readonly isWorkReal: boolean;
}

/** Places `count` orders, if there are no orders at all and the work is none. */
export const layer = ({ count, isWorkReal }: SampleOrdersOptions) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      if (count === 0) return;
      if (isWorkReal) {
        return yield* Effect.logInfo(
          "no sample orders are placed: fulfilment is not simulated here",
        );
      }
      const database = yield* Database;
      const repository = yield* OrderRepository;
      const orders = yield* Orders;
      yield* Effect.gen(function* () {
        yield* database.migrated;
        if (!(yield* repository.isEmpty)) return;
        const place = Effect.flatMap(random, orders.place);
        yield* Effect.forEach(Array.from({ length: count }), () => place, {
          concurrency: 50,
          discard: true,
        });
        yield* Effect.logInfo(`placed ${count} sample orders`);
      }).pipe(
        Effect.catchCause((cause) =>
          Effect.logWarning("no sample orders were placed", cause),
        ),
        Effect.forkScoped,
      );
    }),
  );
