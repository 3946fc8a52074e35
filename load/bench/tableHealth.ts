/**
 * The table's health: what becomes of it while orders are placed and worked
 * off at a steady rate, with another session holding a snapshot for a while,
 * as a backup or a forgotten console would; and what an order costs in all.
 * Where orders leave after a time, nobody holds one: what a snapshot keeps from
 * being cleared away would be all there is to see.
 */
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type pg from "pg";
import * as Cpu from "./cpu.ts";
import {
  between,
  type Sample,
  type Size,
  sampler,
  sizes,
  type Totals,
  totals,
} from "./healthSamples.ts";
import type { OpenLoad, OpenLoadResult } from "./openLoad.ts";
import { ask } from "./processes.ts";
import type { Section } from "./report.ts";
import { allCompleted, type Bench, startService, withClient } from "./Setup.ts";
import * as StatementCosts from "./statementCosts.ts";

const perSecond = 500;

const sampleMillis = 15_000;

/** The snapshot is held from and until so much of the time: 2 of 10 minutes. */
const held = { from: 0.4, until: 0.6 };

interface Health {
  readonly samples: ReadonlyArray<Sample>;
  readonly sizes: ReadonlyArray<Size>;
  readonly spent: Totals;
  /** Milliseconds of CPU. */
  readonly serviceCpu: number;
  readonly postgresCpu: number;
}

/** A session that keeps every row that it could see from being cleared away. */
const holdSnapshot = (client: pg.Client) =>
  client
    .query("BEGIN ISOLATION LEVEL REPEATABLE READ")
    .then(() => client.query("SELECT 1 FROM partition_owners LIMIT 1"));

const watch = async (
  client: pg.Client,
  holder: pg.Client,
  holds: boolean,
  seconds: number,
  progress: Bench["progress"],
): Promise<ReadonlyArray<Sample>> => {
  const sample = sampler(client);
  const samples: Array<Sample> = [];
  let isHeld = false;
  const began = performance.now();
  const share = () => (performance.now() - began) / 1000 / seconds;
  while (share() < 1) {
    await setTimeout(Math.min(sampleMillis, (seconds * 1000) / 20));
    const shouldHold = holds && share() >= held.from && share() < held.until;
    if (shouldHold && !isHeld) await holdSnapshot(holder);
    if (!shouldHold && isHeld) await holder.query("ROLLBACK");
    isHeld = shouldHold;
    const taken = await sample(isHeld);
    samples.push(taken);
    progress(
      `table health: ${Math.round(taken.seconds)} of ${seconds} s, ${taken.orders} orders, ${taken.deadRows} dead rows${isHeld ? ", snapshot held" : ""}`,
    );
  }
  return samples;
};

const loadTable = async (bench: Bench): Promise<Health> => {
  const database = await bench.database();
  const env = {
    DATABASE_URL: database,
    PROCESSING_TIME: "0 millis",
    ...(bench.retention === undefined
      ? {}
      : {
          RETENTION: bench.retention,
          ARCHIVE_DIR: join(bench.directory, "archive"),
        }),
  };
  const migrated = await startService(bench, env);
  await migrated.stop();
  await withClient(database, async (client) => {
    await StatementCosts.account(client);
    for (const change of bench.alter) await client.query(change);
  });
  const service = await startService(bench, env);
  try {
    return await withClient(database, (client) =>
      withClient(database, async (holder) => {
        const seconds = bench.minutes * 60;
        const before = await totals(client);
        const serviceCpu = Cpu.ofProcess(service.pid);
        const postgresCpu = bench.postgresCpu();
        const load: OpenLoad = { url: service.url, perSecond, seconds };
        const [samples] = await Promise.all([
          watch(
            client,
            holder,
            bench.retention === undefined,
            seconds,
            bench.progress,
          ),
          ask<OpenLoadResult>("openLoad.ts", load),
        ]);
        await allCompleted(client, 120);
        return {
          samples,
          sizes: await sizes(client),
          spent: between(before, await totals(client)),
          serviceCpu: Cpu.ofProcess(service.pid) - serviceCpu,
          postgresCpu: bench.postgresCpu() - postgresCpu,
        };
      }),
    );
  } finally {
    await service.stop();
  }
};

/** The highest of a figure in a part of the time. */
const highest = (
  samples: ReadonlyArray<Sample>,
  [from, until]: readonly [number, number],
  of: (sample: Sample) => number,
) => {
  const end = samples.at(-1)?.seconds ?? 1;
  return Math.max(
    ...samples
      .filter((_) => _.seconds >= from * end && _.seconds <= until * end)
      .map(of),
  );
};

const curve = (samples: ReadonlyArray<Sample>) => {
  const isArchived = samples.some(({ archived }) => archived > 0);
  const last = samples.at(-1)?.seconds ?? 0;
  const rows = Math.min(10, samples.length);
  return Array.from({ length: rows }, (_, index) => {
    const until = (last * (index + 1)) / rows;
    const sample = samples.findLast((_) => _.seconds <= until) as Sample;
    return {
      "at s": Math.round(sample.seconds),
      snapshot: sample.isSnapshotHeld ? "held" : "",
      orders: sample.orders,
      ...(isArchived ? { archived: sample.archived } : {}),
      "dead rows": sample.deadRows,
      vacuums: sample.vacuums,
      "table B/order": sample.tableBytes / sample.orders,
      "indexes B/order": sample.indexBytes / sample.orders,
      ...(isArchived
        ? {
            "table MiB": sample.tableBytes / 2 ** 20,
            "indexes MiB": sample.indexBytes / 2 ** 20,
            "what stays MiB": sample.archivedBytes / 2 ** 20,
          }
        : {}),
      "statistics KiB": sample.statisticsBytes / 1024,
      "pages a poll": sample.duePages,
      "pages a metrics": sample.metricsPages,
    };
  });
};

const grown = (
  samples: ReadonlyArray<Sample>,
  name: string,
  limit: number,
  of: (sample: Sample) => number,
) => ({
  name: `${name}: highest in the last fifth, of that in the second fifth`,
  value: highest(samples, [0.8, 1], of) / highest(samples, [0.2, 0.4], of),
  limit,
  is: "at most" as const,
});

export const run = async (bench: Bench): Promise<ReadonlyArray<Section>> => {
  const health = await loadTable(bench);
  const { samples, sizes, spent } = health;
  const each = (total: number) => total / spent.orders;
  return [
    {
      title: "Table health",
      note: `${bench.minutes} minutes of ${perSecond} orders/s, placed and worked off; ${bench.retention === undefined ? "another session holds a snapshot for the third fifth of them" : `orders leave after ${bench.retention}`}. Autovacuum as PostgreSQL has it, but for the table's own settings.${bench.alter.map((change) => ` ${change}.`).join("")}`,
      rows: curve(samples),
      goals:
        bench.retention === undefined
          ? [
              grown(samples, "dead rows", 3, (_) => _.deadRows),
              grown(
                samples,
                "table bytes an order",
                1.1,
                (_) => _.tableBytes / _.orders,
              ),
              grown(
                samples,
                "index bytes an order",
                1.1,
                (_) => _.indexBytes / _.orders,
              ),
            ]
          : [
              // Where nothing left, it would double.
              grown(samples, "table bytes", 1.3, (_) => _.tableBytes),
              grown(samples, "index bytes", 1.3, (_) => _.indexBytes),
            ],
    },
    {
      title: "What an order costs",
      note: `Over ${Math.round(spent.orders).toLocaleString("en-US")} orders, from being placed until COMPLETED; items of 7 bytes, ids of 36.`,
      rows: [
        ...sizes.map(({ bytes, name }) => ({
          what: `bytes on disk, ${name}`,
          "an order": each(bytes),
        })),
        {
          what: "bytes on disk, all",
          "an order": each(sizes.reduce((sum, _) => sum + _.bytes, 0)),
        },
        { what: "bytes of WAL", "an order": each(spent.walBytes) },
        { what: "statements", "an order": each(spent.statements) },
        { what: "transactions", "an order": each(spent.transactions) },
        { what: "updates of its row", "an order": each(spent.updates) },
        {
          what: "of them, changing no index",
          "an order": each(spent.heapOnly),
        },
        { what: "CPU µs, service", "an order": each(health.serviceCpu * 1000) },
        {
          what: "CPU µs, PostgreSQL",
          "an order": each(health.postgresCpu * 1000),
        },
      ],
      goals: [],
    },
  ];
};
