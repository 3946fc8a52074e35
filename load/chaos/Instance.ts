/**
 * One instance of the service, as a process: started and stopped any number of
 * times on the same port, with a way of its own to the database.
 */
import { readFile } from "node:fs/promises";
import { freePort } from "../../test/support/postgresServer.ts";
import { spawnService, until } from "../../test/support/serviceProcess.ts";
import * as PgProxy from "./PgProxy.ts";

export interface InstanceOptions {
  readonly name: string;
  /** The database, with the user that this instance is to be. */
  readonly databaseUrl: URL;
  /** Whether it reaches its database through its `PgProxy`. */
  readonly isProxied: boolean;
  /** Settings of the service. */
  readonly settings: Readonly<Record<string, string>>;
}

export interface Instance {
  readonly name: string;
  readonly url: string;
  readonly proxy: PgProxy.PgProxy;
  /** Starts it; the time at which it answered, in milliseconds. */
  readonly start: () => Promise<number>;
  /** Waits until it is ready: it owns partitions, and its database answers. */
  readonly untilReady: () => Promise<unknown>;
  /** Sends it a signal, without waiting for anything. */
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Ends it by a signal; its exit code, or the signal. */
  readonly stop: (signal: NodeJS.Signals) => Promise<number | string>;
  /** Ends that nobody asked for, with its last words. */
  readonly deaths: ReadonlyArray<string>;
  /** All that it wrote. */
  readonly output: () => string;
  /** Its resident memory in MiB, as it was seen, with the time. */
  readonly memory: ReadonlyArray<{ readonly at: number; readonly mib: number }>;
  readonly close: () => Promise<void>;
}

/** How often its memory is looked at. */
const memoryIntervalMillis = 200;

/** How long it may take to be ready: on a busy machine, partitions come late. */
const readyMaxSeconds = 60;

const pageSize = 4096;

type Process = ReturnType<typeof spawnService>;

export const open = async (options: InstanceOptions): Promise<Instance> => {
  const { name, settings } = options;
  const databaseUrl = new URL(options.databaseUrl);
  const proxy = await PgProxy.open(Number(databaseUrl.port));
  if (options.isProxied) databaseUrl.port = String(proxy.port);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const processes: Array<Process> = [];
  const asked = new Set<Process>();
  const deaths: Array<string> = [];
  const memory: Array<{ at: number; mib: number }> = [];

  const current = () => {
    const process = processes.at(-1);
    if (process === undefined) throw new Error(`${name} was not started`);
    return process;
  };

  const start = async () => {
    const process = spawnService({
      PORT: String(port),
      DATABASE_URL: databaseUrl.toString(),
      LOG_LEVEL: "Warn",
      ...settings,
    });
    processes.push(process);
    void process.ended.then((exit) => {
      if (asked.has(process)) return;
      deaths.push(
        `${name} ended with ${exit}: ${process.output().slice(-2000)}`,
      );
    });
    await until(
      `${name} answers`,
      async () =>
        process.child.exitCode !== null ||
        (await fetch(`${url}/health/live`)).ok,
    );
    return Date.now();
  };

  const stop = (signal: NodeJS.Signals) => {
    const process = current();
    asked.add(process);
    process.child.kill(signal);
    return process.ended;
  };

  const look = setInterval(() => {
    const pid = processes.at(-1)?.child.pid;
    if (pid === undefined) return;
    readFile(`/proc/${pid}/statm`, "utf8").then(
      (statm) => {
        const pages = Number(statm.split(" ")[1]);
        if (pages === 0) return;
        memory.push({ at: Date.now(), mib: (pages * pageSize) / 2 ** 20 });
      },
      // It has ended, or this is no Linux.
      () => {},
    );
  }, memoryIntervalMillis);

  return {
    name,
    url,
    proxy,
    start,
    untilReady: () =>
      until(
        `${name} is ready`,
        async () => (await fetch(`${url}/health/ready`)).ok,
        readyMaxSeconds,
      ),
    signal: (signal) => {
      current().child.kill(signal);
    },
    stop,
    deaths,
    output: () => processes.map((process) => process.output()).join("\n"),
    memory,
    close: async () => {
      clearInterval(look);
      if (processes.length > 0) {
        // A frozen process has to wake up to be gone.
        current().child.kill("SIGCONT");
        await stop("SIGKILL");
      }
      await proxy.close();
    },
  };
};
