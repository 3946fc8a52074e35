/** The processes of the bench: each contender, and the load, has its own. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../test/support/postgresServer.ts";
import {
  commandOf,
  type RuntimeName,
  until,
} from "../../test/support/serviceProcess.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

export type Environment = Readonly<Record<string, string>>;

export interface Server {
  readonly url: string;
  readonly pid: number;
  /** Milliseconds from its start to its first ready answer. */
  readonly startMillis: number;
  readonly stop: () => Promise<void>;
}

export interface ServerOptions {
  /** The program, from the root of the repository. */
  readonly program: string;
  /** The service's, started as npm starts it; others run on plain Node. */
  readonly runtime?: RuntimeName | undefined;
  /** What answers 2xx once the server can be used. */
  readonly readyPath: string;
  /** Where its output goes: to a file, as it would be run. */
  readonly directory: string;
  readonly env: Environment;
}

/** Starts a program that listens on `PORT`, and waits until it is ready. */
export const startServer = async ({
  directory,
  env,
  program,
  readyPath,
  runtime,
}: ServerOptions): Promise<Server> => {
  const port = await freePort();
  const logFile = join(directory, `${port}.log`);
  const log = openSync(logFile, "a");
  const started = performance.now();
  const [command, flags] =
    runtime === undefined ? [process.execPath, []] : commandOf(runtime, env);
  const child = spawn(command, [...flags, program], {
    cwd: root,
    env: {
      PATH: process.env.PATH ?? "",
      // Deno keeps there what it has compiled.
      HOME: process.env.HOME ?? "",
      PORT: String(port),
      ...env,
    },
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  const ended = once(child, "exit");
  const gone = ended.then(([code, signal]) => {
    throw new Error(
      `${program} ended with ${code ?? signal}: ${readFileSync(logFile, "utf8").slice(-2000)}`,
    );
  });
  gone.catch(() => {});
  const url = `http://127.0.0.1:${port}`;
  const ready = until(`${program} is ready`, async () => {
    const response = await fetch(`${url}${readyPath}`);
    await response.arrayBuffer();
    return response.ok;
  });
  try {
    await Promise.race([gone, ready]);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  return {
    url,
    pid: child.pid as number,
    startMillis: performance.now() - started,
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
};

/** Runs a program of this folder to its end, and gives the one message it sends. */
export const ask = async <Answer>(
  program: string,
  options: unknown,
): Promise<Answer> => {
  const { answer, child } = talk<Answer>(program, options);
  const given = await answer();
  if (child.exitCode === null) await once(child, "exit");
  return given;
};

/** Runs a program of this folder that sends more than one message. */
export const talk = <Message>(
  program: string,
  options: unknown,
): {
  readonly child: ChildProcess;
  /** Its next message. */
  readonly answer: () => Promise<Message>;
} => {
  const child = fork(join(import.meta.dirname, program), [
    JSON.stringify(options),
  ]);
  return {
    child,
    answer: async () => {
      const abandoned = new AbortController();
      const { signal } = abandoned;
      try {
        const [message] = await Promise.race([
          once(child, "message", { signal }),
          once(child, "exit", { signal }).then(([code]) => {
            throw new Error(`${program} ended with ${code}`);
          }),
        ]);
        return message as Message;
      } finally {
        abandoned.abort();
      }
    },
  };
};

/** What `ask` and `talk` gave to the program that runs now. */
export const given = <Options>(): Options =>
  JSON.parse(process.argv[2] ?? "null") as Options;

/** Gives a message to the program that asked. */
export const tell = (message: unknown): void => {
  process.send?.(message);
};
