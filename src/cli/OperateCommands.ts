/** `orders cancel` and `orders retry`: some orders, or all that a filter finds. */
import { Effect, Option } from "effect";
import { Argument, Command, Flag } from "effect/cli";
import type { Order } from "../domain/Order.ts";
import { forEachOrder, orderIds } from "./EachOrder.ts";
import { EndsWith, exitCodes, usedWrongly } from "./Failures.ts";
import { countFlag, timeFlag, userFlag } from "./Filters.ts";
import { Machine } from "./Machine.ts";
import { showOne } from "./Results.ts";
import { type Client, withClient } from "./Settings.ts";
import { confirmed } from "./Telling.ts";
import { summaryView } from "./Views.ts";

const limitDefault = 100;

const flags = {
  ids: Argument.atLeast(orderIds, 0),
  user: userFlag,
  createdBefore: timeFlag("created-before", "Only orders placed before then"),
  limit: countFlag("limit", 500).pipe(
    Flag.withAlias("n"),
    Flag.withDescription(
      `At most so many, the oldest first; ${limitDefault} unless said`,
    ),
    Flag.optional,
  ),
  all: Flag.Boolean("all").pipe(
    Flag.withDescription("Of all users and times, up to the limit"),
    Flag.withDefault(false),
  ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Only say how many it would be"),
    Flag.withDefault(false),
  ),
  yes: Flag.Boolean("yes").pipe(
    Flag.withAlias("y"),
    Flag.withDescription("Do not ask"),
    Flag.withDefault(false),
  ),
} as const;

type Input = Command.Command.Config.Infer<typeof flags>;

/** Whether it is about many orders; a limit alone does not say of whom. */
const isFiltered = (input: Input) =>
  input.all || Option.isSome(input.user) || Option.isSome(input.createdBefore);

/** What is done, in words. */
interface Deed {
  readonly verb: "cancel" | "retry";
  readonly which: "PENDING" | "FAILED";
  /** What the service calls those that were changed. */
  readonly field: "cancelled" | "retried";
}

/** As the service answers about many. */
interface Many {
  /** How many were changed. */
  readonly changed: number;
  /** Of a dry run: how many match. */
  readonly matching?: number | undefined;
  readonly capped?: boolean | undefined;
  readonly more: boolean;
}

const payloadOf = (input: Input, dry_run: boolean) => ({
  ...(Option.isSome(input.user) && { user_id: input.user.value }),
  ...(Option.isSome(input.createdBefore) && {
    created_before: input.createdBefore.value,
  }),
  ...(input.all && { all: true }),
  limit: Option.getOrElse(input.limit, () => limitDefault),
  ...(dry_run && { dry_run }),
});

type Payload = ReturnType<typeof payloadOf>;

const plural = (count: number) => (count === 1 ? "order" : "orders");

/** Whether it is to be done; where nobody can be asked, it has to be said. */
const isMeant = Effect.fnUntraced(function* (
  { verb, which }: Deed,
  input: Input,
  dryRun: Effect.Effect<Many, unknown>,
) {
  const { stderrIsTerminal, stdinIsTerminal, tell } = yield* Machine;
  if (input.yes || input.dryRun) return true;
  if (!stdinIsTerminal || !stderrIsTerminal) {
    return yield* usedWrongly(
      `To ${verb} many orders, add --yes, or --dry-run to see how many there are.`,
    );
  }
  const { capped, matching = 0 } = yield* dryRun;
  const limit = Option.getOrElse(input.limit, () => limitDefault);
  if (matching === 0) {
    yield* tell(`There are no ${which} orders that match.\n`);
    return false;
  }
  const count = Math.min(matching, limit);
  const of =
    matching > count
      ? ` of ${matching.toLocaleString("en")}${capped ? " or more" : ""}`
      : "";
  const question = `${verb === "cancel" ? "Cancel" : "Retry"} ${count}${of} ${which} ${plural(matching)}?`;
  if (yield* confirmed(question)) return true;
  yield* tell("Nothing was changed.\n");
  return yield* new EndsWith({ exitCode: exitCodes.failed });
});

const withMany = Effect.fnUntraced(function* (
  deed: Deed,
  input: Input,
  ask: (payload: Payload) => Effect.Effect<Many, unknown>,
) {
  const { tell } = yield* Machine;
  const dryRun = Effect.suspend(() => ask(payloadOf(input, true)));
  if (!(yield* isMeant(deed, input, dryRun))) return;
  if (input.dryRun) {
    const { capped, matching } = yield* dryRun;
    const view = summaryView<Record<string, unknown>>({
      matching: "MATCHING",
      capped: "CAPPED",
    });
    return yield* showOne(view, { matching, capped, dry_run: true });
  }
  const { changed, more } = yield* ask(payloadOf(input, false));
  const view = summaryView<Record<string, unknown>>({
    [deed.field]: deed.field.toUpperCase(),
    more: "MORE",
  });
  yield* showOne(view, { [deed.field]: changed, more });
  if (more)
    yield* tell(`There may be more: run it again to ${deed.verb} them.\n`);
});

const operate = (
  deed: Deed,
  input: Input,
  one: (client: Client, order_id: string) => Effect.Effect<Order, unknown>,
  many: (client: Client, payload: Payload) => Effect.Effect<Many, unknown>,
) =>
  Effect.gen(function* () {
    const isOfMany = isFiltered(input);
    const isLimitLost = Option.isSome(input.limit) && !isOfMany;
    if (isOfMany === input.ids.length > 0 || isLimitLost) {
      return yield* usedWrongly(
        `Name the orders to ${deed.verb}, or choose them by --user, --created-before or --all; --limit says how many of those.\nExamples: orders ${deed.verb} --help`,
      );
    }
    yield* withClient((client) =>
      isOfMany
        ? withMany(deed, input, (payload) => many(client, payload))
        : Effect.asVoid(forEachOrder(input.ids, (id) => one(client, id))),
    );
  });

export const cancel = Command.make("cancel", flags, (input) =>
  operate(
    { verb: "cancel", which: "PENDING", field: "cancelled" },
    input,
    ({ orders }, order_id) => orders.cancel({ params: { order_id } }),
    ({ orders }, payload) =>
      Effect.map(orders.cancelMany({ query: {}, payload }), (answer) => ({
        ...answer,
        changed: answer.cancelled,
      })),
  ),
).pipe(
  Command.withDescription("Cancel PENDING orders: some, or many at once"),
  Command.withExamples([
    { command: "orders cancel ORD001 ORD002" },
    { command: "orders cancel --user USER001 --dry-run" },
    {
      command:
        "orders cancel --created-before 2026-01-31T00:00:00Z --limit 500 --yes",
    },
  ]),
);

export const retry = Command.make("retry", flags, (input) =>
  operate(
    { verb: "retry", which: "FAILED", field: "retried" },
    input,
    ({ orders }, order_id) => orders.retry({ params: { order_id } }),
    ({ orders }, payload) =>
      Effect.map(orders.retryMany({ query: {}, payload }), (answer) => ({
        ...answer,
        changed: answer.retried,
      })),
  ),
).pipe(
  Command.withDescription(
    "Retry dead letters: FAILED orders become PENDING with all their attempts",
  ),
  Command.withShortDescription("Retry dead letters"),
  Command.withExamples([
    { command: "orders retry ORD001" },
    { command: "orders retry --all --dry-run" },
    { command: "orders retry --all --limit 500 --yes" },
  ]),
);
