/**
 * Memory: what a long backlog, idle connections, slow readers and large orders
 * cost the service, each against a service at rest.
 */
import { until } from "../../test/support/serviceProcess.ts";
import type { IdleConnections } from "./idleConnections.ts";
import * as LargeBurdens from "./largeBurdens.ts";
import { ask, type Environment, talk } from "./processes.ts";
import type { Section } from "./report.ts";
import { type Bench, countOrders, withClient } from "./Setup.ts";
import type { SlowReaders } from "./slowReaders.ts";
import { type Taken, under } from "./underBurden.ts";
import { addBacklog } from "./workingOff.ts";

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
        status, ended)
      SELECT gen_random_uuid()::text, 'LARGE', to_json(ARRAY(
          SELECT md5(random()::text) FROM generate_series(1, $2 / 35))),
        19.99, n % 32, 'CANCELLED', 'CANCELLED'
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
  const large = await LargeBurdens.run(bench);
  return [
    {
      title: "Memory",
      note: "Resident memory of the service, at rest and at its highest under a burden; a process of its own for each.",
      rows: [...taken, ...large].map(({ atRest, burden, highest, more }) => ({
        burden,
        "at rest MiB": atRest,
        "highest MiB": highest,
        "more MiB": more,
      })),
      goals: [
        {
          name: "MiB more than at rest, at worst of the first burdens",
          value: Math.max(...taken.map((_) => _.more)),
          limit: 150,
          is: "at most",
        },
        {
          name: "MiB at highest, at worst",
          value: Math.max(...[...taken, ...large].map((_) => _.highest)),
          limit: 400,
          is: "at most",
        },
      ],
    },
  ];
};
