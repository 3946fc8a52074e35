/**
 * What a scenario plays on: one instance of the service, or several, on a
 * database of its own, the receiver, the load, and the means to do harm.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import * as Audit from "./Audit.ts";
import * as Balancer from "./Balancer.ts";
import * as EventReaders from "./EventReaders.ts";
import * as Instance from "./Instance.ts";
import type * as Load from "./Load.ts";
import type { Postgres } from "./Postgres.ts";
import * as Receiver from "./Receiver.ts";
import type { SeededRandom } from "./SeededRandom.ts";

export interface StageOptions {
  readonly name: string;
  readonly postgres: Postgres;
  readonly random: SeededRandom;
  /** The short form: less of everything. */
  readonly isShort: boolean;
  /** How long `receiver-away` keeps the receiver away. */
  readonly awaySeconds: number;
  /** How long `silent-network` loses packets, each time. */
  readonly silentSeconds: number;
  /** How often `database-blink` cuts all connections. */
  readonly blinks: number;
  /** How many instances share the database. */
  readonly instances: number;
  /** Whether instances reach the database each through a `PgProxy`. */
  readonly isProxied: boolean;
  /** Settings of the service. */
  readonly settings: Readonly<Record<string, string>>;
  readonly readsEvents: boolean;
  /** Whether orders leave the table soon, into files. */
  readonly archives: boolean;
  readonly say: (line: string) => void;
}

export interface Stage extends Omit<StageOptions, "instances"> {
  readonly database: string;
  /** Where archived orders are, if they are. */
  readonly archiveDir: string;
  readonly receiver: Receiver.Receiver;
  readonly instances: ReadonlyArray<Instance.Instance>;
  /** The first instance: the service itself, where there is one. */
  readonly service: Instance.Instance;
  readonly balancer: Balancer.Balancer;
  /** All load on the service; the first is the scenario's own. */
  readonly loads: Array<Load.Load>;
  /** Who reads the events, where a scenario wants them read. */
  readonly readers: EventReaders.EventReaders | undefined;
  /** Whether orders are marked from now on, as the scenario marks them. */
  isMarking: boolean;
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
  readonly close: () => Promise<void>;
}

/** Each instance has a user of its own, so that the audit can tell them apart. */
const userOf = (index: number) => `instance_${index + 1}`;

/** An empty database, and the users who may do all in it. */
const prepare = (postgres: Postgres, database: string, instances: number) =>
  postgres.ask("postgres", async (client) => {
    await client.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${database}`);
    const { rows } = await client.query("SELECT rolname FROM pg_roles");
    const users = new Set(rows.map(({ rolname }) => rolname));
    for (let index = 0; index < instances; index += 1) {
      if (users.has(userOf(index))) continue;
      await client.query(
        `CREATE ROLE ${userOf(index)} SUPERUSER LOGIN PASSWORD 'password'`,
      );
    }
  });

export const open = async (options: StageOptions): Promise<Stage> => {
  const { isProxied, isShort, name, postgres, random } = options;
  const database = `chaos_${name.replaceAll("-", "_")}`;
  await prepare(postgres, database, options.instances);
  const receiver = await Receiver.open();
  const archiveDir = await mkdtemp(join(tmpdir(), "chaos-archive-"));
  const instances = await Promise.all(
    Array.from({ length: options.instances }, (_, index) => {
      const databaseUrl = new URL(`${postgres.url}/${database}`);
      databaseUrl.username = userOf(index);
      return Instance.open({
        name: userOf(index),
        databaseUrl,
        isProxied,
        settings: {
          FULFILLMENT_URL: receiver.url,
          FULFILLMENT_SECRET: receiver.secret,
          ...(options.archives
            ? { RETENTION: "2 seconds", ARCHIVE_DIR: archiveDir }
            : {}),
          ...options.settings,
        },
      });
    }),
  );
  const [service] = instances;
  if (service === undefined) throw new Error("a stage without an instance");
  await Promise.all(instances.map((instance) => instance.start()));
  await Promise.all(instances.map((instance) => instance.untilReady()));
  await postgres.ask(database, Audit.install);
  const balancer = Balancer.open(instances.map(({ url }) => url));
  const readers = options.readsEvents
    ? await EventReaders.open(balancer)
    : undefined;
  const faults: Array<number> = [];
  const faultsOver: Array<number> = [];

  return {
    ...options,
    database,
    archiveDir,
    receiver,
    instances,
    service,
    balancer,
    readers,
    loads: [],
    isMarking: false,
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
    close: async () => {
      await balancer.close();
      await Promise.all(instances.map((instance) => instance.close()));
      await receiver.close();
      await rm(archiveDir, { recursive: true, force: true });
      await postgres
        .ask("postgres", (client) =>
          client.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`),
        )
        .catch(() => {});
    },
  };
};
