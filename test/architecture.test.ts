/**
 * The rooms, which are the folders of `src`, kept apart: imports only go down,
 * and only the edge knows what it runs on.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, describe, it } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));

interface Source {
  /** From the root of the repository, as in `src/http/Edge.ts`. */
  readonly path: string;
  readonly text: string;
}

const sources = (folder: string, ext = ".ts"): ReadonlyArray<Source> =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ext))
    .map((name) => join(folder, name))
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));

/** The code without its comments and plain strings, line for line. */
const codeOf = (text: string): string =>
  text.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|\/\*[\s\S]*?\*\/|(?<![:\\])\/\/[^\n]*/g,
    (match, string) =>
      string === undefined ? match.replace(/[^\n]/g, " ") : '""',
  );

/** What a file imports: packages as named, files from the repository's root. */
const importsOf = ({ path, text }: Source): ReadonlyArray<string> => {
  const specifiers = text.matchAll(
    /^\s*import\s+(?:[^;"'()]*?\bfrom\s*)?["']([^"']+)["']|^\s*export\s+(?:type\s+)?(?:\*[^;"']*?|\{[^}]*\}\s*)\bfrom\s*["']([^"']+)["']|\b(?:import|require)\s*\(\s*["']([^"']+)["']/gm,
  );
  return Array.from(specifiers, ([, from, again, dynamic]) => {
    const specifier = from ?? again ?? dynamic ?? "";
    return specifier.startsWith(".")
      ? join(dirname(path), specifier)
      : specifier;
  });
};

/** The room of a file: its folder in `src`, or its name at the top. */
const roomOf = (path: string): string => {
  const [top, ...rest] = relative("src", path).split("/");
  if (top === "..") return rest[0] ?? path;
  return (top ?? "").replace(/\.ts$/, "");
};

/** What each room may import besides itself. */
const below: Readonly<Record<string, ReadonlyArray<string>>> = {
  main: ["App", "platform"],
  ordersCommand: ["platform"],
  FetchService: ["App", "http", "processor", "platform"],
  App: [
    ...[
      "AppConfig",
      "SettingCheck",
      "platform",
      "instances",
      "operations",
      "http",
      "events",
    ],
    "console",
    ...["access", "orders", "processor", "persistence", "api", "domain"],
  ],
  AppConfig: ["domain"],
  SettingCheck: ["AppConfig", "platform", "domain"],
  instances: ["platform"],
  platform: ["cli", "persistence", "domain"],
  operations: ["orders", "processor", "persistence", "domain"],
  http: [
    ...["events", "access", "orders", "processor", "persistence", "api"],
    "domain",
  ],
  console: ["api", "domain"],
  access: ["processor", "persistence", "domain"],
  events: ["processor", "persistence", "api", "domain"],
  orders: ["processor", "persistence", "domain"],
  processor: ["persistence", "domain"],
  persistence: ["migrations", "domain"],
  api: ["domain"],
  domain: [],
  client: ["api", "domain"],
  cli: ["client", "api", "domain"],
  migrations: [],
};

const isEdge = (path: string) =>
  /^src\/(platform\/|(main|ordersCommand)\.ts$)/.test(path);

/** Packages that run anywhere; all others are for the edge. */
const isPortable = (specifier: string, path: string) =>
  /^effect(\/|$)/.test(specifier) ||
  (specifier === "lossless-json" && path.startsWith("src/http/"));

/** What the core gets from Effect, or from the runtime through a Layer. */
const reachesOut = [
  /\bprocess\s*\??\.\s*\w/,
  /\bDeno\b/,
  /\bBun\b/,
  /\b(?:Buffer|__dirname|__filename|setImmediate|setTimeout|setInterval|queueMicrotask)\b/,
  /\bimport\.meta\b/,
  /\bDate\.now\b/,
  /\bnew\s+Date\s*(?:\(\s*\)|[^\s(\w])/,
  /\bperformance\s*\.\s*now\b/,
  /\bconsole\s*\.\s*\w/,
];

/** What a file says that it must not, as `path:line code`. */
const reachesOutIn = ({ path, text }: Source): ReadonlyArray<string> => {
  const code = codeOf(text);
  // Effect's own console may be called so where it is bound.
  const isBound = /\(console\)\s*=>/.test(code);
  return code
    .split("\n")
    .flatMap((line, index) =>
      reachesOut.some(
        (pattern) =>
          pattern.test(line) && !(isBound && /\bconsole\s*\./.test(line)),
      )
        ? [`${path}:${index + 1} ${line.trim()}`]
        : [],
    );
};

const up = (source: Source): ReadonlyArray<string> => {
  const room = roomOf(source.path);
  return importsOf(source)
    .filter((specifier) => /^(src|migrations)\//.test(specifier))
    .map(roomOf)
    .filter((other) => other !== room && !below[room]?.includes(other))
    .map((other) => `${source.path} imports ${other}`);
};

const foreign = (source: Source): ReadonlyArray<string> =>
  isEdge(source.path)
    ? []
    : importsOf(source)
        .filter((specifier) => !/^(src|migrations)\//.test(specifier))
        .filter((specifier) => !isPortable(specifier, source.path))
        .map((specifier) => `${source.path} imports ${specifier}`);

describe("the rooms", () => {
  const all = [...sources("src"), ...sources("migrations")];

  it("are those of this test", () => {
    const rooms = new Set(all.map(({ path }) => roomOf(path)));
    for (const room of rooms) assert.property(below, room);
    for (const room of Object.keys(below)) {
      assert.isTrue(rooms.has(room), `there is no ${room}`);
    }
  });

  it("import only downwards", () => {
    assert.deepStrictEqual(all.flatMap(up), []);
  });

  it("import no runtime, but for the edge", () => {
    assert.deepStrictEqual(all.flatMap(foreign), []);
  });

  it("reach out through Effect alone, but for the edge", () => {
    assert.deepStrictEqual(
      all.filter(({ path }) => !isEdge(path)).flatMap(reachesOutIn),
      [],
    );
  });
});

/** What the console's page is made of, besides its own modules. */
const libraries: ReadonlySet<string> = new Set([
  ...["preact", "preact/hooks", "htm/preact", "uplot"],
]);

/** What a module of the page imports that no browser would find, or may not. */
const foreignToPage = (source: Source): ReadonlyArray<string> =>
  importsOf(source)
    .filter((specifier) => !libraries.has(specifier))
    .filter((specifier) => !/^src\/console\/page\/\w+\.js$/.test(specifier))
    .map((specifier) => `${source.path} imports ${specifier}`);

describe("the console's page", () => {
  it("imports its own modules and its libraries, and nothing of the service", () => {
    const modules = sources("src/console/page", ".js");
    assert.isAbove(modules.length, 10);
    assert.deepStrictEqual(modules.flatMap(foreignToPage), []);
  });

  it("makes no markup of text", () => {
    assert.deepStrictEqual(
      sources("src/console/page", ".js")
        .filter(({ text }) =>
          /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|javascript:/i.test(
            text,
          ),
        )
        .map(({ path }) => path),
      [],
    );
  });

  it.each([
    'import { Api } from "../../api/Api.ts";',
    'import { a } from "effect";',
    'const a = await import("../ConsolePage.ts");',
    'import { a } from "./api.ts";',
    'import { a } from "../../client/a.js";',
  ])("would be seen to import what it may not: %s", (text) => {
    assert.isNotEmpty(foreignToPage({ path: "src/console/page/a.js", text }));
  });
});

describe("this test", () => {
  const found = (path: string, text: string) => {
    const source = { path, text };
    const reached = isEdge(path) ? [] : reachesOutIn(source);
    return [...up(source), ...foreign(source), ...reached].length;
  };

  it.each([
    ["src/domain/Order.ts", 'import type { A } from "../api/Api.ts";'],
    ["src/api/Api.ts", 'import {\n  type A,\n  B,\n} from "../http/Edge.ts";'],
    ["src/orders/Orders.ts", 'export * from "../http/Edge.ts";'],
    ["src/http/Edge.ts", 'import * as A from "../platform/node.ts";'],
    ["src/http/Edge.ts", 'const A = await import("../App.ts");'],
    ["src/orders/Orders.ts", 'export type { A } from "../http/Edge.ts";'],
    ["src/orders/Orders.ts", 'import "../AppConfig.ts";'],
    ["src/processor/A.ts", 'import a from "../../migrations/0001_orders.ts";'],
    ["src/client/A.ts", 'import { O } from "../orders/Orders.ts";'],
    ["src/client/A.ts", 'import { O } from "../cli/Orders.ts";'],
    ["src/cli/A.ts", 'import { O } from "../orders/Orders.ts";'],
    ["src/cli/A.ts", 'import { open } from "node:fs/promises";'],
    ["src/App.ts", 'import { readFile } from "node:fs/promises";'],
    ["src/http/A.ts", 'import { A } from "@effect/platform-node";'],
    ["src/persistence/A.ts", 'import { P } from "@effect/sql-pg";'],
    ["src/persistence/A.ts", 'import { P } from "@electric-sql/pglite";'],
    ["src/domain/A.ts", 'import { parse } from "lossless-json";'],
    ["src/http/A.ts", "const a = process.env.A;"],
    ["src/http/A.ts", "const a = Date.now();"],
    ["src/http/A.ts", "const a = new Date();"],
    ["src/http/A.ts", "const a = new Date;"],
    ["src/http/A.ts", "console.log(1);"],
    ["src/http/A.ts", "setTimeout(() => {}, 1);"],
    ["src/http/A.ts", "Deno.exit();"],
    ["src/http/A.ts", 'const a = "//"; console.log(a);'],
  ])("sees what is wrong in %s: %s", (path, text) => {
    assert.isAbove(found(path, text), 0);
  });

  it.each([
    ["src/http/A.ts", 'import { O } from "../orders/Orders.ts";'],
    ["src/platform/A.ts", 'import { A } from "node:http"; process.exit();'],
    ["src/main.ts", 'import { node } from "./platform/node.ts";'],
    ["src/http/A.ts", 'import { parse } from "lossless-json";'],
    ["src/http/A.ts", "// process.env, console.log, Date.now()"],
    ["src/http/A.ts", "/** new Date()\n * Deno and Bun */"],
    ["src/http/A.ts", 'const a = "process.env and console.log";'],
    ["src/http/A.ts", "const a = new Date(0);"],
    ["src/http/A.ts", 'export const a = "src/platform/node.ts";'],
    ["src/http/A.ts", "const processor = process(order);"],
  ])("sees nothing wrong in %s: %s", (path, text) => {
    assert.strictEqual(found(path, text), 0);
  });
});
