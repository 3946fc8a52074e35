/**
 * What a scenario plays on: the service as a process on a database of its own,
 * the receiver, the load, and the means to do harm to them.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { freePort } from "../../test/support/postgresServer.ts";
import { spawnService, until } from "../../test/support/serviceProcess.ts";
import * as Audit from "./Audit.ts";
import type * as Load from "./Load.ts";
import * as PgProxy from "./PgProxy.ts";
import type { Postgres } from "./Postgres.ts";
import * as Receiver from "./Receiver.ts";
import type { SeededRandom } from "./SeededRandom.ts";

export interface StageOptions {
  readonly name: string;
  readonly postgres: Postgres;
  readonly random: SeededRandom;
  /** The short form: less of everything. */
  readonly isShort: boolean;
  /** Whether the service reaches its database through a `PgProxy`. */
  readonly isProxied: boolean;
  /** Settings of the service. */
  readonly settings: Readonly<Record<string, string>>;
  readonly say: (line: string) => void;
}

export interface Stage extends StageOptions {
  readonly database: string;
  readonly url: string;
  readonly receiver: Receiver.Receiver;
  readonly proxy: PgProxy.PgProxy;
  /** All load on the service; the first is the scenario's own. */
  readonly loads: Array<Load.Load>;
  /** Whether orders are marked from now on, as the scenario marks them. */
  isMarking: boolean;
  /** Starts the service; the time at which it answered, in milliseconds. */
  readonly startService: () => Promise<number>;
  /** Sends the service a signal, without waiting for anything. */
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Ends the service by a signal; its exit code, or the signal. */
  readonly stopService: (signal: NodeJS.Signals) => Promise<number | string>;
  /** Writes down that a fault is done. */
  readonly fault: (what: string) => void;
  /** Writes down that a fault is over: from here on recovery is measured. */
  readonly faultOver: (at?: number) => void;
  /** When each fault was done, in milliseconds. */
  readonly faults: ReadonlyArray<number>;
  readonly faultsOver: ReadonlyArray<number>;
  /** The longer or the shorter of two amounts. */
  readonly amount: (full: number, short: number) => number;
  /** Waits between `min` and `max` seconds, as the seed says. */
  readonly pause: (min: number, max: number) => Promise<void>;
  /** Ends of the service that nobody asked for, with its last words. */
  readonly deaths: ReadonlyArray<string>;
  /** All that the service wrote. */
  readonly output: () => string;
  /** Resident memory of the service in MiB, as it was seen, with the time. */
  readonly memory: ReadonlyArray<{ readonly at: number; readonly mib: number }>;
  readonly close: () => Promise<void>;
}

/** How often the service's memory is looked at. */
const memoryIntervalMillis = 200;

const pageSize = 4096;

export const open = async (options: StageOptions): Promise<Stage> => {
  const { isShort, name, postgres, random } = options;
  const database = `chaos_${name.replaceAll("-", "_")}`;
  await postgres.ask("postgres", async (client) => {
    await client.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${database}`);
  });
  const receiver = await Receiver.open();
  const proxy = await PgProxy.open(postgres.port);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const databaseUrl = new URL(`${postgres.url}/${database}`);
  if (options.isProxied) databaseUrl.port = String(proxy.port);

  type Service = ReturnType<typeof spawnService>;
  const services: Array<Service> = [];
  const deaths: Array<string> = [];
  const faultsOver: Array<number> = [];
  const memory: Array<{ at: number; mib: number }> = [];
  const asked = new Set<Service>();
  const faults: Array<number> = [];

  const current = () => {
    const service = services.at(-1);
    if (service === undefined) throw new Error("the service was not started");
    return service;
  };

  const startService = async () => {
    const service = spawnService({
      PORT: String(port),
      DATABASE_URL: databaseUrl.toString(),
      FULFILLMENT_URL: receiver.url,
      FULFILLMENT_SECRET: receiver.secret,
      LOG_LEVEL: "Warn",
      ...options.settings,
    });
    services.push(service);
    void service.ended.then((exit) => {
      if (asked.has(service)) return;
      deaths.push(`ended with ${exit}: ${service.output().slice(-2000)}`);
    });
    await until(
      "the service answers",
      async () =>
        service.child.exitCode !== null ||
        (await fetch(`${url}/health/live`)).ok,
    );
    return Date.now();
  };

  const stopService = (signal: NodeJS.Signals) => {
    const service = current();
    asked.add(service);
    service.child.kill(signal);
    return service.ended;
  };

  const look = setInterval(() => {
    const pid = services.at(-1)?.child.pid;
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

  await startService();
  await until(
    "the service is ready",
    async () => (await fetch(`${url}/health/ready`)).ok,
  );
  await postgres.ask(database, Audit.install);

  return {
    ...options,
    database,
    url,
    receiver,
    proxy,
    loads: [],
    isMarking: false,
    startService,
    signal: (signal) => {
      current().child.kill(signal);
    },
    stopService,
    fault: (what) => {
      faults.push(Date.now());
      options.say(`${name}: ${what}`);
    },
    faultOver: (at = Date.now()) => {
      faultsOver.push(at);
    },
    faults,
    faultsOver,
    amount: (full, short) => (isShort ? short : full),
    pause: (min, max) => wait(random.between(min, max) * 1000),
    deaths,
    output: () => services.map((service) => service.output()).join("\n"),
    memory,
    close: async () => {
      clearInterval(look);
      const service = services.at(-1);
      if (service !== undefined) {
        asked.add(service);
        service.child.kill("SIGCONT");
        service.child.kill("SIGKILL");
        await service.ended;
      }
      await receiver.close();
      await proxy.close();
      await postgres
        .ask("postgres", (client) =>
          client.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`),
        )
        .catch(() => {});
    },
  };
};
