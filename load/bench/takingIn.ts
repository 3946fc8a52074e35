/**
 * Taking in: what an order costs until it is durable and answered, and nothing
 * after that. The contenders take turns, so that a machine that is slow for a
 * while is slow for all of them.
 */

import { randomUUID } from "node:crypto";
import type { ClosedLoad, ClosedLoadResult } from "./closedLoad.ts";
import * as Cpu from "./cpu.ts";
import { ask, type Server, startServer } from "./processes.ts";
import type { Row, Section } from "./report.ts";
import {
  type Bench,
  median,
  startService,
  takingInOnly,
  withClient,
} from "./Setup.ts";

interface Contender {
  readonly name: string;
  readonly server: Server;
  /** Its database, for those that keep their orders. */
  readonly database: string | undefined;
  /** What its callers show. */
  readonly key?: string | undefined;
  readonly rounds: Array<Round>;
  /** Orders answered 201, over all rounds. */
  takenIn: number;
}

interface Round extends ClosedLoadResult {
  /** Microseconds of CPU an order. */
  readonly serviceCpu: number;
  readonly postgresCpu: number;
}

const withKeys = "this service, with keys";

const usual = 100;
const many = 1000;

const round = async (
  bench: Bench,
  contender: Contender,
  connections: number,
  seconds: number,
): Promise<Round> => {
  const { pid, url } = contender.server;
  await bench.settle();
  const service = Cpu.ofProcess(pid);
  const postgres = bench.postgresCpu();
  const { key } = contender;
  const load: ClosedLoad = { url, key, connections, seconds };
  const result = await ask<ClosedLoadResult>("closedLoad.ts", load);
  const perOrder = (millis: number) => (millis * 1000) / result.orders;
  contender.takenIn += result.orders;
  return {
    ...result,
    serviceCpu: perOrder(Cpu.ofProcess(pid) - service),
    postgresCpu: perOrder(bench.postgresCpu() - postgres),
  };
};

/**
 * Until its code is compiled: that takes a number of orders, not a time. One
 * that is slow is not waited for longer than it takes to be settled.
 */
const warmUp = async (bench: Bench, contender: Contender) => {
  const enough = bench.quick ? 8_000 : 30_000;
  const tries = bench.quick ? 2 : 8;
  for (let turn = 0; turn < tries && contender.takenIn < enough; turn += 1) {
    await round(bench, contender, usual, 2);
  }
};

const startContenders = async (
  bench: Bench,
): Promise<ReadonlyArray<Contender>> => {
  const { directory } = bench;
  const contender = (
    name: string,
    server: Server,
    database?: string,
  ): Contender => ({ name, server, database, rounds: [], takenIn: 0 });

  const echo = await startServer({
    program: "load/bench/echoServer.ts",
    readyPath: "/",
    directory,
    env: {},
  });
  const ours = await bench.database();
  const service = await startService(bench, {
    ...takingInOnly,
    DATABASE_URL: ours,
  });
  const fastify = async (env: Record<string, string>) => {
    const database = await bench.database();
    const server = await startServer({
      program: "load/bench/fastifyServer.ts",
      readyPath: "/health/ready",
      directory,
      env: { ...env, DATABASE_URL: database, NODE_ENV: "production" },
    });
    return { database, server };
  };
  const elsewhere: Array<Contender> = [];
  for (const runtime of bench.runtimes) {
    const database = await bench.database();
    const env = { ...takingInOnly, DATABASE_URL: database };
    const server = await startService(bench, env, runtime);
    elsewhere.push(contender(`this service on ${runtime}`, server, database));
  }
  const key = randomUUID();
  const closed = await bench.database();
  const keyed = await startService(bench, {
    ...takingInOnly,
    DATABASE_URL: closed,
    ACCESS: "keys",
    ADMIN_KEY: key,
  });
  const plain = await fastify({});
  const queued = await fastify({ QUEUE: "graphile-worker" });
  return [
    contender("node:http echo, no database", echo),
    contender("this service", service, ours),
    contender("Fastify + pg", plain.server, plain.database),
    contender("Fastify + pg + graphile-worker", queued.server, queued.database),
    { ...contender(withKeys, keyed, closed), key },
    ...elsewhere,
  ];
};

/** An order answered 201 is in the table, or the figures mean nothing. */
const checkDurable = async ({ database, name, takenIn }: Contender) => {
  if (database === undefined) return;
  const stored = await withClient(database, async (client) => {
    const { rows } = await client.query(
      "SELECT count(*)::float8 AS orders FROM orders",
    );
    return rows[0].orders as number;
  });
  if (stored < takenIn) {
    throw new Error(`${name}: ${takenIn} orders answered, ${stored} stored`);
  }
};

const medians = (rounds: ReadonlyArray<Round>) => {
  const of = (field: keyof Round) => median(rounds.map((_) => _[field]));
  return {
    service: of("serviceCpu"),
    postgres: of("postgresCpu"),
    both: median(rounds.map((_) => _.serviceCpu + _.postgresCpu)),
    perSecond: of("perSecond"),
    p50: of("p50"),
    p99: of("p99"),
    p99WithOpening: of("p99WithOpening"),
    refused: rounds.reduce((sum, _) => sum + _.refused, 0),
  };
};

const row = (name: string, rounds: ReadonlyArray<Round>, echo: number): Row => {
  const {
    both,
    p50,
    p99,
    p99WithOpening,
    perSecond,
    postgres,
    refused,
    service,
  } = medians(rounds);
  return {
    contender: name,
    "CPU µs/order": service,
    "of the echo's": service / echo,
    "PostgreSQL µs/order": postgres,
    "both µs": both,
    "orders/s": perSecond,
    "p50 ms": p50,
    "p99 ms": p99,
    "with opening": p99WithOpening,
    refused,
  };
};

export const run = async (bench: Bench): Promise<ReadonlyArray<Section>> => {
  const contenders = await startContenders(bench);
  const [echo, service, fastify] = contenders as [
    Contender,
    Contender,
    Contender,
  ];
  const seconds = bench.quick ? 2 : 6;
  const rounds = bench.quick ? 3 : 5;
  const crowded: Array<Round> = [];
  const keyed = contenders.find(({ name }) => name === withKeys);
  try {
    bench.progress("taking in: warming up");
    for (const contender of contenders) await warmUp(bench, contender);
    for (let turn = 1; turn <= rounds; turn += 1) {
      bench.progress(`taking in: round ${turn} of ${rounds}`);
      for (const contender of contenders) {
        contender.rounds.push(await round(bench, contender, usual, seconds));
      }
      crowded.push(await round(bench, service, many, seconds));
    }
    for (const contender of contenders) await checkDurable(contender);
  } finally {
    for (const { server } of contenders) await server.stop();
  }

  const base = medians(echo.rounds).service;
  const at = medians(service.rounds);
  const atMany = medians(crowded);
  return [
    {
      title: "Taking in",
      note: `${usual} connections (the last line: ${many}), ${rounds} rounds of ${seconds} s in turns, medians; p50 and p99 once the connections are open. Each order is committed before it is answered; none is worked off.`,
      rows: [
        ...contenders.map(({ name, rounds }) => row(name, rounds, base)),
        row(`${service.name}, ${many} connections`, crowded, base),
      ],
      goals: [
        {
          name: "the service's CPU, in echoes",
          value: at.service / base,
          limit: 1.7,
          is: "at most",
        },
        {
          name: "PostgreSQL's CPU, µs an order",
          value: at.postgres,
          limit: 20,
          is: "at most",
        },
        {
          name: "both, of Fastify + pg",
          value: at.both / medians(fastify.rounds).both,
          limit: 1 / 3,
          is: "at most",
        },
        {
          name: `p99 with ${many} connections open, of that with ${usual}`,
          value: atMany.p99 / at.p99,
          limit: 5,
          is: "at most",
        },
        {
          name: "the service's CPU with keys, µs more",
          value: medians(keyed?.rounds ?? []).service - at.service,
          limit: 3,
          is: "at most",
        },
        {
          name: "orders refused or unanswered",
          value: at.refused + atMany.refused,
          limit: 0,
          is: "at most",
        },
      ],
    },
  ];
};
