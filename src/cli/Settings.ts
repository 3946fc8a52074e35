/** The flags that every command has, and the client that they lead to. */
import { Config, Effect, Option, Redacted, Schema } from "effect";
import { Flag, GlobalFlag } from "effect/cli";
import type { OrderClient, OrderClientOptions } from "../client/OrderClient.ts";

export const formats = ["table", "json", "ndjson", "csv"] as const;
export type Format = (typeof formats)[number];

export const urlDefault = "http://localhost:8000";

const urlFault = (text: string): string | undefined => {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return "must be an address such as http://localhost:8000";
  }
  return url.username === "" && url.password === ""
    ? undefined
    : "must hold no user and no password: give a key by ORDERS_KEY";
};

const Address = Schema.String.check(
  Schema.makeFilter<string>((text) => urlFault(text)),
);

/** Where the service is. */
export const Url = GlobalFlag.Setting("url")({
  flag: Flag.String("url").pipe(
    Flag.withDescription(`Where the service is; ORDERS_URL, or ${urlDefault}`),
    Flag.withMetavar("url"),
    Flag.withFallbackConfig(
      Config.NonEmptyString("ORDERS_URL").pipe(Config.withDefault(urlDefault)),
    ),
    Flag.withSchema(Address),
  ),
});

export const Key = GlobalFlag.Setting("key")({
  flag: Flag.Redacted("key").pipe(
    Flag.withDescription(
      "A key of the service. Rather set ORDERS_KEY: others may see a command line",
    ),
    Flag.withMetavar("key"),
    Flag.withFallbackConfig(Config.Redacted("ORDERS_KEY")),
    Flag.optional,
  ),
});

export const Output = GlobalFlag.Setting("output")({
  flag: Flag.Literals("output", formats).pipe(
    Flag.withAlias("o"),
    Flag.withDescription(
      "How results are shown; table on a terminal, else json",
    ),
    Flag.optional,
  ),
});

export const globalFlags = [Url, Key, Output] as const;

export type Client = OrderClient["Service"];

/**
 * Does something with the client. It is loaded only now: help, completions and
 * what is typed wrongly need none of it.
 */
export const withClient = <A, E, R>(
  use: (client: Client) => Effect.Effect<A, E, R>,
  options: Omit<OrderClientOptions, "baseUrl" | "key"> = {
    // Somebody waits: two more tries are enough to tell.
    retry: { times: 2 },
  },
) =>
  Effect.gen(function* () {
    const baseUrl = yield* Url;
    const key = yield* Key;
    const { OrderClient } = yield* Effect.promise(
      () => import("../client/OrderClient.ts"),
    );
    return yield* Effect.flatMap(OrderClient, use).pipe(
      Effect.provide(
        OrderClient.layerFetch({
          ...options,
          baseUrl,
          key: Option.getOrUndefined(
            Option.filter(key, (_) => Redacted.value(_) !== ""),
          ),
        }),
      ),
    );
  });
