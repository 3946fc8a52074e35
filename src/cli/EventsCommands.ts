/** `orders events` and `orders watch`. */
import { Duration, Effect, Option, Schedule, Stream } from "effect";
import { Argument, Command, Flag } from "effect/cli";
import type { Order } from "../domain/Order.ts";
import { eventTypes } from "../domain/OrderEvent.ts";
import { EndsWith, exitCodes } from "./Failures.ts";
import { countFlag, userFlag } from "./Filters.ts";
import { showAll } from "./Results.ts";
import { type Client, withClient } from "./Settings.ts";
import { changesView, eventsView } from "./Views.ts";

const eventFlags = {
  type: Flag.Literals("type", eventTypes).pipe(
    Flag.withAlias("t"),
    Flag.withDescription("Only events of this type; repeat it for several"),
    Flag.between(0, eventTypes.length),
  ),
  user: userFlag,
} as const;

const afterFlag = Flag.String("after").pipe(
  Flag.withMetavar("event_id"),
  Flag.withDescription("Only those after this event; latest: from now on"),
  Flag.optional,
);

const queryOf = (input: {
  readonly type: ReadonlyArray<(typeof eventTypes)[number]>;
  readonly user: Command.Command.Config.Infer<typeof eventFlags>["user"];
}) => ({
  type: input.type.length === 0 ? undefined : input.type,
  user_id: Option.getOrUndefined(input.user),
});

const eventsMax = 1000;

export const events = Command.make(
  "events",
  {
    ...eventFlags,
    after: afterFlag,
    limit: countFlag("limit", eventsMax).pipe(
      Flag.withAlias("n"),
      Flag.withDescription("At most so many; 100 unless said"),
      Flag.withDefault(100),
    ),
    follow: Flag.Boolean("follow").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Go on with what happens, until Ctrl-C"),
      Flag.withDefault(false),
    ),
  },
  (input) =>
    withClient(
      Effect.fnUntraced(function* (client) {
        const after = Option.getOrUndefined(input.after);
        const query = { ...queryOf(input), after };
        if (input.follow) {
          return yield* showAll(eventsView, client.eventStream(query), {
            live: true,
          });
        }
        const { body } = yield* client.events.list({
          query: { ...query, limit: input.limit },
        });
        yield* showAll(eventsView, Stream.fromIterable(body));
      }),
    ),
).pipe(
  Command.withDescription("Show what happened, oldest first"),
  Command.withExamples([
    { command: "orders events --type order.failed" },
    {
      command: "orders events --follow --after latest --output ndjson",
      description: "From now on, one JSON object a line",
    },
  ]),
);

/** How often one order is looked at; what has not changed costs little. */
const lookEvery = Duration.seconds(1);

const isFinal = ({ status }: Order) =>
  status === "COMPLETED" || status === "FAILED" || status === "CANCELLED";

/** An order as it is, and each time it has changed, until it is final. */
const changesOf = (client: Client, order_id: string) => {
  let etag: string | undefined;
  const look = Effect.map(
    client.orders.find({
      params: { order_id },
      headers: { "if-none-match": etag },
    }),
    (found): ReadonlyArray<Order> => {
      if (found === undefined || !("body" in found)) return [];
      etag = found.headers.etag;
      return [found.body];
    },
  );
  return Stream.fromEffectSchedule(
    Effect.suspend(() => look),
    Schedule.spaced(lookEvery),
  ).pipe(Stream.flattenIterable, Stream.takeUntil(isFinal));
};

const watchOne = Effect.fnUntraced(function* (client: Client, id: string) {
  let last: Order | undefined;
  const changes = Stream.tap(changesOf(client, id), (order) =>
    Effect.sync(() => {
      last = order;
    }),
  );
  yield* showAll(changesView, changes, { live: true });
  if (last?.status !== "COMPLETED") {
    return yield* new EndsWith({ exitCode: exitCodes.failed });
  }
});

export const watch = Command.make(
  "watch",
  {
    id: Argument.String("order_id").pipe(
      Argument.withDescription("Left out, what happens to all is shown"),
      Argument.optional,
    ),
    ...eventFlags,
  },
  (input) =>
    withClient(
      Effect.fnUntraced(function* (client) {
        if (Option.isSome(input.id))
          return yield* watchOne(client, input.id.value);
        const query = { ...queryOf(input), after: "latest" };
        yield* showAll(eventsView, client.eventStream(query), { live: true });
      }),
    ),
).pipe(
  Command.withDescription(
    "Follow one order until it is final (exit code 0 if it is COMPLETED, else 1), or all until Ctrl-C",
  ),
  Command.withShortDescription("Follow one order, or all"),
  Command.withExamples([
    { command: "orders watch ORD001" },
    { command: "orders watch", description: "All, until Ctrl-C" },
    { command: "orders watch --type order.failed --output ndjson" },
  ]),
);
