/**
 * The operators' web page, at `/`, and its files at `/console/`. It asks the
 * public API and nothing else, by the paths of the contract.
 */
import { Effect } from "effect";
import { HttpRouter, HttpServerResponse } from "effect/http";
import { neededBy } from "../api/Access.ts";
import { Api } from "../api/Api.ts";
import { reservedOrderIds } from "../domain/Order.ts";
import { eventTypes } from "../domain/OrderEvent.ts";
import { OrderStatus } from "../domain/OrderStatus.ts";
import { allScopes } from "../domain/Scope.ts";

/** The files of the page by their names; `index.html` is the page. */
export type ConsoleFiles = ReadonlyMap<string, string>;

const contentTypes: Readonly<Record<string, string>> = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  svg: "image/svg+xml",
};

const contentTypeOf = (name: string) =>
  contentTypes[name.slice(name.lastIndexOf(".") + 1)] ?? "text/plain";

/** What the page knows of the service, as a module. */
const contract = (): string => {
  const endpoints = Object.values(Api.groups).flatMap((group) =>
    Object.values(group.endpoints).map((endpoint) => {
      const { identifier, method, path } = endpoint;
      const needed = neededBy(endpoint, group);
      return [`${group.identifier}.${identifier}`, { method, path, needed }];
    }),
  );
  const constants = {
    endpoints: Object.fromEntries(endpoints),
    statuses: OrderStatus.literals,
    eventTypes,
    scopes: allScopes,
    reservedOrderIds: Array.from(reservedOrderIds),
  };
  return Object.entries(constants)
    .map(([name, value]) => `export const ${name} = ${JSON.stringify(value)};`)
    .join("\n");
};

/** Serves the page; `read` gives its files. */
export const layer = (read: () => ConsoleFiles) =>
  HttpRouter.use((router) =>
    Effect.forEach(
      new Map([...read(), ["contract.js", contract()]]),
      ([name, text]) =>
        router.add(
          "GET",
          name === "index.html" ? "/" : `/console/${name}`,
          Effect.sync(() =>
            HttpServerResponse.text(text, { contentType: contentTypeOf(name) }),
          ),
        ),
      { discard: true },
    ),
  );
