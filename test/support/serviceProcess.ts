/**
 * The service as a process of its own, for what only processes can show: real
 * HTTP, real signals, real deaths.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

export interface ServiceProcess {
  readonly url: string;
  readonly child: ChildProcess;
  /** All it has written so far. */
  readonly output: () => string;
  /** Sends a signal and waits for the end; the exit code, or the signal. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<number | string>;
  /** Waits for the end. */
  readonly ended: Promise<number | string>;
}

/** Asks until `answer` gives something; fails after `seconds`. */
export const until = async <A>(
  what: string,
  answer: () => Promise<A | undefined | false>,
  seconds = 30,
): Promise<A> => {
  const deadline = Date.now() + seconds * 1000;
  while (true) {
    const given = await answer().catch(() => undefined);
    if (given !== undefined && given !== false) return given;
    if (Date.now() > deadline) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

type Environment = Readonly<Record<string, string>>;

const { scripts } = JSON.parse(
  readFileSync(join(root, "package.json"), "utf8"),
) as {
  readonly scripts: { readonly start: string; readonly "start:deno": string };
};

/** What an npm script gives the runtime, as the shell would read it. */
const flagsOf = (script: string, env: Environment): Array<string> =>
  script
    .replace(
      /\$\{(\w+):-([^}]*)\}/g,
      (_, name: string, fallback: string) => env[name] ?? fallback,
    )
    .split(" ")
    .filter((word) => word.startsWith("--"));

export const runtimes = ["node", "deno"] as const;
export type RuntimeName = (typeof runtimes)[number];

export interface SpawnOptions {
  /** On what it runs; Node, unless said otherwise. */
  readonly runtime?: RuntimeName;
  /** What it runs, from the root of the checkout; `src/main.ts` by default. */
  readonly main?: string;
  /** The words on its command line. */
  readonly args?: ReadonlyArray<string>;
  /** Where it runs; the root of the checkout by default. */
  readonly directory?: string;
}

/** Starts a runtime as its npm script does: with the same permissions, too. */
export const commandOf = (
  runtime: RuntimeName,
  env: Environment = {},
): readonly [program: string, flags: Array<string>] =>
  runtime === "node"
    ? [process.execPath, flagsOf(scripts.start, env)]
    : [
        // The program itself: what `.bin` has may be one that starts it.
        join(root, "node_modules/deno/deno"),
        [
          "run",
          "--no-prompt",
          `--config=${join(root, "deno.json")}`,
          ...flagsOf(scripts["start:deno"], env),
          // The script runs where the packages are; a test need not.
          `--allow-read=${root},${realpathSync(join(root, "node_modules"))}`,
        ],
      ];

/** A start takes a second or two; many at once on a busy machine, longer. */
const startSeconds = 55;

/** Starts the service without waiting for it to listen. */
export const spawnService = (
  env: Environment,
  {
    args = [],
    directory = root,
    main = "src/main.ts",
    runtime = "node",
  }: SpawnOptions = {},
): {
  child: ChildProcess;
  output: () => string;
  ended: Promise<number | string>;
} => {
  const [program, flags] = commandOf(runtime, env);
  const child = spawn(program, [...flags, join(root, main), ...args], {
    cwd: directory,
    env: {
      PATH: process.env.PATH ?? "",
      HOME: process.env.HOME ?? "",
      PORT: "0",
      LOG_FORMAT: "json",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    output += chunk;
  });
  const ended = once(child, "exit").then(
    ([code, signal]) => (code ?? signal) as number | string,
  );
  return { child, output: () => output, ended };
};

/** Starts the service and waits until it listens, and is ready if asked to. */
export const startService = async (
  env: Environment,
  waitFor: "listening" | "ready" = "ready",
  options: SpawnOptions = {},
): Promise<ServiceProcess> => {
  const { child, ended, output } = spawnService(env, options);
  const gone = ended.then((exit) => {
    throw new Error(`the service ended with ${exit}: ${output()}`);
  });
  gone.catch(() => {});
  const started = async () => {
    const url = await until(
      "listening",
      async () => /listening on (http:[^\s"]+)["\s]/.exec(output())?.[1],
      startSeconds,
    );
    if (waitFor === "ready") {
      await until(
        "ready",
        async () => (await fetch(`${url}/health/ready`)).ok,
        startSeconds,
      );
    }
    return url;
  };
  const url = await Promise.race([gone, started()]).catch((error) => {
    child.kill("SIGKILL");
    throw error;
  });
  return {
    url,
    child,
    output,
    ended,
    stop: (signal = "SIGTERM") => {
      child.kill(signal);
      return ended;
    },
  };
};
