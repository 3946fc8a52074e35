/**
 * Events: what they cost an order, written or not, in turns; how soon they are
 * heard, and what a thousand listeners cost while nothing happens.
 */
import { setTimeout as wait } from "node:timers/promises";
import type pg from "pg";
import * as Cpu from "./cpu.ts";
import type { Listening, ListeningResult } from "./listeners.ts";
import type { OpenLoad, OpenLoadResult } from "./openLoad.ts";
import * as OrderCost from "./orderCost.ts";
import { ask, talk } from "./processes.ts";
import type { Section } from "./report.ts";
import {
  allCompleted,
  type Bench,
  median,
  startService,
  withClient,
} from "./Setup.ts";
import * as StatementCosts from "./statementCosts.ts";
import { memoryOf } from "./underBurden.ts";

const perSecond = 2_000;
const listeners = 1_000;

interface Cost {
  readonly takingInCpu: number;
  readonly workingOffCpu: number;
  readonly postgresCpu: number;
  readonly walBytes: number;
}

const costOf = async (bench: Bench, events: "on" | "off"): Promise<Cost> => {
  const DATABASE_URL = await bench.database();
  return withClient(DATABASE_URL, async (client) => {
    const life = await OrderCost.live(bench, client, {
      DATABASE_URL,
      EVENTS: events,
    });
    const cpu = ({ orders, serviceCpu }: OrderCost.Phase) =>
      (serviceCpu * 1000) / orders;
    return {
      takingInCpu: cpu(life.takingIn),
      workingOffCpu: cpu(life.workingOff),
      postgresCpu: OrderCost.ofLife(life, "postgresCpu") * 1000,
      walBytes: OrderCost.ofLife(life, "walBytes"),
    };
  });
};

const withAndWithout = async (bench: Bench): Promise<Section> => {
  const costs = { off: [] as Array<Cost>, on: [] as Array<Cost> };
  const rounds = bench.quick ? 1 : 5;
  for (let turn = 1; turn <= rounds; turn += 1) {
    bench.progress(`events, on and off: round ${turn} of ${rounds}`);
    for (const events of ["off", "on"] as const) {
      costs[events].push(await costOf(bench, events));
    }
  }
  const of = (events: "on" | "off", field: keyof Cost) =>
    median(costs[events].map((_) => _[field]));
  const row = (events: "on" | "off") => ({
    EVENTS: events,
    "taking in, CPU µs": of(events, "takingInCpu"),
    "working off, CPU µs": of(events, "workingOffCpu"),
    "PostgreSQL µs": of(events, "postgresCpu"),
    "WAL bytes": of(events, "walBytes"),
  });
  const more = (field: keyof Cost) => of("on", field) - of("off", field);
  const ratio = (field: keyof Cost) => of("on", field) / of("off", field);
  const atMost = (name: string, value: number, limit: number) => ({
    ...{ name, value, limit },
    is: "at most" as const,
  });
  return {
    title: "Events, written or not",
    note: "An order placed and completed: two events. Taken in by 100 connections, then worked off as no work; in turns, medians.",
    rows: [row("off"), row("on")],
    goals: [
      atMost("PostgreSQL, µs more an order", more("postgresCpu"), 8),
      atMost("WAL, bytes more an order", more("walBytes"), 400),
      atMost("service, taking in, of without", ratio("takingInCpu"), 1.1),
      atMost("service, working off, of without", ratio("workingOffCpu"), 1.1),
    ],
  };
};

const heard = async (bench: Bench): Promise<Section> => {
  const DATABASE_URL = await bench.database();
  const service = await startService(bench, {
    DATABASE_URL,
    PROCESSING_TIME: "0 millis",
  });
  try {
    return await withClient(DATABASE_URL, async (client) => {
      const load: OpenLoad = { url: service.url, perSecond: 1_000, seconds: 3 };
      await ask<OpenLoadResult>("openLoad.ts", load);
      await allCompleted(client, 30);
      bench.progress(`events heard at ${perSecond} orders/s`);
      const { answer, child } = talk<unknown>("listeners.ts", {
        url: service.url,
        listeners: 1,
      } satisfies Listening);
      await answer();
      const result = await ask<OpenLoadResult>("openLoad.ts", {
        ...load,
        perSecond,
        seconds: bench.quick ? 5 : 20,
      });
      await allCompleted(client, 60);
      // The last are heard a little later.
      await wait(2_000);
      child.send("stop");
      const { events, p50, p99 } = (await answer()) as ListeningResult;
      return {
        title: `Events heard at ${perSecond} orders a second`,
        note: "From the change of the order (the start of its transaction) to a listener of the stream, in milliseconds. Load, listener, service and PostgreSQL share the machine.",
        rows: [{ orders: result.orders, events, "p50 ms": p50, "p99 ms": p99 }],
        goals: [
          { name: "p99, ms", value: p99, limit: 250, is: "at most" },
          {
            name: "events heard, of two an order",
            value: events / (2 * result.orders),
            limit: 1,
            is: "at least",
          },
        ],
      };
    });
  } finally {
    await service.stop();
  }
};

const statements = (client: pg.Client) => StatementCosts.read(client, "");

const manyListeners = async (bench: Bench): Promise<Section> => {
  const DATABASE_URL = await bench.database();
  return withClient(DATABASE_URL, async (client) => {
    await StatementCosts.account(client);
    const service = await startService(bench, { DATABASE_URL });
    try {
      const seconds = bench.quick ? 10 : 30;
      const rest = async () => {
        await StatementCosts.forget(client);
        const cpu = Cpu.ofProcess(service.pid);
        await wait(seconds * 1000);
        return {
          statements: (await statements(client)).calls / seconds,
          memory: memoryOf(service.pid).now,
          cpu: (Cpu.ofProcess(service.pid) - cpu) / (10 * seconds),
        };
      };
      bench.progress("events: nobody listens");
      const alone = await rest();
      bench.progress(`events: ${listeners} listen`);
      const { answer, child } = talk<unknown>("listeners.ts", {
        url: service.url,
        listeners,
      } satisfies Listening);
      await answer();
      // Until all have found their place.
      await wait(10_000);
      const listened = await rest();
      child.send("stop");
      await answer();
      const row = (who: string, _: typeof alone) => ({
        listeners: who,
        "statements/s": _.statements,
        "memory MiB": _.memory,
        "CPU %": _.cpu,
      });
      return {
        title: "A thousand listeners, and nothing happens",
        note: `For ${seconds} s each.`,
        rows: [row("none", alone), row(String(listeners), listened)],
        goals: [
          {
            name: "statements a second more",
            value: listened.statements - alone.statements,
            limit: 1.1,
            is: "at most",
          },
          {
            name: "memory more, MiB",
            value: listened.memory - alone.memory,
            limit: 100,
            is: "at most",
          },
        ],
      };
    } finally {
      await service.stop();
    }
  });
};

export const run = async (bench: Bench): Promise<ReadonlyArray<Section>> => [
  await withAndWithout(bench),
  await heard(bench),
  await manyListeners(bench),
];
