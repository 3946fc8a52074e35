/** Harm done between the service and its database. */
import { setTimeout as wait } from "node:timers/promises";
import { ordersASecond, type Scenario } from "../Scenario.ts";

/** Statements by what they begin with, and how often each is cut. */
const insert = /INSERT INTO orders/;
const change = /UPDATE orders/;
const insertShare = 0.7;

/** Committed, and never told. */
export const commitCut: Scenario = {
  name: "commit-cut",
  about: "the connection is cut between a commit and its answer",
  rate: ordersASecond,
  isProxied: true,
  recoveryMaxSeconds: 5,
  run: async (stage) => {
    const { random, service } = stage;
    const { proxy } = service;
    const over = Date.now() + stage.amount(18_000, 2000);
    while (Date.now() < over) {
      const cuts = proxy.cuts();
      const isInsert = random.next() < insertShare;
      proxy.cutAnswerOf(isInsert ? insert : change);
      while (proxy.cuts() === cuts && Date.now() < over) await wait(5);
      if (proxy.cuts() === cuts) break;
      stage.fault(`cut the answer to ${isInsert ? "an insert" : "a change"}`);
      stage.faultOver();
      await stage.pause(0.1, 0.5);
    }
    proxy.cutAnswerOf(/(?!)/);
  },
  *demands({ misses, replayed }) {
    yield {
      demand: "orders whose answer was cut were placed again",
      isMet: replayed > 0,
      found: `${replayed} replays, ${misses["503"] ?? 0} answers 503`,
    };
  },
};

/** Half a second there and back, and now and then nothing at all. */
export const slowNetwork: Scenario = {
  name: "slow-network",
  about: "500 ms to the database and back, and stalls of 1-2 s",
  rate: ordersASecond,
  isProxied: true,
  recoveryMaxSeconds: 5,
  run: async (stage) => {
    stage.service.proxy.delay(250);
    stage.fault("slow");
    const times = stage.amount(4, 1);
    for (let time = 0; time < times; time += 1) {
      await wait(stage.amount(2500, 800));
      stage.service.proxy.stall(true);
      stage.fault("stalled");
      await stage.pause(stage.amount(1, 0.5), stage.amount(2, 0.8));
      stage.service.proxy.stall(false);
    }
    stage.service.proxy.delay(0);
    stage.faultOver();
  },
};
