/**
 * Constant cost: what each operation costs on a small table and on a large one,
 * in turns. First on tables that were never analysed, as plans must be right
 * from the first minute; then on the same tables analysed.
 */
import * as PastOrders from "./pastOrders.ts";
import type { Section } from "./report.ts";
import { type Bench, median, withClient } from "./Setup.ts";
import * as TableSize from "./tableSize.ts";

const smallRows = 10_000;

interface Side {
  readonly table: TableSize.TableSize;
  readonly costs: Map<string, Array<TableSize.Cost>>;
}

const note = (side: Side, name: string, cost: TableSize.Cost) => {
  const costs = side.costs.get(name) ?? [];
  costs.push(cost);
  side.costs.set(name, costs);
};

/** The operations of callers: the tables take turns at each. */
const serveAll = async (
  bench: Bench,
  sides: ReadonlyArray<Side>,
  what: string,
) => {
  const count = bench.quick ? 200 : 500;
  const rounds = bench.quick ? 3 : 5;
  const served: Array<readonly [Side, TableSize.Measured]> = [];
  try {
    for (const side of sides) {
      served.push([side, await TableSize.serve(bench, side.table, count)]);
    }
    // The first round warms up: code is compiled, and pages are read.
    for (let turn = 0; turn <= rounds; turn += 1) {
      bench.progress(`constant cost, ${what}: round ${turn} of ${rounds}`);
      for (const name of Object.keys(TableSize.operations)) {
        for (const [side, { measure }] of served) {
          const cost = await measure(name);
          if (turn > 0) note(side, name, cost);
        }
      }
    }
  } finally {
    for (const [, { stop }] of served) await stop();
  }
};

/** Beginning and completing, with the service started anew each time. */
const workAllOff = async (
  bench: Bench,
  sides: ReadonlyArray<Side>,
  what: string,
) => {
  const count = bench.quick ? 2_000 : 5_000;
  const rounds = bench.quick ? 1 : 3;
  for (let turn = 1; turn <= rounds; turn += 1) {
    bench.progress(`working off, ${what}: round ${turn} of ${rounds}`);
    for (const side of sides) {
      const costs = await TableSize.workOff(bench, side.table, count);
      for (const [name, cost] of Object.entries(costs)) note(side, name, cost);
    }
  }
};

const compare = (small: Side, large: Side) =>
  Array.from(small.costs.keys(), (name) => {
    const of = (side: Side, field: keyof TableSize.Cost) =>
      median((side.costs.get(name) ?? []).map((_) => _[field]));
    const pair = (field: keyof TableSize.Cost) => {
      const [before, after] = [of(small, field), of(large, field)];
      return { before, after, ratio: before === 0 ? 1 : after / before };
    };
    return {
      name,
      cpu: pair("cpu"),
      latency: pair("latency"),
      buffers: pair("buffers"),
      walBytes: pair("walBytes"),
    };
  });

const measure = async (
  bench: Bench,
  tables: ReadonlyArray<TableSize.TableSize>,
  what: string,
): Promise<Section> => {
  const sides = tables.map((table): Side => ({ table, costs: new Map() }));
  await serveAll(bench, sides, what);
  await workAllOff(bench, sides, what);
  const [small, large] = sides as [Side, Side];
  const compared = compare(small, large);
  const worst = (field: "cpu" | "latency") =>
    Math.max(...compared.map((_) => _[field].ratio));
  const arrow = (pair: { before: number; after: number }) =>
    `${Number(pair.before.toPrecision(3))} > ${Number(pair.after.toPrecision(3))}`;
  return {
    title: `Constant cost, ${what}`,
    note: `With ${small.table.orders.toLocaleString("en-US")} and with ${large.table.orders.toLocaleString("en-US")} orders in the table, in turns, medians. One connection; CPU of the service and PostgreSQL together. Buffers (pages of 8 KiB touched) and WAL are of the statements, by pg_stat_statements. Each is measured after a checkpoint, when the first change of a page writes all of it to the WAL. Begin and complete are of a backlog worked off in bulk: their CPU is that of both, their time an order's share of the statement's.`,
    rows: compared.map(({ buffers, cpu, latency, name, walBytes }) => ({
      operation: name,
      "CPU µs": arrow(cpu),
      "CPU ratio": cpu.ratio,
      "p50 ms": arrow(latency),
      "p50 ratio": latency.ratio,
      buffers: arrow(buffers),
      "buffers ratio": buffers.ratio,
      "WAL bytes": arrow(walBytes),
    })),
    goals: [
      {
        name: "CPU with the large table, of that with the small, at worst",
        value: worst("cpu"),
        limit: 1.5,
        is: "at most",
      },
      {
        name: "latency, likewise",
        value: worst("latency"),
        limit: 1.5,
        is: "at most",
      },
      {
        // Fifty orders on a page of their own each, and the way there. In a
        // table that was vacuumed the newest lie where there was room.
        name: "buffers touched with the large table, at most by any",
        value: Math.max(...compared.map((_) => _.buffers.after)),
        limit: 60,
        is: "at most",
      },
    ],
  };
};

export const run = async (bench: Bench): Promise<ReadonlyArray<Section>> => {
  await PastOrders.checkDisk(bench.rows);
  const tables = [
    await TableSize.make(bench, smallRows),
    await TableSize.make(bench, bench.rows),
  ];
  const sections = [await measure(bench, tables, "never analysed")];
  for (const table of tables) await TableSize.analyse(table);
  sections.push(await measure(bench, tables, "analysed"));
  for (const { database } of tables) {
    await withClient(database, (client) =>
      client.query("DROP TABLE orders CASCADE"),
    );
  }
  return sections;
};
