/** `orders keys`: who may do what, where access is closed. */
import { DateTime, Effect, Option, Stream } from "effect";
import { Argument, Command, Flag } from "effect/cli";
import type { MadeKey } from "../api/KeysApi.ts";
import { graceSecondsMax, KeyName } from "../domain/ApiKey.ts";
import { RateLimitText } from "../domain/RateLimit.ts";
import { allScopes } from "../domain/Scope.ts";
import { timeFlag } from "./Filters.ts";
import { Machine } from "./Machine.ts";
import { showAll, showOne } from "./Results.ts";
import { withClient } from "./Settings.ts";
import { keysView, madeKeyView } from "./Views.ts";

const keyId = Argument.String("key_id").pipe(
  Argument.withDescription("The key's id, from orders keys list"),
);

const showMade = Effect.fnUntraced(function* (made: MadeKey) {
  const { tell } = yield* Machine;
  yield* showOne(madeKeyView(yield* DateTime.now), made);
  yield* tell("Keep the key: it is shown this once.\n");
});

const list = Command.make("list", {}, () =>
  withClient(({ keys }) =>
    Effect.gen(function* () {
      const listed = yield* keys.list();
      const view = keysView(yield* DateTime.now);
      yield* showAll(view, Stream.fromIterable(listed));
    }),
  ),
).pipe(Command.withDescription("List keys; none is shown in full"));

const create = Command.make(
  "create",
  {
    name: Argument.String("name").pipe(
      Argument.withSchema(KeyName),
      Argument.withDescription("Whose it is; stands as actor for what it does"),
    ),
    scopes: Flag.Literals("scope", allScopes).pipe(
      Flag.withAlias("s"),
      Flag.withDescription("What it may do; repeat it for several"),
      Flag.between(1, allScopes.length),
    ),
    expiresAt: timeFlag("expires-at", "From then on it is refused"),
    rateLimit: Flag.String("rate-limit").pipe(
      Flag.withSchema(RateLimitText),
      Flag.withMetavar("limit"),
      Flag.withDescription("Its own limit of requests, such as 600/minute"),
      Flag.optional,
    ),
  },
  ({ expiresAt, name, rateLimit, scopes }) =>
    withClient(({ keys }) =>
      Effect.flatMap(
        keys.make({
          payload: {
            name,
            scopes: [...new Set(scopes)],
            ...(Option.isSome(expiresAt) && { expires_at: expiresAt.value }),
            ...(Option.isSome(rateLimit) && { rate_limit: rateLimit.value }),
          },
        }),
        showMade,
      ),
    ),
).pipe(
  Command.withDescription("Make a key; it is shown once"),
  Command.withExamples([
    {
      command:
        "orders keys create shop --scope orders:place --scope orders:read",
    },
  ]),
);

const revoke = Command.make("revoke", { keyId }, (input) =>
  withClient(({ keys }) =>
    Effect.gen(function* () {
      const { tell } = yield* Machine;
      yield* keys.revoke({ params: { key_id: input.keyId } });
      yield* tell("Revoked: it is refused everywhere within 10 seconds.\n");
    }),
  ),
).pipe(Command.withDescription("Revoke a key"));

const roll = Command.make(
  "roll",
  {
    keyId,
    grace: Flag.Int("grace").pipe(
      Flag.filter(
        (grace) => grace >= 0 && grace <= graceSecondsMax,
        () => `must be 0 to ${graceSecondsMax} seconds`,
      ),
      Flag.withMetavar("seconds"),
      Flag.withDescription(
        "For so long the old key is good, too; 0 unless said",
      ),
      Flag.withDefault(0),
    ),
  },
  (input) =>
    withClient(({ keys }) =>
      Effect.flatMap(
        keys.roll({
          params: { key_id: input.keyId },
          payload: { grace: input.grace },
        }),
        showMade,
      ),
    ),
).pipe(
  Command.withDescription("Put a new key in the place of one"),
  Command.withExamples([
    {
      command: "orders keys roll 0123456789abcdef --grace 3600",
      description: "The old one is good for an hour more",
    },
  ]),
);

export const keys = Command.make("keys").pipe(
  Command.withDescription("Make, list, roll and revoke keys"),
  Command.withSubcommands([list, create, revoke, roll]),
);
