/**
 * Working off: a backlog of orders that take no time, against the no-op jobs
 * of two queues. Each of ours is begun and completed durably, in its own row;
 * a job of graphile-worker is taken in bulk and deleted.
 */

import type { RuntimeName } from "../../test/support/serviceProcess.ts";
import * as Cpu from "./cpu.ts";
import { talk } from "./processes.ts";
import type { QueueOptions, QueueResult } from "./queueProcess.ts";
import type { Section } from "./report.ts";
import {
  allCompleted,
  type Bench,
  median,
  startService,
  withClient,
} from "./Setup.ts";

interface Round {
  readonly perSecond: number;
  /** Microseconds of CPU an order. */
  readonly cpu: number;
  readonly postgresCpu: number;
}

const roundOf = (
  orders: number,
  seconds: number,
  cpuMillis: number,
  postgresMillis: number,
): Round => ({
  perSecond: orders / seconds,
  cpu: (cpuMillis * 1000) / orders,
  postgresCpu: (postgresMillis * 1000) / orders,
});

/** Writes PENDING orders as the service does, statistics and all. */
export const addBacklog = (database: string, orders: number) =>
  withClient(database, async (client) => {
    await client.query(
      `WITH placed AS (
        INSERT INTO orders (order_id, user_id, item_ids, total_amount, partition)
        SELECT gen_random_uuid()::text, (n % 1000)::text, '[1,2]', 19.99, n % 32
        FROM generate_series(1, $1::integer) AS n RETURNING 1
      )
      UPDATE order_statistics SET accepted = accepted + $1, pending = pending + $1
      WHERE slot = 0`,
      [orders],
    );
  });

const ours =
  (concurrency: string, runtime?: RuntimeName) =>
  async (bench: Bench, orders: number): Promise<Round> => {
    const database = await bench.database();
    const env = {
      DATABASE_URL: database,
      PROCESSING_TIME: "0 millis",
      PROCESSING_CONCURRENCY: concurrency,
    };
    const migrated = await startService(bench, env, runtime);
    await migrated.stop();
    await addBacklog(database, orders);
    await bench.settle();
    const postgres = bench.postgresCpu();
    const service = await startService(bench, env, runtime);
    try {
      return await withClient(database, async (client) => {
        await allCompleted(client, 300);
        const cpu = Cpu.ofProcess(service.pid);
        const postgresCpu = bench.postgresCpu() - postgres;
        const { rows } = await client.query(`SELECT
          extract(epoch FROM max(processing_completed_at)
            - min(processing_started_at))::float8 AS seconds,
          count(*) FILTER (WHERE attempts = 1)::float8 AS once
          FROM orders WHERE status = 'COMPLETED'`);
        if (rows[0].once !== orders) {
          throw new Error(`${rows[0].once} of ${orders} orders completed once`);
        }
        return roundOf(orders, rows[0].seconds, cpu, postgresCpu);
      });
    } finally {
      await service.stop();
    }
  };

const queue =
  (name: QueueOptions["queue"]) =>
  async (bench: Bench, jobs: number): Promise<Round> => {
    const options: QueueOptions = {
      queue: name,
      connectionString: await bench.database(),
      jobs,
    };
    const { answer, child } = talk<unknown>("queueProcess.ts", options);
    await answer();
    await bench.settle();
    const postgres = bench.postgresCpu();
    child.send("go");
    const { cpuMillis, seconds } = (await answer()) as QueueResult;
    const postgresCpu = bench.postgresCpu() - postgres;
    return roundOf(jobs, seconds, cpuMillis, postgresCpu);
  };

export const run = async (bench: Bench): Promise<ReadonlyArray<Section>> => {
  const orders = bench.quick ? 20_000 : 200_000;
  const rounds = bench.quick ? 1 : 3;
  const contenders = [
    { name: "this service", work: ours("256"), rounds: [] as Array<Round> },
    {
      name: "this service, PROCESSING_CONCURRENCY=2048",
      work: ours("2048"),
      rounds: [] as Array<Round>,
    },
    {
      name: "graphile-worker",
      work: queue("graphile-worker"),
      rounds: [] as Array<Round>,
    },
    { name: "pg-boss", work: queue("pg-boss"), rounds: [] as Array<Round> },
    ...bench.runtimes.map((runtime) => ({
      name: `this service on ${runtime}`,
      work: ours("256", runtime),
      rounds: [] as Array<Round>,
    })),
  ];
  for (let turn = 1; turn <= rounds; turn += 1) {
    for (const contender of contenders) {
      bench.progress(
        `working off: ${contender.name}, round ${turn} of ${rounds}`,
      );
      contender.rounds.push(await contender.work(bench, orders));
    }
  }
  const of = (index: number, field: keyof Round) =>
    median((contenders[index]?.rounds ?? []).map((_) => _[field]));
  return [
    {
      title: "Working off",
      note: `A backlog of ${orders.toLocaleString("en-US")} no-op orders or jobs, ${rounds} rounds in turns, medians. Our CPU includes the start of the process.`,
      rows: contenders.map(({ name }, index) => ({
        contender: name,
        "orders/s": of(index, "perSecond"),
        "of graphile-worker's": of(index, "perSecond") / of(2, "perSecond"),
        "CPU µs/order": of(index, "cpu"),
        "PostgreSQL µs/order": of(index, "postgresCpu"),
      })),
      goals: [
        {
          name: "orders/s, of graphile-worker's jobs/s",
          value: of(0, "perSecond") / of(2, "perSecond"),
          limit: 0.6,
          is: "at least",
        },
      ],
    },
  ];
};
