/** What is known about requests, found as the router finds their endpoints. */
import { FindMyWay } from "effect/http";

export interface Route<A> {
  readonly method: string;
  readonly path: string;
  readonly value: A;
}

export const make = <A>(
  routes: Iterable<Route<A>>,
  config: Partial<FindMyWay.RouterConfig>,
) => {
  const table = FindMyWay.make<A>(config);
  for (const { method, path, value } of routes) {
    table.on(method, path as FindMyWay.PathInput, value);
  }
  return (method: string, url: string): A | undefined =>
    (
      table.find(method, url) ??
      (method === "HEAD" ? table.find("GET", url) : undefined)
    )?.handler;
};
