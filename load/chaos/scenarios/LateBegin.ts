/**
 * A begin that the database does when nobody waits for it any more. Its orders
 * are PROCESSING then, and no process knows of it: they have to be found, while
 * a backlog keeps the actor busy.
 */
import { until } from "../../../test/support/serviceProcess.ts";
import type { Demand } from "../Demands.ts";
import { orderOf } from "../Load.ts";
import type { Client } from "../Postgres.ts";
import { ordersASecond, type Scenario } from "../Scenario.ts";
import type { Stage } from "../Stage.ts";

const partition = 7;

/** Longer than an answer is waited for, shorter than a statement may take. */
const beginSeconds = 13.5;

/** A look every 30 s, and what it takes on a busy machine. */
const lostMaxSeconds = 35;

/** How long each order was PROCESSING with nobody working on it. */
const lostFor = new WeakMap<Stage, Array<number>>();

/** The orders' first begin takes as long as that of one of them. */
const slowBegin = async (client: Client, order_id: string) => {
  await client.query(`
    CREATE FUNCTION chaos_slow_begin() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(${beginSeconds}); RETURN NEW; END $$`);
  await client.query(`
    CREATE TRIGGER chaos_slow_begin BEFORE UPDATE ON orders FOR EACH ROW
    WHEN (NEW.order_id = '${order_id}' AND NEW.begun = 1 AND OLD.begun = 0)
    EXECUTE FUNCTION chaos_slow_begin()`);
};

/** Places orders in the one partition, as the service would. */
const place = async (
  client: Client,
  prefix: string,
  count: number,
): Promise<void> => {
  const orders = Array.from({ length: count }, (_, index) =>
    orderOf(`${prefix}-${index}`),
  );
  await client.query(
    `WITH placed AS (
      INSERT INTO orders (order_id, user_id, item_ids, total_amount, partition)
      SELECT * FROM unnest(
        $1::text[], $2::text[], $3::text[]::json[], $4::numeric[]
      ), (SELECT $5::smallint) AS partition
      RETURNING 1
    )
    UPDATE order_statistics SET
      accepted = accepted + (SELECT count(*) FROM placed),
      pending = pending + (SELECT count(*) FROM placed)
    WHERE slot = 0`,
    [
      orders.map((_) => _.order_id),
      orders.map((_) => _.user_id),
      orders.map((_) => JSON.stringify(_.item_ids)),
      orders.map((_) => _.total_amount),
      partition,
    ],
  );
};

/** Whether an order's first attempt is under way, as the database has it. */
const isFirstUnderWay = async (client: Client, order_id: string) => {
  const { rows } = await client.query(
    "SELECT status, begun FROM orders WHERE order_id = $1",
    [order_id],
  );
  return rows[0]?.status === "PROCESSING" && rows[0].begun === 1;
};

export const lateBegin: Scenario = {
  name: "late-begin",
  about: `a begin that takes ${beginSeconds} s, with a backlog in its partition`,
  rate: ordersASecond,
  isMostlyWaiting: true,
  recoveryMaxSeconds: 5,
  run: (stage) =>
    stage.postgres.ask(stage.database, async (client) => {
      const slow = "late-begin-slow-0";
      await slowBegin(client, slow);
      // It is due before all others, and so begun before them.
      await place(client, "late-begin-slow", 1);
      await place(client, "late-begin-backlog", stage.amount(12_000, 1000));
      stage.fault("a begin takes long");
      await until(
        "the begin is done",
        () => isFirstUnderWay(client, slow),
        2 * beginSeconds,
      );
      const doneAt = Date.now();
      await until(
        "its attempt is found",
        async () => !(await isFirstUnderWay(client, slow)),
        2 * lostMaxSeconds,
      ).catch(() => {});
      lostFor.set(stage, [(Date.now() - doneAt) / 1000]);
      stage.faultOver();
    }),
  *demands(_, stage): Iterable<Demand> {
    const seconds = Math.max(...(lostFor.get(stage) ?? [Infinity]));
    yield {
      demand: `a lost attempt is found within ${lostMaxSeconds} s`,
      isMet: seconds <= lostMaxSeconds,
      found: `after ${seconds.toFixed(1)} s`,
    };
    const taken = stage.service.output().split("order taken back").length - 1;
    yield {
      demand: "an attempt was lost",
      isMet: taken > 0,
      found: `${taken} were`,
    };
  },
};
