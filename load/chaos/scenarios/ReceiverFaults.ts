/** Harm done by the receiver of the webhook. */
import { setTimeout as wait } from "node:timers/promises";
import { until } from "../../../test/support/serviceProcess.ts";
import { type Away, type Poison, poisonOf, poisons } from "../Receiver.ts";
import { ordersASecond, type Scenario } from "../Scenario.ts";
import type { Stage } from "../Stage.ts";

const names = Object.values(poisons);

/** One order in so many is poison. */
const poisonEvery = 25;

const attemptsMax = 3;

/** Poison that the receiver answers to: its orders become dead letters. */
const answered: ReadonlyArray<Poison> = ["fails", "refused"];

/**
 * Orders that cannot be worked, among others that can. Those that the receiver
 * does not answer to wait for it; they are worked once it is mended.
 */
export const poison: Scenario = {
  name: "poison",
  about: "orders whose work fails, hangs, is garbage or is refused, always",
  rate: ordersASecond,
  isMostlyWaiting: true,
  settings: {
    MAX_ATTEMPTS: String(attemptsMax),
    RETRY_BASE: "200 millis",
    PROCESSING_TIMEOUT: "2 seconds",
  },
  mark: (number) =>
    number % poisonEvery === 0
      ? names[(number / poisonEvery) % names.length]
      : undefined,
  endOf: (order_id) => {
    const poison = poisonOf(order_id);
    return poison !== undefined && answered.includes(poison)
      ? "FAILED"
      : "COMPLETED";
  },
  recoveryMaxSeconds: 5,
  run: async (stage) => {
    stage.isMarking = true;
    stage.fault("poison is placed");
    await wait(stage.amount(15_000, 2500));
    stage.isMarking = false;
    stage.faultOver();
    // The others go on meanwhile: the receiver is not away, it only says no.
    await until(
      "the poison has come to its end",
      () =>
        stage.postgres.ask(stage.database, async (client) => {
          const { rowCount } = await client.query(
            `SELECT 1 FROM orders WHERE status IN ('PENDING', 'PROCESSING')
             AND order_id ~ $1 LIMIT 1`,
            [`-(${answered.join("|")})-`],
          );
          return rowCount === 0;
        }),
      60,
    );
    stage.receiver.mend();
  },
  *demands({ rows }) {
    yield {
      demand: "there was poison",
      isMet: rows.FAILED > 0,
      found: `${rows.FAILED} orders FAILED`,
    };
  },
};

/** Away for longer than the attempts of an order would last if hammered. */
export const receiverDown: Scenario = {
  name: "receiver-down",
  about: "the webhook's receiver away for a minute",
  rate: ordersASecond / 2,
  isMostlyWaiting: true,
  // It is left alone for up to a quarter of a minute at a time.
  recoveryMaxSeconds: 20,
  run: async (stage) => {
    await stage.receiver.down();
    stage.fault("the receiver is away");
    await wait(stage.amount(60_000, 15_000));
    await stage.receiver.up();
    stage.faultOver();
    await until(
      "work goes on",
      async () => {
        const { size } = stage.receiver.ledger;
        await wait(100);
        return stage.receiver.ledger.size > size;
      },
      30,
    );
  },
};

/** How it is away, in turn. A wrong route comes first: it spends attempts. */
const waysToBeAway: ReadonlyArray<Away> = [
  404,
  503,
  "refused",
  401,
  "hangs",
  "refused",
];

/** So long after its return, all that waited for it must be done. */
const backlogMaxSeconds = 60;

/** Away in all ways there are, for longer than any order has attempts. */
export const receiverAway: Scenario = {
  name: "receiver-away",
  about: "the webhook's receiver away in every way, in turn (--away)",
  rate: 100,
  isMostlyWaiting: true,
  settings: { PROCESSING_TIMEOUT: "5 seconds" },
  // It is left alone for up to a quarter of a minute at a time.
  recoveryMaxSeconds: 20,
  run: async (stage) => {
    const each = stage.awaySeconds / waysToBeAway.length;
    for (const way of waysToBeAway) {
      await stage.receiver.away(way);
      stage.fault(`the receiver is away: ${way}`);
      await wait(each * 1000);
    }
    await stage.receiver.up();
    stage.faultOver();
    await until(
      "all orders that waited are at their end",
      () => isBacklogDone(stage),
      backlogMaxSeconds + 30,
    );
  },
  *demands({ attempts, backlogSeconds, rows }) {
    yield {
      demand: "no order becomes a dead letter",
      isMet: rows.FAILED === 0,
      found: `${rows.FAILED} FAILED, at most ${attempts?.max} attempts`,
    };
    yield {
      demand: `all that waited is done within ${backlogMaxSeconds} s of its return`,
      isMet:
        backlogSeconds !== undefined && backlogSeconds <= backlogMaxSeconds,
      found: `${backlogSeconds?.toFixed(1)} s`,
    };
  },
};

/** Whether all orders placed before the last fault was over are at their end. */
const isBacklogDone = (stage: Stage) =>
  stage.postgres.ask(stage.database, async (client) => {
    const { rowCount } = await client.query(
      `SELECT 1 FROM orders WHERE status IN ('PENDING', 'PROCESSING')
       AND created_at < to_timestamp($1::float8 / 1000) LIMIT 1`,
      [stage.faultsOver.at(-1)],
    );
    return rowCount === 0;
  });
