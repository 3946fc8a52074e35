/** Harm done by the receiver of the webhook. */
import { setTimeout as wait } from "node:timers/promises";
import { until } from "../../../test/support/serviceProcess.ts";
import { poisonOf, poisons } from "../Receiver.ts";
import { ordersASecond, type Scenario } from "../Scenario.ts";

const names = Object.values(poisons);

/** One order in so many is poison. */
const poisonEvery = 25;

const attemptsMax = 3;

/** Orders that can never be worked, among others that can. */
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
  endOf: (order_id) =>
    poisonOf(order_id) === undefined ? "COMPLETED" : "FAILED",
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
            `SELECT 1 FROM orders WHERE final_status IS NULL
             AND order_id ~ $1 LIMIT 1`,
            [`-(${names.join("|")})-`],
          );
          return rowCount === 0;
        }),
      60,
    );
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
