/**
 * Memory: what a long backlog, idle connections and slow readers cost the
 * service, each against a service at rest.
 */
import { readFileSync } from "node:fs";
import { until } from "../../test/support/serviceProcess.ts";
import type { IdleConnections } from "./idleConnections.ts";
import { ask, type Environment, type Server, talk } from "./processes.ts";
import type { Section } from "./report.ts";
import { type Bench, countOrders, startService, withClient } from "./Setup.ts";
import type { SlowReaders } from "./slowReaders.ts";
import { addBacklog } from "./workingOff.ts";

/** Mebibytes of memory a process holds now, and at its highest. */
const memoryOf = (pid: number) => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const mebibytes = (field: string) =>
    Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
  return { now: mebibytes("VmRSS"), highest: mebibytes("VmHWM") };
};

interface Taken {
  readonly burden: string;
  readonly atRest: number;
  readonly highest: number;
  /** Mebibytes more than at rest. */
  readonly more: number;
}

/** The memory of a service of its own, at rest, and then under a burden. */
const under = async (
  bench: Bench,
  burden: string,
  env: Environment,
  lay: (service: Server) => Promise<void>,
): Promise<Taken> => {
  bench.progress(`memory: ${burden}`);
  const service = await startService(bench, env);
  try {
    const atRest = memoryOf(service.pid).now;
    await lay(service);
    const { highest } = memoryOf(service.pid);
    return { burden, atRest, highest, more: highest - atRest };
  } finally {
    await service.stop();
  }
};

const backlog = async (bench: Bench, DATABASE_URL: string): Promise<Taken> => {
  const orders = bench.quick ? 100_000 : 1_000_000;
  const completed = orders / 5;
  const env = { DATABASE_URL, PROCESSING_TIME: "0 millis" };
  const { atRest } = await under(bench, "at rest", env, bench.settle);
  await addBacklog(DATABASE_URL, orders);
  const taken = await under(
    bench,
    `${completed} of a backlog of ${orders} orders worked off`,
    env,
    () =>
      withClient(DATABASE_URL, (client) =>
        until(
          "a part of the backlog is COMPLETED",
          async () => (await countOrders(client, "completed")) >= completed,
          300,
        ).then(() => {}),
      ),
  );
  // It is at work as soon as it has started.
  return { ...taken, atRest, more: taken.highest - atRest };
};

const idleConnections = (bench: Bench, env: Environment) => {
  const connections = bench.quick ? 1_000 : 10_000;
  return under(
    bench,
    `${connections} idle connections`,
    env,
    async ({ url }) => {
      const asked: IdleConnections = { url, connections };
      const { answer, child } = talk<number>("idleConnections.ts", asked);
      const open = await answer();
      child.send("end");
      if (open < connections)
        throw new Error(`${open} connections stayed open`);
    },
  );
};

/** Orders with items of this size, as many as fit on the longest page. */
const itemBytes = 10_000;
const pageOrders = 500;

const addLargeOrders = (database: string) =>
  withClient(database, (client) =>
    client.query(
      `INSERT INTO orders (order_id, user_id, item_ids, total_amount, partition,
        status)
      SELECT gen_random_uuid()::text, 'LARGE', to_json(ARRAY(
          SELECT md5(random()::text) FROM generate_series(1, $2 / 35))),
        19.99, n % 32, 'CANCELLED'
      FROM generate_series(1, $1::integer) AS n`,
      [pageOrders, itemBytes],
    ),
  );

const slowReaders = (bench: Bench, env: Environment, clients: number) =>
  under(
    bench,
    `${clients} slow ${clients === 1 ? "reader" : "readers"} of a page of large orders`,
    env,
    async ({ url }) => {
      const asked: SlowReaders = {
        url,
        path: `/api/orders/?user_id=LARGE&limit=${pageOrders}`,
        clients,
        seconds: 10,
      };
      await ask<number>("slowReaders.ts", asked);
    },
  );

export const run = async (bench: Bench): Promise<ReadonlyArray<Section>> => {
  const DATABASE_URL = await bench.database();
  const taken = [await backlog(bench, DATABASE_URL)];
  const env = { DATABASE_URL: await bench.database() };
  taken.push(await idleConnections(bench, env));
  await addLargeOrders(env.DATABASE_URL);
  for (const clients of bench.quick ? [10] : [1, 10, 50]) {
    taken.push(await slowReaders(bench, env, clients));
  }
  return [
    {
      title: "Memory",
      note: "Resident memory of the service, at rest and at its highest under a burden; a process of its own for each.",
      rows: taken.map(({ atRest, burden, highest, more }) => ({
        burden,
        "at rest MiB": atRest,
        "highest MiB": highest,
        "more MiB": more,
      })),
      goals: [
        {
          name: "MiB more than at rest, at worst",
          value: Math.max(...taken.map((_) => _.more)),
          limit: 150,
          is: "at most",
        },
      ],
    },
  ];
};
