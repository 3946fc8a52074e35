/**
 * Taking in by batches, beside single places: the same service, the same orders,
 * in turns. Nothing is worked off, so that only taking in is measured.
 */
import type { BatchLoad, BatchLoadResult } from "./batchLoad.ts";
import type { ClosedLoad, ClosedLoadResult } from "./closedLoad.ts";
import * as Cpu from "./cpu.ts";
import { ask, type Server } from "./processes.ts";
import type { Row, Section } from "./report.ts";
import {
  type Bench,
  median,
  startService,
  takingInOnly,
  withClient,
} from "./Setup.ts";

const size = 500;
const connections = 8;

interface Way {
  readonly name: string;
  readonly send: (url: string, seconds: number) => Promise<BatchLoadResult>;
}

const batches =
  (options: Pick<BatchLoad, "asLines" | "minimal">): Way["send"] =>
  (url, seconds) =>
    ask<BatchLoadResult>("batchLoad.ts", {
      ...options,
      url,
      seconds,
      size,
      connections,
    } satisfies BatchLoad);

const single: Way = {
  name: "one by one, 100 connections",
  send: (url, seconds) =>
    ask<ClosedLoadResult>("closedLoad.ts", {
      url,
      seconds,
      connections: 100,
    } satisfies ClosedLoad),
};

const minimal: Way = {
  name: `arrays of ${size}, return=minimal`,
  send: batches({ asLines: false, minimal: true }),
};

const ways: ReadonlyArray<Way> = [
  single,
  minimal,
  {
    name: `arrays of ${size}`,
    send: batches({ asLines: false, minimal: false }),
  },
  {
    name: `lines, ${size} a request, return=minimal`,
    send: batches({ asLines: true, minimal: true }),
  },
];

interface Round extends BatchLoadResult {
  /** Microseconds of CPU an order. */
  readonly serviceCpu: number;
  readonly postgresCpu: number;
}

const round = async (
  bench: Bench,
  { pid, url }: Server,
  way: Way,
  seconds: number,
): Promise<Round> => {
  await bench.settle();
  const service = Cpu.ofProcess(pid);
  const postgres = bench.postgresCpu();
  const result = await way.send(url, seconds);
  const perOrder = (millis: number) => (millis * 1000) / result.orders;
  return {
    ...result,
    serviceCpu: perOrder(Cpu.ofProcess(pid) - service),
    postgresCpu: perOrder(bench.postgresCpu() - postgres),
  };
};

const row = (name: string, rounds: ReadonlyArray<Round>): Row => {
  const of = (field: keyof Round) => median(rounds.map((_) => _[field]));
  return {
    way: name,
    "orders/s": of("perSecond"),
    "CPU µs/order": of("serviceCpu"),
    "PostgreSQL µs/order": of("postgresCpu"),
    "p50 ms": of("p50"),
    "p99 ms": of("p99"),
    refused: rounds.reduce((sum, _) => sum + _.refused, 0),
  };
};

/** Every order answered 201 is there, and no other. */
const checkDurable = async (database: string, takenIn: number) => {
  const stored = await withClient(database, async (client) => {
    const { rows } = await client.query(
      "SELECT count(*)::float8 AS orders FROM orders",
    );
    return rows[0].orders as number;
  });
  if (stored < takenIn) {
    throw new Error(`${takenIn} orders answered 201, ${stored} stored`);
  }
};

export const run = async (bench: Bench): Promise<ReadonlyArray<Section>> => {
  const database = await bench.database();
  const service = await startService(bench, {
    ...takingInOnly,
    DATABASE_URL: database,
  });
  const seconds = bench.quick ? 3 : 6;
  const turns = bench.quick ? 3 : 5;
  const rounds = new Map<Way, Array<Round>>(ways.map((way) => [way, []]));
  let takenIn = 0;
  try {
    bench.progress("batch: warming up");
    for (const way of ways) {
      takenIn += (await round(bench, service, way, seconds)).orders;
    }
    for (let turn = 1; turn <= turns; turn += 1) {
      bench.progress(`batch: round ${turn} of ${turns}`);
      for (const way of ways) {
        const measured = await round(bench, service, way, seconds);
        takenIn += measured.orders;
        rounds.get(way)?.push(measured);
      }
    }
    await checkDurable(database, takenIn);
  } finally {
    await service.stop();
  }
  const perSecond = (way: Way) =>
    median((rounds.get(way) ?? []).map((_) => _.perSecond));
  return [
    {
      title: "Taking in by batches",
      note: `${connections} connections (one by one: 100), ${turns} rounds of ${seconds} s in turns, medians. Each order is committed before it is answered; none is worked off. p50 and p99 are of a request. The load runs on the same machine.`,
      rows: ways.map((way) => row(way.name, rounds.get(way) ?? [])),
      goals: [
        {
          name: `orders a second, arrays of ${size}`,
          value: perSecond(minimal),
          limit: 20_000,
          is: "at least",
        },
        {
          name: "of those one by one",
          value: perSecond(minimal) / perSecond(single),
          limit: 2,
          is: "at least",
        },
        {
          name: "orders refused or unanswered",
          value: Array.from(rounds.values())
            .flat()
            .reduce((sum, _) => sum + _.refused, 0),
          limit: 0,
          is: "at most",
        },
      ],
    },
  ];
};
