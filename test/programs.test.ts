/**
 * The tests run in an image that has little besides Node (`Dockerfile`, stage
 * `test`): what they, the service and the chaos suite start has to be there.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, describe, it } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));

/** As they stand where a program is started. */
const allowed = [
  /^process\.execPath$/,
  /^"npm"$/,
  // Of bsdutils, which every Debian has: a terminal for test/cli.
  /^"script"$/,
  // Every Debian has these, too: lines of a shell for test/cli.
  /^"bash"$/,
  /^execFile$/,
  /^"mkfifo"$/,
  // Skipped where it is not installed: test/proxy.
  /^"haproxy"$/,
  // What npm has installed.
  /^join\(root, "node_modules\/[^"]+"\)$/,
  // `commandOf` in test/support/serviceProcess.ts: Node, or npm's Deno.
  /^program$/,
];

/** Starts a file of JavaScript, on Node. */
const startsOnlyNode = "fork";

const imports = /^import (type )?\{([^}]*)\} from "node:child_process";$/gm;
const promises = /^const (\w+) = promisify\((\w+)\);$/gm;

/** What follows a name when it is called: the first argument, to its comma. */
const called = String.raw`\(\s*((?:\w+\([^)]*\)|[^,()])*)`;

/** The programs that a file starts and that are not `allowed`, as written. */
const foreignPrograms = (text: string): ReadonlyArray<string> => {
  const code = text.replace(imports, "").replace(promises, "");
  const programs = (name: string, use: string) =>
    Array.from(
      code.matchAll(new RegExp(`(?<![.\\w])${name}\\b${use}`, "g")),
      ([used, program = used]) => program.trim(),
    );
  const names = Array.from(text.matchAll(imports), ([, type, names = ""]) =>
    type === undefined ? names.split(",").map((name) => name.trim()) : [],
  )
    .flat()
    .filter((name) => /^\w+$/.test(name) && name !== startsOnlyNode);
  const started = [
    // Also where it is only named: something else may call it then.
    ...names.flatMap((name) => programs(name, `(?:${called})?`)),
    ...Array.from(text.matchAll(promises))
      .filter(([, , name = ""]) => names.includes(name))
      .flatMap(([, alias = ""]) => programs(alias, called)),
  ];
  return [
    ...started.filter((program) => !allowed.some((_) => _.test(program))),
    // Reached some other way than by the imports that are read here.
    ...(code.includes("child_process") ? ["child_process"] : []),
  ];
};

/** What the image runs: all but the bench, and this file's own examples. */
const files = ["src", "test", "load"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => path.endsWith(".ts"))
    .filter((path) => !path.startsWith("load/bench/"))
    .filter((path) => path !== "test/programs.test.ts"),
);

describe("programs that the image does not have", () => {
  it("are started by none of the files that it runs", () => {
    const faults = files.flatMap((path) =>
      foreignPrograms(readFileSync(join(root, path), "utf8")).map(
        (program) => `${path} starts ${program}`,
      ),
    );
    assert.deepStrictEqual(faults, []);
  });

  const importing = (names: string, code: string) =>
    `import { ${names} } from "node:child_process";\n${code}\n`;

  it.each([
    ["a name", importing("execFileSync", 'execFileSync("ps", ["-o"]);')],
    ["a name alone", importing("execSync", 'execSync("openssl version");')],
    ["a name on a line of its own", importing("spawn", 'spawn(\n  "git",\n);')],
    ["a variable", importing("spawn", "spawn(tool, []);")],
    ["a promise", importing("exec", 'const e = promisify(exec);\ne("id");')],
    ["another name of it", importing("spawn", "const start = spawn;")],
    ["another import", 'const { exec } = await import("node:child_process");'],
  ])("are seen, started by %s", (_, text) => {
    assert.isAbove(foreignPrograms(text).length, 0);
  });

  it.each([
    ["Node", importing("spawn", "spawn(process.execPath, [script]);")],
    ["npm", importing("execFile", 'const r = promisify(execFile);\nr("npm");')],
    [
      "a package's",
      importing("spawn", 'spawn(join(root, "node_modules/.bin/tsc"), []);'),
    ],
    ["a file for Node", importing("fork", "fork(process.argv[1], []);")],
    ["a type", importing("type ChildProcess", "let a: ChildProcess;")],
    ["another's spawn", 'const spawn = () => {};\nspawn("ps");'],
  ])("are not what is started by %s", (_, text) => {
    assert.deepStrictEqual(foreignPrograms(text), []);
  });
});
