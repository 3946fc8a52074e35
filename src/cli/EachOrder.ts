/** The same done with one order or with some. */
import { Effect, Stream } from "effect";
import { Argument } from "effect/cli";
import type { Order } from "../domain/Order.ts";
import { EndsWith, exitCodes } from "./Failures.ts";
import { showAll, showOne } from "./Results.ts";
import type { Client } from "./Settings.ts";
import { tellFailure } from "./Telling.ts";
import { ordersView, orderView } from "./Views.ts";

/** How many are asked about at once. */
const atOnce = 8;

export const orderIds = Argument.String("order_id").pipe(
  Argument.withDescription("As it was placed"),
);

/** One order, as it is now. */
export const find = (client: Client, order_id: string) =>
  Effect.flatMap(
    client.orders.find({ params: { order_id }, headers: {} }),
    (found) =>
      // Nothing was said to be known, so it cannot be "as you know it".
      found === undefined || !("body" in found)
        ? Effect.die(new Error("304 without If-None-Match"))
        : Effect.succeed(found.body),
  );

/**
 * Shows what came of it for each. What fails is told, and the others go on;
 * the exit code is that of the first failure.
 */
export const forEachOrder = Effect.fnUntraced(function* <E, R>(
  ids: ReadonlyArray<string>,
  use: (id: string) => Effect.Effect<Order, E, R>,
) {
  const [only] = ids;
  if (ids.length === 1 && only !== undefined) {
    return yield* showOne(orderView, yield* use(only));
  }
  let exitCode: number = exitCodes.done;
  const done = Stream.fromIterable(ids).pipe(
    Stream.mapEffect(
      (id) =>
        Effect.catch(
          Effect.map(use(id), (order): ReadonlyArray<Order> => [order]),
          (error) =>
            Effect.map(tellFailure(error), (code): ReadonlyArray<Order> => {
              if (exitCode === exitCodes.done) exitCode = code;
              return [];
            }),
        ),
      { concurrency: atOnce },
    ),
    Stream.flattenIterable,
  );
  yield* showAll(ordersView, done);
  if (exitCode !== exitCodes.done) return yield* new EndsWith({ exitCode });
});
