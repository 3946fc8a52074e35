/**
 * Both at once: orders come in at a rate that waits for nobody, and are worked
 * off as they come. The time that counts is from accepted to COMPLETED.
 */

import * as Cpu from "./cpu.ts";
import type { OpenLoad, OpenLoadResult } from "./openLoad.ts";
import { ask } from "./processes.ts";
import type { Row, Section } from "./report.ts";
import { allCompleted, type Bench, startService, withClient } from "./Setup.ts";

const offered = 2_000;
/** Tried in turn, until one is not sustained. */
const ladder = [3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 10_000];

interface Run extends OpenLoadResult {
  readonly perSecond: number;
  /** Orders not yet COMPLETED when the last was sent. */
  readonly backlog: number;
  /** Milliseconds from accepted to COMPLETED. */
  readonly completedP50: number;
  readonly completedP99: number;
  /** Microseconds of CPU an order. */
  readonly serviceCpu: number;
  readonly postgresCpu: number;
}

const offer = async (
  bench: Bench,
  perSecond: number,
  seconds: number,
): Promise<Run> => {
  const database = await bench.database();
  const service = await startService(bench, {
    DATABASE_URL: database,
    PROCESSING_TIME: "0 millis",
  });
  try {
    const warmUp: OpenLoad = { url: service.url, perSecond: 1_000, seconds: 3 };
    await ask<OpenLoadResult>("openLoad.ts", warmUp);
    return await withClient(database, async (client) => {
      await allCompleted(client, 30);
      await bench.settle();
      const { rows: now } = await client.query("SELECT now() AS since");
      const cpu = Cpu.ofProcess(service.pid);
      const postgres = bench.postgresCpu();
      const load: OpenLoad = { ...warmUp, perSecond, seconds };
      const result = await ask<OpenLoadResult>("openLoad.ts", load);
      const { rows: open } = await client.query(
        "SELECT count(*)::float8 AS orders FROM orders WHERE status IN ('PENDING', 'PROCESSING')",
      );
      await allCompleted(client, 120);
      const perOrder = (millis: number) => (millis * 1000) / result.orders;
      const { rows } = await client.query(
        `SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY
          extract(epoch FROM processing_completed_at - created_at)::float8)
          AS seconds, count(*)::float8 AS orders
        FROM orders WHERE created_at >= $1`,
        [now[0].since],
      );
      if (rows[0].orders < result.orders) {
        throw new Error(`${result.orders} answered, ${rows[0].orders} stored`);
      }
      const [p50, p99] = rows[0].seconds as [number, number];
      return {
        ...result,
        perSecond,
        backlog: open[0].orders,
        completedP50: p50 * 1000,
        completedP99: p99 * 1000,
        serviceCpu: perOrder(Cpu.ofProcess(service.pid) - cpu),
        postgresCpu: perOrder(bench.postgresCpu() - postgres),
      };
    });
  } finally {
    await service.stop();
  }
};

/** All taken in, and no more of them waiting than come in half a second. */
const isSustained = (run: Run) =>
  run.orders === run.sent && run.backlog < run.perSecond / 2;

const row = (run: Run): Row => ({
  "offered/s": run.perSecond,
  "taken in": `${((run.orders / run.sent) * 100).toFixed(1)} %`,
  "answer p50 ms": run.p50,
  "answer p99 ms": run.p99,
  "COMPLETED p50 ms": run.completedP50,
  "COMPLETED p99 ms": run.completedP99,
  "left at the end": run.backlog,
  "CPU µs/order": run.serviceCpu,
  "PostgreSQL µs/order": run.postgresCpu,
});

export const run = async (bench: Bench): Promise<ReadonlyArray<Section>> => {
  bench.progress(`both at once: ${offered}/s`);
  const usual = await offer(bench, offered, bench.quick ? 6 : 20);
  const runs = [usual];
  for (const rate of bench.quick ? [] : ladder) {
    bench.progress(`both at once: ${rate}/s`);
    const run = await offer(bench, rate, 60);
    runs.push(run);
    if (!isSustained(run)) break;
  }
  const highest = Math.max(
    0,
    ...runs.filter(isSustained).map((_) => _.perSecond),
  );
  return [
    {
      title: "Both at once",
      note: `Open loop, no-op orders, ${bench.quick ? "6 s" : "20 s, then 60 s each"}. COMPLETED is counted from accepted, by the database's clock.${bench.quick ? "" : ` Highest rate sustained: ${highest}/s.`}`,
      rows: runs.map(row),
      goals: [
        {
          name: `accepted to COMPLETED at ${offered}/s, p99 in ms`,
          value: usual.completedP99,
          limit: 250,
          is: "at most",
        },
        {
          name: `orders refused or unanswered at ${offered}/s`,
          value: usual.sent - usual.orders,
          limit: 0,
          is: "at most",
        },
      ],
    },
  ];
};
