/**
 * Made by the service from its contract (`../ConsolePage.ts`): the method and
 * path of each endpoint, by its name, and which scope it needs.
 */
import type { Schema } from "effect";
import type { HttpApiSchema } from "effect/http-api";
import type { Needed } from "../../api/Access.ts";
import type { Api } from "../../api/Api.ts";
import type { EventType } from "../../domain/OrderEvent.ts";
import type { OrderStatus } from "../../domain/OrderStatus.ts";
import type { Scope } from "../../domain/Scope.ts";

type Groups = (typeof Api)["groups"];

/** As in `orders.list`. */
export type EndpointName = {
  [G in keyof Groups & string]: `${G}.${keyof Groups[G]["endpoints"] & string}`;
}[keyof Groups & string];

type EndpointOf<Name extends EndpointName> =
  Name extends `${infer G extends keyof Groups & string}.${infer E}`
    ? E extends keyof Groups[G]["endpoints"]
      ? Groups[G]["endpoints"][E]
      : never
    : never;

/** The JSON of a schema, whatever it is wrapped in. */
type JsonOf<S> =
  S extends HttpApiSchema.WithHeaders<infer Body, infer _Headers>
    ? JsonOf<Body>
    : S extends Schema.toCodecJson<infer Inner>
      ? Inner["Encoded"]
      : never;

/** What an endpoint answers, as JSON; where it has no body, `undefined`. */
export type Answer<Name extends EndpointName> = Exclude<
  JsonOf<EndpointOf<Name>["~Success"]>,
  void
>;

export declare const endpoints: Readonly<
  Record<
    EndpointName,
    { readonly method: string; readonly path: string; readonly needed: Needed }
  >
>;

export declare const statuses: ReadonlyArray<OrderStatus>;
export declare const eventTypes: ReadonlyArray<EventType>;
export declare const scopes: ReadonlyArray<Scope>;
/** Words that stand in the place of an order's id in a path. */
export declare const reservedOrderIds: ReadonlyArray<string>;
