/** A table of a size, and the service on it. */
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { cursorOf } from "../../src/api/PageCursor.ts";
import * as Cpu from "./cpu.ts";
import type { Asked } from "./oneByOne.ts";
import * as OneByOne from "./oneByOne.ts";
import { addPastOrders, busyUser } from "./pastOrders.ts";
import {
  allCompleted,
  type Bench,
  median,
  startService,
  takingInOnly,
  withClient,
} from "./Setup.ts";
import * as StatementCosts from "./statementCosts.ts";
import { addBacklog } from "./workingOff.ts";

/** What one operation cost, in one round. */
export interface Cost {
  /** Microseconds of CPU, of the service and of PostgreSQL. */
  readonly cpu: number;
  /** Milliseconds. */
  readonly latency: number;
  readonly buffers: number;
  readonly walBytes: number;
}

export interface TableSize {
  readonly orders: number;
  readonly database: string;
}

/** An order that is somewhere in the table, and where. */
interface Somewhere {
  readonly order_id: string;
  readonly user_id: string;
  readonly cursor: string;
}

/** Makes a table that the planner has never looked at. */
export const make = async (
  bench: Bench,
  orders: number,
): Promise<TableSize> => {
  const database = await bench.database();
  const migrated = await startService(bench, { DATABASE_URL: database });
  await migrated.stop();
  await withClient(database, async (client) => {
    await StatementCosts.account(client);
    await client.query("ALTER TABLE orders SET (autovacuum_enabled = off)");
  });
  await addPastOrders({
    database,
    orders,
    onProgress: (made) =>
      bench.progress(`constant cost: ${made} of ${orders} orders made`),
  });
  return { orders, database };
};

/** Has the database look at the table, as it would have before long. */
export const analyse = ({ database }: TableSize) =>
  withClient(database, (client) => client.query("VACUUM ANALYZE orders"));

const pageOf = (query: string) => `/api/orders/?limit=50${query}`;

interface Operation {
  /** Words by which its statements are known. */
  readonly words: string;
  readonly ask: (somewhere: Somewhere) => Asked;
}

const list = "WITH read0 AS";

/**
 * What is asked for over HTTP, each at another place in the table; of pages only
 * those that are full in a small table too.
 */
export const operations: Readonly<Record<string, Operation>> = {
  place: {
    words: "INSERT INTO orders",
    ask: ({ user_id }) => ({
      path: "/api/orders/",
      body: `{"order_id":"${randomUUID()}","user_id":"${user_id}","item_ids":[17,42,99],"total_amount":19.99}`,
    }),
  },
  find: {
    words: "o.order_id = ANY",
    ask: ({ order_id }) => ({ path: `/api/orders/${order_id}/` }),
  },
  "first page": { words: list, ask: () => ({ path: pageOf("") }) },
  "deep page": {
    words: list,
    ask: ({ cursor }) => ({ path: pageOf(`&cursor=${cursor}`) }),
  },
  "first page of COMPLETED": {
    words: list,
    ask: () => ({ path: pageOf("&status=COMPLETED") }),
  },
  "deep page of COMPLETED": {
    words: list,
    ask: ({ cursor }) => ({
      path: pageOf(`&status=COMPLETED&cursor=${cursor}`),
    }),
  },
  "first page of FAILED": {
    words: list,
    ask: () => ({ path: pageOf("&status=FAILED") }),
  },
  "page of PENDING": {
    words: list,
    ask: () => ({ path: pageOf("&status=PENDING") }),
  },
  "first page of a user": {
    words: list,
    ask: ({ user_id }) => ({ path: pageOf(`&user_id=${user_id}`) }),
  },
  "first page of a busy user": {
    words: list,
    ask: () => ({ path: pageOf(`&user_id=${busyUser}`) }),
  },
  metrics: {
    words: "sum(accepted)",
    ask: () => ({ path: "/api/orders/metrics/" }),
  },
};

/** As many orders as asked for, from all over the table: reads all of it. */
const somewhere = async (
  client: pg.Client,
  count: number,
): Promise<ReadonlyArray<Somewhere>> => {
  const { rows } = await client.query(
    `SELECT order_id, user_id, seq FROM orders
    TABLESAMPLE BERNOULLI (least(100, 100 * 2.0 * $1::float8 /
      (SELECT sum(accepted) FROM order_statistics)))
    ORDER BY random() LIMIT $1`,
    [count],
  );
  return Array.from({ length: count }, (_, index) => {
    const { order_id, seq, user_id } = rows[index % rows.length];
    return { order_id, user_id, cursor: cursorOf({ seq: BigInt(seq) }) };
  });
};

/** A service on the table, and what its operations cost in turn. */
export interface Measured {
  readonly measure: (operation: string) => Promise<Cost>;
  readonly stop: () => Promise<void>;
}

/** The operations of callers, `count` times each; nothing is worked off. */
export const serve = async (
  bench: Bench,
  { database }: TableSize,
  count: number,
): Promise<Measured> => {
  const service = await startService(bench, {
    ...takingInOnly,
    DATABASE_URL: database,
  });
  const places = await withClient(database, (client) =>
    somewhere(client, 10 * count),
  );
  return {
    stop: service.stop,
    measure: (name) =>
      withClient(database, async (client) => {
        const operation = operations[name] as Operation;
        // Seldom the same twice: what was read before is quicker to read.
        const from = Math.floor(Math.random() * (places.length - count));
        const asked = places
          .slice(from, from + count)
          .map((place) => operation.ask(place));
        await StatementCosts.forget(client);
        await bench.settle();
        const cpu = Cpu.ofProcess(service.pid) + bench.postgresCpu();
        const latencies = await OneByOne.ask(service.url, asked);
        const spent = Cpu.ofProcess(service.pid) + bench.postgresCpu() - cpu;
        const costs = await StatementCosts.read(client, operation.words);
        if (costs.calls === 0) throw new Error(`no statement for ${name}`);
        return {
          cpu: (spent * 1000) / count,
          latency: median(latencies),
          buffers: costs.buffers / count,
          walBytes: costs.walBytes / count,
        };
      }),
  };
};

/** The statements of the processor, by their words. */
export const changes: Readonly<Record<string, string>> = {
  begin: "processing_started_at = now()",
  complete: "processing_completed_at = now()",
};

/** Works `count` orders off, and gives the costs of each change of an order. */
export const workOff = async (
  bench: Bench,
  { database }: TableSize,
  count: number,
): Promise<Readonly<Record<string, Cost>>> => {
  const service = await startService(bench, {
    DATABASE_URL: database,
    PROCESSING_TIME: "0 millis",
  });
  try {
    return await withClient(database, async (client) => {
      await allCompleted(client, 120);
      await bench.settle();
      await StatementCosts.forget(client);
      await addBacklog(database, count);
      const cpu = Cpu.ofProcess(service.pid) + bench.postgresCpu();
      await allCompleted(client, 120);
      const spent = Cpu.ofProcess(service.pid) + bench.postgresCpu() - cpu;
      const costs: Record<string, Cost> = {};
      for (const [name, words] of Object.entries(changes)) {
        const { buffers, calls, millis, walBytes } = await StatementCosts.read(
          client,
          words,
        );
        if (calls === 0) throw new Error(`no statement for ${name}`);
        costs[name] = {
          cpu: (spent * 1000) / count,
          latency: millis / count,
          buffers: buffers / count,
          walBytes: walBytes / count,
        };
      }
      return costs;
    });
  } finally {
    await service.stop();
  }
};
