/** Harm done to the service's process. */
import { setTimeout as wait } from "node:timers/promises";
import { until } from "../../../test/support/serviceProcess.ts";
import { nothingFails, nothingIsSpent } from "../Demands.ts";
import * as NewOwner from "../NewOwner.ts";
import { ordersASecond, type Scenario } from "../Scenario.ts";
import type { Stage } from "../Stage.ts";

/** Killed without a word, and started again. */
export const kill: Scenario = {
  name: "kill",
  about: "SIGKILL of the service every 2-5 s",
  rate: ordersASecond,
  readsEvents: true,
  recoveryMaxSeconds: 2,
  run: async (stage) => {
    const times = stage.amount(5, 1);
    for (let time = 0; time < times; time += 1) {
      await stage.service.stop("SIGKILL");
      stage.fault("killed");
      stage.faultOver(await stage.service.start());
      if (stage.isShort) await stage.pause(0.3, 0.8);
      else await stage.pause(2, 5);
    }
  },
};

/** Killed while orders that are done leave the table. */
export const archiving: Scenario = {
  name: "archiving",
  about:
    "SIGKILL every 2-5 s while orders leave the table after 2 s, into files",
  rate: ordersASecond,
  archives: true,
  recoveryMaxSeconds: 2,
  run: async (stage) => {
    const times = stage.amount(8, 2);
    for (let time = 0; time < times; time += 1) {
      // Long enough for some to leave before the kill, and as it comes.
      await stage.pause(2.5, 5);
      await stage.service.stop("SIGKILL");
      stage.fault("killed");
      stage.faultOver(await stage.service.start());
    }
    await stage.pause(3, 4);
  },
  *demands({ archived, answered }) {
    yield {
      demand: "orders have left the table",
      isMet: archived > answered / 10,
      found: `${archived} of ${answered}`,
    };
  },
};

/** How long the subscription's receiver is away. */
const awaySeconds = 60;

/** Who gets the events posted is away, and the service is killed meanwhile. */
export const subscriberAway: Scenario = {
  name: "subscriber-away",
  about: `the receiver of a subscription is away for ${awaySeconds} s, and the service is killed meanwhile`,
  rate: ordersASecond,
  readsEvents: true,
  isMostlyWaiting: true,
  recoveryMaxSeconds: 2,
  run: async (stage) => {
    const seconds = stage.amount(awaySeconds, 3);
    await stage.readers?.down();
    stage.fault("the subscription's receiver is away");
    await wait((seconds / 2) * 1000);
    await stage.service.stop("SIGKILL");
    stage.fault("killed");
    stage.faultOver(await stage.service.start());
    await wait((seconds / 2) * 1000);
    await stage.readers?.up();
  },
};

/** How long the service stands still: longer than any of its own time-outs. */
const frozenSeconds = 11;

const takenOver = (stage: Stage, orders: ReadonlyArray<string>) =>
  stage.postgres.ask(stage.database, async (client) => {
    const { rows } = await client.query(
      `SELECT order_id, attempts FROM orders
       WHERE status = 'PROCESSING' AND order_id = ANY($1)`,
      [orders],
    );
    return rows as ReadonlyArray<{ order_id: string; attempts: number }>;
  });

/**
 * Frozen with attempts under way, which get their answers meanwhile. A new
 * owner takes half of these orders over; some it completes before the old one
 * wakes, some after the old one has tried.
 */
export const freeze: Scenario = {
  name: "freeze",
  about: `SIGSTOP for ${frozenSeconds} s while a new owner takes orders over`,
  rate: ordersASecond,
  isMostlyWaiting: true,
  recoveryMaxSeconds: 5,
  run: async (stage) => {
    const { random, receiver } = stage;
    const owner = NewOwner.open(`${stage.postgres.url}/${stage.database}`);
    try {
      const enough = stage.amount(100, 20);
      receiver.hold();
      await until(
        "attempts are under way",
        async () => receiver.held().length >= enough,
      );
      stage.service.signal("SIGSTOP");
      stage.fault("frozen");
      const frozenAt = Date.now();
      // What the service had sent may still arrive.
      await wait(200);
      const held = receiver.held();
      const chosen = new Set(held.filter(() => random.next() < 0.5));
      receiver.release((order_id) => {
        // What the old owner hears of orders that are no longer its own.
        const throws = random.next();
        if (!chosen.has(order_id) || throws < 0.6) return 200;
        return throws < 0.8 ? 500 : 422;
      });
      const taken = [];
      for (const order of await takenOver(stage, [...chosen])) {
        const attempt = await owner.takeOver(order.order_id, order.attempts);
        if (attempt !== undefined) taken.push(attempt);
      }
      stage.fault(`${taken.length} of ${held.length} orders taken over`);
      const early = taken.filter((_, index) => index % 3 === 0);
      for (const attempt of early) {
        receiver.apply(attempt.order_id);
        await owner.complete(attempt);
      }
      await wait(frozenAt + frozenSeconds * 1000 - Date.now());
      stage.service.signal("SIGCONT");
      stage.faultOver();
      // Time for the stale answers; those of a right service change nothing.
      await wait(stage.amount(3000, 1500));
      for (const attempt of taken.filter((_) => !early.includes(_))) {
        receiver.apply(attempt.order_id);
        await owner.complete(attempt);
      }
    } finally {
      await owner.close();
    }
  },
};

/** Set wrong while it runs: ahead, behind, right again. */
export const clock: Scenario = {
  name: "clock",
  about: "the service's clock 30 s ahead, then 30 s behind",
  rate: ordersASecond,
  settings: {
    NODE_OPTIONS: `--import ${new URL("../ShiftedClock.ts", import.meta.url)}`,
  },
  recoveryMaxSeconds: 5,
  run: async (stage) => {
    for (const where of ["ahead", "behind", "right again"]) {
      stage.service.signal("SIGUSR2");
      stage.fault(`clock ${where}`);
      stage.faultOver();
      await wait(stage.amount(6000, 700));
    }
  },
  *demands(_, stage) {
    const { min = 0, max = 0 } = stage.receiver.clockOff() ?? {};
    yield {
      demand: "the clock was 30 s off, both ways",
      isMet: min <= -29 && max >= 29,
      found: `${min} s to ${max} s`,
    };
  },
};

/** Stopped in order and started again, in turn. */
export const deploy: Scenario = {
  name: "deploy",
  about: "SIGTERM and start, in turn",
  rate: ordersASecond,
  recoveryMaxSeconds: 5,
  run: async (stage) => {
    const times = stage.amount(4, 1);
    for (let time = 0; time < times; time += 1) {
      const exit = await stage.service.stop("SIGTERM");
      stage.fault(`stopped with ${exit}`);
      if (exit !== 0) throw new Error(`the service stopped with ${exit}`);
      stage.faultOver(await stage.service.start());
      if (stage.isShort) await stage.pause(0.3, 0.8);
      else await stage.pause(4, 6);
    }
  },
  *demands(outcome) {
    yield nothingFails(outcome);
    yield nothingIsSpent(outcome);
  },
};
