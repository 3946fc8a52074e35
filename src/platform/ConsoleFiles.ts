/**
 * The files of the console as they lie on disk: the page's own, and those of its
 * libraries. Nothing is built: browsers read these modules as they are, but that
 * `preact` and its kind are found beside them.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const { resolve } = createRequire(import.meta.url);

/** A file of a package, found from its main file. */
const inPackage = (name: string, path = "."): URL =>
  new URL(path, pathToFileURL(resolve(name)));

const own = new URL("../console/page/", import.meta.url);

/** Libraries by the name under which they are served; each is one module. */
const libraries: Readonly<Record<string, () => URL>> = {
  "preact.js": () => inPackage("preact", "preact.mjs"),
  "preact-hooks.js": () => inPackage("preact/hooks", "hooks.mjs"),
  "htm.js": () => inPackage("htm", "htm.module.js"),
  "htm-preact.js": () => inPackage("htm/preact", "index.module.js"),
  // A script, half as large as its module, and exported as one below.
  "uplot.js": () => inPackage("uplot", "uPlot.iife.min.js"),
  "uplot.css": () => inPackage("uplot", "uPlot.min.css"),
};

/** What modules call the libraries. */
const servedAs: Readonly<Record<string, string>> = {
  preact: "preact.js",
  "preact/hooks": "preact-hooks.js",
  htm: "htm.js",
  "htm/preact": "htm-preact.js",
  uplot: "uplot.js",
};

/**
 * A module that a browser can read: it knows no packages. Maps of sources are
 * not served, so none is named.
 */
const forBrowsers = (text: string): string =>
  text
    .replace(
      /(\bfrom\s*|\bimport\s*\(?\s*)(["'])([a-z/]+)\2/g,
      (found, before: string, quote: string, name: string) =>
        servedAs[name] === undefined
          ? found
          : `${before}${quote}./${servedAs[name]}${quote}`,
    )
    .replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n");

/** Comments that have lines of their own: a third of what is sent without them. */
const withoutComments = (text: string): string =>
  text.replace(/^[ \t]*\/\*[\s\S]*?\*\/[ \t]*\n?/gm, "");

/** The files by their names, read now. */
export const read = (): ReadonlyMap<string, string> => {
  const text = (url: URL) => readFileSync(fileURLToPath(url), "utf8");
  const files = new Map<string, string>();
  for (const name of readdirSync(fileURLToPath(own))) {
    if (/\.(js|css|html|svg)$/.test(name)) {
      files.set(name, forBrowsers(withoutComments(text(new URL(name, own)))));
    }
  }
  for (const [name, where] of Object.entries(libraries)) {
    files.set(name, forBrowsers(text(where())));
  }
  files.set("uplot.js", `${files.get("uplot.js")}\nexport default uPlot;\n`);
  return files;
};
