/** The `orders` command, run as a person or a program runs it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Console, Effect, Stream } from "effect";
import { orders } from "../../src/cli/Orders.ts";
import { machine } from "../../src/platform/NodeMachine.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const entry = join(root, "src/ordersCommand.ts");

export interface Run {
  readonly args: ReadonlyArray<string>;
  readonly env?: Readonly<Record<string, string>>;
  /** What comes by standard input; nothing, if left out. */
  readonly input?: string;
  readonly directory?: string;
}

export interface Ended {
  /** The exit code, or the signal. */
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly ended: Promise<Ended>;
}

/** The word for a shell. */
const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;

const environment = (env: Run["env"] = {}) => ({
  PATH: process.env.PATH ?? "",
  HOME: process.env.HOME ?? "",
  TERM: "xterm-256color",
  ...env,
});

const followed = (child: ChildProcess): Started => {
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text) => {
      texts[name] += text;
    });
  }
  const ended = once(child, "close").then(([code, signal]) => ({
    code: (code ?? signal) as number | string,
    ...texts,
  }));
  return {
    child,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    ended,
  };
};

/** With pipes, as another program would. */
export const start = ({ args, directory = root, env, input }: Run): Started => {
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: directory,
    env: environment(env),
    stdio: ["pipe", "pipe", "pipe"],
  });
  // It may end before it has read all.
  child.stdin?.on("error", () => {});
  child.stdin?.end(input ?? "");
  return followed(child);
};

/** A line of bash in which `orders` is the command; its own process group. */
export const startInShell = (
  line: string,
  { directory = root, env }: Omit<Run, "args">,
): Started => {
  const words = [process.execPath, entry].map(quoted).join(" ");
  return followed(
    spawn("bash", ["-c", `orders() { ${words} "$@"; }\n${line}`], {
      cwd: directory,
      env: environment(env),
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    }),
  );
};

export const run = (given: Run): Promise<Ended> => start(given).ended;

/**
 * The same in this process, without Node's half a second: all but the entry, on
 * Node's files, with standard input, output and environment of its own.
 */
export const runHere = async ({
  args,
  env = {},
  input,
}: Run): Promise<Ended> => {
  const texts = { stdout: "", stderr: "" };
  const code = await Effect.runPromise(
    orders({
      ...machine(),
      args,
      env: (name) => env[name] || undefined,
      stdinIsTerminal: false,
      stdoutIsTerminal: false,
      stderrIsTerminal: false,
      stdin: Stream.succeed(new TextEncoder().encode(input ?? "")),
      write: (text) =>
        Effect.sync(() => {
          texts.stdout +=
            typeof text === "string" ? text : new TextDecoder().decode(text);
        }),
      tell: (text) =>
        Effect.sync(() => {
          texts.stderr += text;
        }),
    }).pipe(
      // What Effect itself prints: completions.
      Effect.provideService(Console.Console, {
        ...globalThis.console,
        log: (text: string) => {
          texts.stdout += `${text}\n`;
        },
      }),
    ),
  );
  return { code, ...texts };
};

/**
 * On a pseudo-terminal, as a person would: all it writes comes as `stdout`. The
 * program `script` makes one; it is in every Debian (bsdutils) and on macOS.
 */
export const startOnTerminal = ({
  args,
  columns = 120,
  directory = root,
  env,
}: Run & { readonly columns?: number }): Started => {
  const words = [process.execPath, entry, ...args];
  const line = `stty cols ${columns} rows 40; exec ${words.map(quoted).join(" ")}`;
  const flags =
    process.platform === "darwin"
      ? ["-q", "/dev/null", "/bin/sh", "-c", line]
      : ["--quiet", "--return", "--command", line, "/dev/null"];
  const child = spawn("script", flags, {
    cwd: directory,
    env: { ...environment(env), SHELL: "/bin/sh" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin?.on("error", () => {});
  return followed(child);
};

/** What a key sends. */
export const ctrlC = "\x03";
