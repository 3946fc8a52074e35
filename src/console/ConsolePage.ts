/**
 * The operators' web page, at `/`, and its files at `/console/`. It asks the
 * public API and nothing else, by the paths of the contract.
 */
import { Effect } from "effect";
import { HttpRouter, HttpServerResponse } from "effect/http";
import { Api } from "../api/Api.ts";

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

/** What the page may ask for, by the contract's names: `orders.list` ... */
const contract = (): string => {
  const endpoints = Object.values(Api.groups).flatMap((group) =>
    Object.values(group.endpoints).map(({ identifier, method, path }) => [
      `${group.identifier}.${identifier}`,
      { method, path },
    ]),
  );
  return `export const endpoints = ${JSON.stringify(Object.fromEntries(endpoints), null, 2)};\n`;
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
