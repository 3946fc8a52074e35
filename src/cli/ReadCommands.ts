/** `orders get`, `orders list`, `orders metrics`. */
import { Effect, Stream } from "effect";
import { Argument, Command, Flag } from "effect/cli";
import { find, forEachOrder, orderIds } from "./EachOrder.ts";
import { countFlag, filterFlags, queryOf } from "./Filters.ts";
import { showAll, showOne } from "./Results.ts";
import { withClient } from "./Settings.ts";
import { historyView, metricsView, ordersView } from "./Views.ts";

export const get = Command.make(
  "get",
  {
    ids: Argument.atLeast(orderIds, 1),
    history: Flag.Boolean("history").pipe(
      Flag.withDescription("What became of it: each attempt, and who did what"),
      Flag.withDefault(false),
    ),
  },
  (input) =>
    withClient((client) =>
      input.history
        ? showAll(
            historyView,
            Stream.fromIterable(input.ids).pipe(
              Stream.mapEffect((order_id) =>
                client.orders.history({ params: { order_id } }),
              ),
              Stream.flattenIterable,
            ),
          )
        : forEachOrder(input.ids, (id) => find(client, id)),
    ),
).pipe(
  Command.withDescription("Show orders"),
  Command.withExamples([
    { command: "orders get ORD001" },
    {
      command: "orders get ORD001 --history",
      description: "Its attempts, too",
    },
    { command: "orders get ORD001 ORD002 --output csv" },
  ]),
);

const listDefault = 50;
const listMax = 1_000_000;

export const list = Command.make(
  "list",
  {
    ...filterFlags,
    limit: countFlag("limit", listMax).pipe(
      Flag.withAlias("n"),
      Flag.withDescription(`At most so many; ${listDefault} unless said`),
      Flag.withDefault(listDefault),
    ),
    all: Flag.Boolean("all").pipe(
      Flag.withDescription("All that there are (for files: orders export)"),
      Flag.withDefault(false),
    ),
  },
  (input) =>
    withClient((client) => {
      const orders = client.allOrders({
        ...queryOf(input),
        limit: input.all ? 500 : Math.min(input.limit, 500),
      });
      return showAll(
        ordersView,
        input.all ? orders : Stream.take(orders, input.limit),
      );
    }),
).pipe(
  Command.withDescription("List orders, newest first"),
  Command.withExamples([
    { command: "orders list" },
    {
      command: "orders list --status FAILED --all --output ndjson",
      description: "All dead letters, for another program",
    },
    {
      command:
        "orders list --user USER001 --created-after 2026-01-31T00:00:00Z",
    },
  ]),
);

export const metrics = Command.make("metrics", {}, () =>
  withClient((client) =>
    Effect.flatMap(client.orders.metrics(), (counts) =>
      showOne(metricsView, counts),
    ),
  ),
).pipe(
  Command.withDescription("Count orders by status"),
  Command.withExamples([{ command: "orders metrics --output json" }]),
);
