/** `orders place`: one order, from flags or as JSON. */
import { Effect, Option, Stream } from "effect";
import { Argument, Command, Flag } from "effect/cli";
import type { OrderToPlace } from "../client/OrderClient.ts";
import { failed, usedWrongly } from "./Failures.ts";
import { Machine } from "./Machine.ts";
import { orderIn } from "./OrderText.ts";
import { showOne } from "./Results.ts";
import { withClient } from "./Settings.ts";
import { orderView } from "./Views.ts";

/** One order is at most a mebibyte for the service; this is for a mistake. */
const textMax = 4 * 1024 * 1024;

const itemsMax = 1000;

const readText = Effect.fnUntraced(function* (path: string) {
  const machine = yield* Machine;
  const bytes = path === "-" ? machine.stdin : machine.read(path);
  let length = 0;
  return yield* bytes.pipe(
    Stream.tap((chunk) => {
      length += chunk.length;
      return length > textMax
        ? Effect.fail(
            failed("That is too large for one order: use orders import."),
          )
        : Effect.void;
    }),
    Stream.decodeText,
    Stream.mkString,
  );
});

export const place = Command.make(
  "place",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription(
        "A file with the order as JSON; - for standard input",
      ),
      Argument.optional,
    ),
    id: Flag.String("id").pipe(
      Flag.withMetavar("order_id"),
      Flag.withDescription("The order's id"),
      Flag.optional,
    ),
    user: Flag.String("user").pipe(
      Flag.withAlias("u"),
      Flag.withMetavar("user_id"),
      Flag.withDescription("Whose it is"),
      Flag.optional,
    ),
    items: Flag.String("item").pipe(
      Flag.withAlias("i"),
      Flag.withMetavar("item_id"),
      Flag.withDescription("An item; repeat it for several"),
      Flag.between(0, itemsMax),
    ),
    amount: Flag.String("amount").pipe(
      Flag.withAlias("a"),
      Flag.withMetavar("amount"),
      Flag.withDescription("The total amount, such as 99.99"),
      Flag.optional,
    ),
  },
  Effect.fnUntraced(function* (input) {
    const flags = [input.id, input.user, input.amount];
    const isByFlags = flags.some(Option.isSome) || input.items.length > 0;
    if (isByFlags === Option.isSome(input.file)) {
      return yield* usedWrongly(
        "Give the order either by --id, --user, --item and --amount, or as JSON in a file (- for standard input).\nExamples: orders place --help",
      );
    }
    const order: OrderToPlace = yield* Option.match(input.file, {
      onSome: (path) => Effect.flatMap(readText(path), orderIn),
      onNone: () =>
        flags.every(Option.isSome) && input.items.length > 0
          ? Effect.succeed({
              order_id: Option.getOrElse(input.id, () => ""),
              user_id: Option.getOrElse(input.user, () => ""),
              item_ids: input.items,
              total_amount: Option.getOrElse(input.amount, () => ""),
            })
          : usedWrongly(
              "An order needs all of --id, --user, --item and --amount.\nExamples: orders place --help",
            ),
    });
    yield* withClient((client) =>
      Effect.gen(function* () {
        const { tell } = yield* Machine;
        const { body, headers } = yield* client.place(order);
        yield* showOne(orderView, body);
        if ("idempotent-replayed" in headers) {
          yield* tell("This very order had been placed before.\n");
        }
      }),
    );
  }),
).pipe(
  Command.withDescription(
    "Place an order. Doing it again with the same content is safe: it is placed once",
  ),
  Command.withShortDescription("Place an order"),
  Command.withExamples([
    {
      command:
        "orders place --id ORD001 --user USER001 --item ITEM001 --amount 99.99",
    },
    { command: "orders place order.json" },
    { command: "orders place - < order.json" },
  ]),
);
