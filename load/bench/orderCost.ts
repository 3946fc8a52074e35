/**
 * What an order costs PostgreSQL, from outside: orders are taken in by a hundred
 * connections, and then worked off as no work. Nothing else is asked meanwhile.
 */
import type pg from "pg";
import type { ClosedLoad, ClosedLoadResult } from "./closedLoad.ts";
import * as Cpu from "./cpu.ts";
import * as Health from "./healthSamples.ts";
import { ask } from "./processes.ts";
import type { Row, Section } from "./report.ts";
import {
  allCompleted,
  type Bench,
  startService,
  takingInOnly,
  withClient,
} from "./Setup.ts";

export interface Phase {
  readonly orders: number;
  readonly serviceCpu: number;
  readonly postgresCpu: number;
  readonly walBytes: number;
  readonly updates: number;
  readonly heapOnly: number;
}

/** Runs a service for a while; what it and PostgreSQL did is counted after its stop. */
const phase = async (
  bench: Bench,
  client: pg.Client,
  env: Readonly<Record<string, string>>,
  use: (url: string) => Promise<unknown>,
): Promise<Phase> => {
  const service = await startService(bench, env);
  await bench.settle();
  const before = await Health.changes(client);
  const postgres = bench.postgresCpu();
  const cpu = Cpu.ofProcess(service.pid);
  await use(service.url);
  const serviceCpu = Cpu.ofProcess(service.pid) - cpu;
  const postgresCpu = bench.postgresCpu() - postgres;
  // Sessions tell their counts when they end.
  await service.stop();
  const after = await Health.changes(client);
  return {
    orders: after.orders,
    serviceCpu,
    postgresCpu,
    walBytes: after.walBytes - before.walBytes,
    updates: after.updates - before.updates,
    heapOnly: after.heapOnly - before.heapOnly,
  };
};

const row = (what: string, phase: Phase): Row => ({
  phase: what,
  orders: phase.orders,
  "CPU µs/order": (phase.serviceCpu * 1000) / phase.orders,
  "PostgreSQL µs/order": (phase.postgresCpu * 1000) / phase.orders,
  "WAL bytes": phase.walBytes / phase.orders,
  // Taking in changes no order but the one that is begun meanwhile.
  "heap-only":
    phase.updates < phase.orders ? "" : phase.heapOnly / phase.updates,
});

/** The life of as many orders as are taken in within a time. */
export interface Life {
  readonly takingIn: Phase;
  readonly workingOff: Phase;
}

/** Takes orders in and works them off, each by a process of its own. */
export const live = async (
  bench: Bench,
  client: pg.Client,
  env: Readonly<Record<string, string>>,
): Promise<Life> => {
  const first = await startService(bench, { ...takingInOnly, ...env });
  await first.stop();
  bench.progress("order cost: taking in");
  const takingIn = await phase(
    bench,
    client,
    { ...takingInOnly, ...env },
    (url) =>
      ask<ClosedLoadResult>("closedLoad.ts", {
        url,
        connections: 100,
        seconds: bench.quick ? 3 : 12,
      } satisfies ClosedLoad),
  );
  bench.progress("order cost: working off");
  const workingOff = await phase(
    bench,
    client,
    { PROCESSING_TIME: "0 millis", ...env },
    () => allCompleted(client, 300),
  );
  return { takingIn, workingOff };
};

/** What one order cost, over its life. */
export const ofLife = (
  { takingIn, workingOff }: Life,
  field: "postgresCpu" | "walBytes",
) => (takingIn[field] + workingOff[field]) / workingOff.orders;

export const run = async (bench: Bench): Promise<ReadonlyArray<Section>> => {
  const DATABASE_URL = await bench.database();
  return withClient(DATABASE_URL, async (client) => {
    const life = await live(bench, client, { DATABASE_URL });
    const { takingIn, workingOff } = life;
    const bytesOf = (index: boolean, sizes: ReadonlyArray<Health.Size>) =>
      sizes
        .filter(({ name }) => (name === "the table") !== index)
        .reduce((sum, { bytes }) => sum + bytes, 0) / workingOff.orders;
    const sizes = await Health.sizes(client);
    const goal = (
      name: string,
      value: number,
      limit: number,
      is: "at most" | "at least" = "at most",
    ) => ({ name, value, limit, is });
    return [
      {
        title: "What an order costs",
        note: `Taken in by 100 connections, then worked off as no work, each by a process of its own, after a checkpoint. On disk afterwards, an order: ${Math.round(bytesOf(false, sizes))} bytes of table, ${Math.round(bytesOf(true, sizes))} of indexes.`,
        rows: [row("taking in", takingIn), row("working off", workingOff)],
        goals: [
          goal(
            "PostgreSQL with events, µs an order",
            ofLife(life, "postgresCpu") * 1000,
            58,
          ),
          goal(
            "WAL with events, bytes an order",
            ofLife(life, "walBytes"),
            1400,
          ),
          goal("indexes, bytes an order", bytesOf(true, sizes), 170),
          goal(
            "updates that are heap-only",
            workingOff.heapOnly / workingOff.updates,
            0.95,
            "at least",
          ),
        ],
      },
    ];
  });
};
