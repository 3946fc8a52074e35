/**
 * One stuck statement: another session holds the rows of a few orders, while
 * lists are read that take long. All other orders, and all who ask for
 * something else, have to go on as if nothing were.
 */
import { setTimeout as wait } from "node:timers/promises";
import { until } from "../../../test/support/serviceProcess.ts";
import * as Load from "../Load.ts";
import type { Client } from "../Postgres.ts";
import { poisonOf } from "../Receiver.ts";
import { ordersASecond, type Scenario } from "../Scenario.ts";
import type { Stage } from "../Stage.ts";

/** Orders in PROCESSING whose rows are held. */
const heldOrders = 8;

/** Callers who list at once, and the orders they list. */
const listCallers = 16;
const listedOrders = 20;

/** How long it takes to read one of those: a list of all of them, for ever. */
const slowRowSeconds = 0.5;
const slowUser = "SLOW";

/** The longest that anybody may wait for anything but what is held or slow. */
const waitMaxSeconds = 3;

/** What became of those who asked for something else meanwhile. */
interface Watch {
  asked: number;
  readonly refused: Array<string>;
  longestSeconds: number;
  readonly ended: Promise<void>;
}

/** By stage: several may be played at once. */
const watches = new WeakMap<Stage, Readonly<Record<string, Watch>>>();

const place = async (url: string, order: ReturnType<typeof Load.orderOf>) => {
  const { ok, status } = await fetch(`${url}/api/orders/`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(order),
  });
  if (!ok) throw new Error(`${order.order_id} was answered ${status}`);
  return order.order_id;
};

/** Asks again and again, and notes how that went, until `isOver`. */
const watch = (ask: () => Promise<Response>, isOver: () => boolean): Watch => {
  const go = async () => {
    while (!isOver()) {
      const from = performance.now();
      const answer = await ask();
      const body = await answer.text();
      const seconds = (performance.now() - from) / 1000;
      seen.asked += 1;
      seen.longestSeconds = Math.max(seen.longestSeconds, seconds);
      if (!answer.ok) seen.refused.push(`${answer.status} ${body}`);
      await wait(100);
    }
  };
  const refused: Array<string> = [];
  const seen: Watch = {
    asked: 0,
    refused,
    longestSeconds: 0,
    ended: Promise.resolve()
      .then(go)
      .catch((error) => {
        refused.push(String(error));
      }),
  };
  return seen;
};

/** What only the statement of a list says (`persistence/OrderPages.ts`). */
const listMark = "WITH read0 AS";

/**
 * Makes the rows of one user take long to list. For lists only: a row is no
 * slower for who reads the log than it is in life. Policies are not for
 * superusers, so the service is none meanwhile; the tables are its own.
 */
const slowDown = async (client: Client, user: string) => {
  await client.query(`ALTER ROLE ${user} NOSUPERUSER`);
  await client.query(`GRANT ALL ON chaos_transitions TO ${user}`);
  await client.query(`CREATE POLICY slow ON orders USING (
    CASE WHEN user_id = '${slowUser}' AND current_query() LIKE '%${listMark}%'
      THEN pg_sleep(${slowRowSeconds}) IS NOT NULL ELSE true END)`);
  await client.query("ALTER TABLE orders ENABLE ROW LEVEL SECURITY");
  await client.query("ALTER TABLE orders FORCE ROW LEVEL SECURITY");
};

const speedUp = async (client: Client, user: string) => {
  await client.query("ALTER TABLE orders NO FORCE ROW LEVEL SECURITY");
  await client.query("ALTER TABLE orders DISABLE ROW LEVEL SECURITY");
  await client.query("DROP POLICY slow ON orders");
  await client.query(`ALTER ROLE ${user} SUPERUSER`);
};

/** Waits until the statuses of orders are as they should be. */
const untilAre = (stage: Stage, condition: string, ids: Array<string>) =>
  until(`${ids.length} orders are ${condition}`, () =>
    stage.postgres.ask(stage.database, async (client) => {
      const { rowCount } = await client.query(
        `SELECT 1 FROM orders WHERE order_id = ANY($1) AND ${condition}`,
        [ids],
      );
      return rowCount === ids.length;
    }),
  );

/** Holds the row of an order that waits, and those of some in work. */
const hold = async (stage: Stage, client: Client, pending: string) => {
  stage.receiver.hold();
  await client.query("BEGIN");
  await until("orders are in work", async () => {
    await client.query("SAVEPOINT held");
    const { rowCount } = await client.query(
      `SELECT 1 FROM orders WHERE order_id = $1
         OR order_id = ANY($2) AND status = 'PROCESSING' LIMIT $3 FOR UPDATE`,
      [pending, stage.receiver.held(), heldOrders + 1],
    );
    if (rowCount === heldOrders + 1) return true;
    await client.query("ROLLBACK TO held");
    return false;
  });
  stage.fault(`the rows of ${heldOrders + 1} orders are held`);
  stage.receiver.release(() => 200);
};

export const stuckRow: Scenario = {
  name: "stuck-row",
  about: "a session holds the rows of some orders, beside slow lists",
  rate: ordersASecond,
  // An order that waits for its next attempt is PENDING until it is cancelled.
  settings: { RETRY_BASE: "1 minute" },
  endOf: (order_id) =>
    poisonOf(order_id) === undefined ? "COMPLETED" : "CANCELLED",
  recoveryMaxSeconds: 5,
  run: async (stage) => {
    const { name, postgres, service } = stage;
    const order = (suffix: string) => Load.orderOf(`${name}-${suffix}`);
    const pending = await place(service.url, order("fails-1"));
    const slow = await Promise.all(
      Array.from({ length: listedOrders }, (_, index) =>
        place(service.url, { ...order(`S${index}`), user_id: slowUser }),
      ),
    );
    await untilAre(stage, "status = 'COMPLETED'", slow);
    await untilAre(stage, "status = 'PENDING' AND attempts = 1", [pending]);
    let isOver = false;
    const ask = (path: string, method = "GET") =>
      watch(
        () => fetch(`${service.url}${path}`, { method }),
        () => isOver,
      );
    const found = [...(stage.loads[0]?.answered.keys() ?? [])][0];
    await postgres.ask(stage.database, (client) =>
      slowDown(client, service.name),
    );
    await postgres.ask(stage.database, async (client) => {
      await hold(stage, client, pending);
      const cancel = ask(`/api/orders/${pending}/cancel/`, "POST");
      const lists = Array.from({ length: listCallers }, () =>
        ask(`/api/orders/?user_id=${slowUser}`),
      );
      watches.set(stage, {
        find: ask(`/api/orders/${found}/`),
        metrics: ask("/api/orders/metrics/"),
        readiness: ask("/health/ready"),
      });
      await wait(stage.amount(20_000, 5000));
      isOver = true;
      // A change of the table would wait for the lists, and all others for it.
      await Promise.all(lists.map((_) => _.ended));
      const slowest = Math.max(...lists.map((_) => _.longestSeconds));
      stage.say(
        `${name}: cancel was refused ${cancel.refused.length} times (${cancel.refused[0]}), lists took up to ${slowest.toFixed(1)} s`,
      );
      if (slowest < waitMaxSeconds) {
        throw new Error(`lists were not slow: ${listMark} is no mark of them`);
      }
      await client.query("COMMIT");
    });
    await postgres.ask(stage.database, (client) =>
      speedUp(client, service.name),
    );
    stage.faultOver();
    await until("the order is cancelled", async () => {
      const url = `${service.url}/api/orders/${pending}/cancel/`;
      return [200, 409].includes((await fetch(url, { method: "POST" })).status);
    });
  },
  *demands({ misses }, stage) {
    for (const [what, seen] of Object.entries(watches.get(stage) ?? {})) {
      yield {
        demand: `${what} goes on, in ${waitMaxSeconds} s at most`,
        isMet:
          seen.asked > 0 &&
          seen.refused.length === 0 &&
          seen.longestSeconds <= waitMaxSeconds,
        found: `${seen.asked} asked, ${seen.refused.length} refused (${seen.refused[0]}), ${seen.longestSeconds.toFixed(2)} s at most`,
      };
    }
    const [from, to] = [stage.faults[0] ?? 0, stage.faultsOver[0] ?? 0];
    const waits = [...(stage.loads[0]?.answered.values() ?? [])]
      .filter(({ placedAt }) => placedAt >= from && placedAt <= to)
      .map(({ answeredAt, placedAt }) => (answeredAt - placedAt) / 1000);
    const longest = Math.max(0, ...waits);
    yield {
      demand: `placing goes on, in ${waitMaxSeconds} s at most`,
      isMet:
        waits.length > 0 &&
        longest <= waitMaxSeconds &&
        misses["503"] === undefined,
      found: `${waits.length} placed, ${misses["503"] ?? 0} refused, ${longest.toFixed(2)} s at most`,
    };
  },
};
