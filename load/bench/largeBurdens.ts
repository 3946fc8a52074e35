/**
 * Burdens of little number and much weight: bodies, answers and orders of up to
 * a mebibyte, from callers who take their time or do not come back.
 */
import { until } from "../../test/support/serviceProcess.ts";
import type { Answers, LargeRequests } from "./largeRequests.ts";
import { ask, type Environment, type Server } from "./processes.ts";
import type { RawClients } from "./rawClients.ts";
import { type Bench, countOrders, takingInOnly, withClient } from "./Setup.ts";
import { type Taken, under } from "./underBurden.ts";

/** Nearly what the body of a request may be. */
const itemBytes = 960_000;

/** Adds orders with items of that size, in a status, statistics and all. */
const addLargeOrders = (
  database: string,
  orders: number,
  status: "PENDING" | "FAILED",
) =>
  withClient(database, (client) =>
    client.query(
      `WITH placed AS (
        INSERT INTO orders (order_id, user_id, item_ids, total_amount, partition,
          status, ended)
        SELECT 'large-' || n, 'LARGE', to_json(ARRAY[
            repeat(md5(random()::text), $2 / 32)]), 19.99, n % 32, $3,
          nullif($3, 'PENDING')
        FROM generate_series(1, $1::integer) AS n RETURNING 1
      )
      UPDATE order_statistics SET accepted = accepted + $1,
        ${status.toLowerCase()} = ${status.toLowerCase()} + $1
      WHERE slot = 0`,
      [orders, itemBytes, status],
    ),
  );

/** The bodies of `clients` requests, of each of which the last byte is missing. */
const unfinishedBodies = (bench: Bench, env: Environment): Promise<Taken> => {
  const clients = 250;
  const length = 2 ** 20;
  return under(
    bench,
    `${clients} bodies of 1 MiB that are not finished`,
    env,
    async ({ url }) => {
      const asked: RawClients = {
        url,
        clients,
        text: `POST /api/orders/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`,
        fillBytes: length - 1,
        seconds: bench.quick ? 8 : 40,
      };
      await ask<number>("rawClients.ts", asked);
    },
  );
};

const stalledReaders = (bench: Bench, env: Environment): Promise<Taken> => {
  const clients = 40;
  return under(
    bench,
    `${clients} that ask for /docs 20 times and read nothing`,
    env,
    async ({ url }) => {
      const asked: RawClients = {
        url,
        clients,
        text: "GET /docs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(20),
        fillBytes: 0,
        seconds: 40,
      };
      const open = await ask<number>("rawClients.ts", asked);
      if (open > 0) throw new Error(`${open} stalled readers were kept`);
    },
  );
};

const retries = async (bench: Bench): Promise<Taken> => {
  const orders = 150;
  const env = { ...takingInOnly, DATABASE_URL: await bench.database() };
  await under(bench, "at rest", env, bench.settle);
  await addLargeOrders(env.DATABASE_URL, orders, "FAILED");
  return under(
    bench,
    `${orders} dead letters of 0.96 MB retried together`,
    env,
    async ({ url }) => {
      const answer = await fetch(
        `${url}/api/orders/retry/?all=true&limit=${orders}`,
        {
          method: "POST",
        },
      );
      const { retried } = (await answer.json()) as { retried: number };
      if (retried !== orders) throw new Error(`${retried} were retried`);
    },
  );
};

const largeWork = async (bench: Bench): Promise<Taken> => {
  const orders = bench.quick ? 200 : 600;
  const env = {
    DATABASE_URL: await bench.database(),
    PROCESSING_CONCURRENCY: "2048",
  };
  await under(bench, "at rest", env, bench.settle);
  await addLargeOrders(env.DATABASE_URL, orders, "PENDING");
  return under(
    bench,
    `${orders} orders of 0.96 MB worked off, PROCESSING_CONCURRENCY=2048`,
    env,
    () =>
      withClient(env.DATABASE_URL, (client) =>
        until(
          "the large orders are COMPLETED",
          async () => (await countOrders(client, "completed")) === orders,
          300,
        ).then(() => {}),
      ),
  );
};

/** Callers for ten seconds: they are answered with 2xx or told to wait. */
const callers = (
  bench: Bench,
  what: string,
  env: Environment,
  asked: Omit<LargeRequests, "url" | "seconds" | "itemBytes">,
): Promise<Taken> =>
  under(
    bench,
    `${asked.callers} callers ${what}`,
    env,
    async ({ url }: Server) => {
      const answers = await ask<Answers>("largeRequests.ts", {
        ...asked,
        url,
        seconds: 10,
        itemBytes: 900_000,
      } satisfies LargeRequests);
      bench.progress(`memory: answers ${JSON.stringify(answers)}`);
      const others = Object.keys(answers).filter(
        (status) => !/^(2..|503)$/.test(status),
      );
      if (others.length > 0) {
        throw new Error(`unexpected answers: ${JSON.stringify(answers)}`);
      }
    },
  );

export const run = async (bench: Bench): Promise<ReadonlyArray<Taken>> => {
  const env = { ...takingInOnly, DATABASE_URL: await bench.database() };
  const many = bench.quick ? 300 : 1_000;
  const taken = [
    await unfinishedBodies(bench, env),
    await stalledReaders(bench, env),
    await retries(bench),
    await largeWork(bench),
    await callers(bench, "placing orders of 0.9 MB", env, { callers: many }),
  ];
  await addLargeOrders(env.DATABASE_URL, 50, "FAILED");
  return [
    ...taken,
    await callers(bench, "finding an order of 0.96 MB", env, {
      callers: many,
      path: "/api/orders/large-1/",
    }),
    await callers(bench, "listing orders of 0.96 MB", env, {
      callers: many,
      path: "/api/orders/?status=FAILED&limit=500",
    }),
  ];
};
