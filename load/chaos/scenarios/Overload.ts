/** More than it can take. */
import { setTimeout as wait } from "node:timers/promises";
import * as Load from "../Load.ts";
import { ordersASecond, type Scenario } from "../Scenario.ts";

/** Requests at once that the service is set to take, and ten times as many. */
const inFlightMax = 100;
const callers = inFlightMax * 10;

/** More than what the orders of a flood may take, with what they leave behind. */
const growthMaxMiB = 400;

export const overload: Scenario = {
  name: "overload",
  about: `${callers} callers without patience; it takes ${inFlightMax} at once`,
  rate: ordersASecond,
  settings: { MAX_IN_FLIGHT: String(inFlightMax) },
  recoveryMaxSeconds: 5,
  run: async (stage) => {
    const flood = Load.start({
      balancer: stage.balancer,
      prefix: "flood",
      outstandingMax: callers,
      isPatient: false,
    });
    stage.loads.push(flood);
    stage.fault(`${callers} callers come`);
    const from = performance.now();
    await wait(stage.amount(15_000, 1500));
    const seconds = (performance.now() - from) / 1000;
    stage.fault(
      `asked ${(flood.sent() / seconds).toFixed(0)} times a second, ${(flood.answered.size / seconds).toFixed(0)} orders taken in a second`,
    );
    flood.stop();
    stage.faultOver();
  },
  *demands({ memory, misses }) {
    const refused = misses["503"] ?? 0;
    yield {
      demand: "what is too much is answered 503 with Retry-After",
      isMet: refused > 0,
      found: `${refused} times`,
    };
    const broken = Object.keys(misses).filter((miss) => miss !== "503");
    yield {
      demand: "and in no other way: no time-out, nothing cut off",
      isMet: broken.length === 0,
      found: broken.map((miss) => `${misses[miss]} ${miss}`).join(", "),
    };
    const growth = (memory.max ?? 0) - (memory.before ?? 0);
    yield {
      demand: `memory grows by ${growthMaxMiB} MiB at most`,
      isMet: growth <= growthMaxMiB,
      found: `${growth.toFixed(0)} MiB`,
    };
  },
};
