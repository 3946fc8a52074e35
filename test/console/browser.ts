/**
 * A Chromium for the tests: the one `CHROMIUM_PATH` names, else the machine's,
 * else the one in the npm package `@sparticuz/chromium`, which is for Linux on
 * x64 and brings what it needs of other libraries and fonts.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";

const usual = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

const packageDirectory = join(
  dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium")),
  "..",
);

const archives = ["chromium.br", "fonts.tar.br", "al2023.tar.br"];

const hasPackage = process.platform === "linux" && process.arch === "x64";

const ofMachine = (): string | undefined => {
  const given = process.env.CHROMIUM_PATH;
  if (given !== undefined && given !== "") return given;
  return usual.find((path) => existsSync(path));
};

/** Why there is no browser here, if there is none: the tests are left out then. */
export const missing: string | undefined =
  ofMachine() !== undefined || hasPackage
    ? undefined
    : `the console is not tested in a browser: there is no Chromium in an npm package for ${process.platform} on ${process.arch}; install one, or name it with CHROMIUM_PATH`;

const fontsConf = (directory: string) => `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${join(directory, "fonts")}</dir>
  <cachedir>${join(directory, "fonts-cache")}</cachedir>
</fontconfig>
`;

/**
 * The package's Chromium, unpacked once (200 MB, two seconds) beside the other
 * packages, so that it goes when they go. Several processes may do so at once:
 * what one has made whole is moved to its place, and the others take that.
 */
const unpacked = async (): Promise<string> => {
  const version = createRequire(import.meta.url)(
    join(packageDirectory, "package.json"),
  ).version;
  const cache = fileURLToPath(
    new URL("../../node_modules/.cache/", import.meta.url),
  );
  const directory = join(cache, `chromium-${version}`);
  if (existsSync(directory)) return directory;
  await mkdir(cache, { recursive: true });
  const making = await mkdtemp(join(cache, "chromium-making-"));
  // It unpacks into the folder for temporary files, which is told by TMPDIR.
  const script = `
    import { inflate } from "@sparticuz/chromium";
    await Promise.all(${JSON.stringify(archives.map((name) => join(packageDirectory, "bin", name)))}.map((file) => inflate(file)));`;
  try {
    const inflating = spawn(
      process.execPath,
      ["--input-type=module", "--eval", script],
      {
        cwd: packageDirectory,
        env: { ...process.env, TMPDIR: making },
        stdio: "inherit",
      },
    );
    const [code] = await once(inflating, "exit");
    if (code !== 0) throw new Error(`Chromium was not unpacked: ${code}`);
    await writeFile(join(making, "fonts.conf"), fontsConf(directory));
    await rename(making, directory).catch((error: unknown) => {
      if (!existsSync(directory)) throw error;
    });
  } finally {
    await rm(making, { recursive: true, force: true });
  }
  return directory;
};

/** What a browser is started with. */
const found = async (): Promise<{
  readonly executablePath: string;
  readonly env: Readonly<Record<string, string>>;
}> => {
  const env = { PATH: process.env.PATH ?? "", HOME: tmpdir() };
  const executablePath = ofMachine();
  if (executablePath !== undefined) return { executablePath, env };
  const directory = await unpacked();
  return {
    executablePath: join(directory, "chromium"),
    env: {
      ...env,
      LD_LIBRARY_PATH: join(directory, "al2023", "lib"),
      FONTCONFIG_FILE: join(directory, "fonts.conf"),
    },
  };
};

/** Starts a browser; whoever starts it closes it. */
export const startBrowser = async (): Promise<Browser> => {
  if (missing !== undefined) throw new Error(missing);
  const { env, executablePath } = await found();
  return chromium
    .launch({
      executablePath,
      env,
      // Containers have no user namespaces, and root has no sandbox; what is
      // shown are pages of our own.
      chromiumSandbox: false,
      args: ["--disable-gpu", "--disable-dev-shm-usage"],
    })
    .catch((error: Error) => {
      throw new Error(
        `${basename(executablePath)} does not start (${executablePath}): install Chromium, or name one with CHROMIUM_PATH. ${error.message}`,
      );
    });
};
