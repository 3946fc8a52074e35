/**
 * Made by the service from its contract (`../ConsolePage.ts`): the method and
 * path of each endpoint, by its name.
 */
import type { Api } from "../../api/Api.ts";

type Groups = (typeof Api)["groups"];

/** As in `orders.list`. */
export type EndpointName = {
  [G in keyof Groups & string]: `${G}.${keyof Groups[G]["endpoints"] & string}`;
}[keyof Groups & string];

export declare const endpoints: Readonly<
  Record<EndpointName, { readonly method: string; readonly path: string }>
>;
