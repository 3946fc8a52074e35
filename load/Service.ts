/** The service that the tools in this folder talk to. */
import { Config, Effect } from "effect";
import { CliError, Flag } from "effect/cli";
import { OrderClient } from "../src/client/OrderClient.ts";

/** Where it is, without a slash at the end. */
export const url = Flag.String("url").pipe(
  Flag.withDescription("The service (http://127.0.0.1:8000)"),
  Flag.withDefault("http://127.0.0.1:8000"),
  Flag.filter(
    (given) => URL.canParse(given) && /^https?:/.test(given),
    () => "a URL such as http://127.0.0.1:8000",
  ),
  Flag.map((given) => given.replace(/\/+$/, "")),
);

/** What is shown to it, where access is closed. */
export const key = Flag.String("key").pipe(
  Flag.withDescription("A key, where the service needs one (or ORDERS_KEY)"),
  Flag.withFallbackConfig(Config.String("ORDERS_KEY")),
  Flag.map((key): string | undefined => key),
  Flag.withDefault(undefined),
);

const refuse = (message: string) =>
  Effect.fail(new CliError.UserError({ cause: message }));

/** Goes on when the service is ready, else says what is in the way. */
export const ready = Effect.fn("Service.ready")(function* (url: string) {
  const { health } = yield* OrderClient;
  yield* health.ready().pipe(
    Effect.catchTags({
      NotReady: ({ detail }) =>
        refuse(`The service at ${url} is not ready: ${detail}.`),
      HttpClientError: ({ reason }) =>
        reason._tag === "TransportError"
          ? refuse(
              `No service answers at ${url}${because(reason.cause)}. Start one with "npm start", or name another with --url.`,
            )
          : refuse(`What answers at ${url} is not the order service.`),
      SchemaError: () =>
        refuse(`What answers at ${url} is not the order service.`),
    }),
  );
});

const because = (cause: unknown) =>
  cause instanceof Error && "code" in cause ? ` (${cause.code})` : "";
