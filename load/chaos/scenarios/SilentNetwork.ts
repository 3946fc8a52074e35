/** Connections to the database that break or go silent, all at once. */
import { setTimeout as wait } from "node:timers/promises";
import { until } from "../../../test/support/serviceProcess.ts";
import type { Demand } from "../Demands.ts";
import { orderOf } from "../Load.ts";
import type { Direction } from "../PgProxy.ts";
import { ordersASecond, type Scenario } from "../Scenario.ts";
import type { Stage } from "../Stage.ts";

/** How long the service may take to be ready after a fault. */
const readyMaxSeconds = 10;

/** The longest that this waits for it to be ready. */
const readyWaitSeconds = 90;

/** Readiness asks the database for 2 s; a busy machine adds something. */
const readinessMaxSeconds = 3;

/** What was seen of readiness; a stage has one. */
interface Seen {
  /** From the end of each fault, in seconds. */
  readonly untilReady: Array<number>;
  /** The longest that readiness took to answer, in seconds. */
  slowest: number;
  /** Probes that found readiness green while placing failed. */
  readonly untrue: Array<string>;
}

const seenOn = new WeakMap<Stage, Seen>();

const begin = (stage: Stage): Seen => {
  const seen: Seen = { untilReady: [], slowest: 0, untrue: [] };
  seenOn.set(stage, seen);
  return seen;
};

const secondsSince = (from: number) => (Date.now() - from) / 1000;

const isReady = async (stage: Stage): Promise<boolean> => {
  const answer = await fetch(`${stage.service.url}/health/ready`);
  await answer.body?.cancel();
  return answer.ok;
};

const untilReady = async (stage: Stage, { untilReady }: Seen) => {
  const from = Date.now();
  await until("it is ready", () => isReady(stage), readyWaitSeconds).catch(
    () => {},
  );
  const seconds = secondsSince(from);
  untilReady.push(seconds);
  stage.say(`${stage.name}: ready after ${seconds.toFixed(1)} s`);
};

function* readyInTime(_: unknown, stage: Stage): Iterable<Demand> {
  const { untilReady = [] } = seenOn.get(stage) ?? {};
  const late = untilReady.filter((seconds) => seconds > readyMaxSeconds);
  yield {
    demand: `it is ready within ${readyMaxSeconds} s of a fault's end`,
    isMet: untilReady.length > 0 && late.length === 0,
    found: `${untilReady.length - late.length} of ${untilReady.length}, ${Math.max(...untilReady).toFixed(1)} s at most`,
  };
}

/** As a database that is killed and back at once, where a network hides both. */
export const databaseBlink: Scenario = {
  name: "database-blink",
  about: "connections cut, refused for 100 ms, unanswered for 300 ms",
  rate: ordersASecond,
  isProxied: true,
  recoveryMaxSeconds: readyMaxSeconds,
  run: async (stage) => {
    const { proxy } = stage.service;
    const seen = begin(stage);
    for (let time = 0; time < stage.blinks; time += 1) {
      stage.fault("connections cut");
      proxy.shut(true);
      await wait(100);
      proxy.lose("both");
      proxy.shut(false);
      await wait(300);
      proxy.lose(undefined);
      stage.faultOver();
      // The leases may be lost only after the first answer.
      await wait(stage.amount(1000, 300));
      await untilReady(stage, seen);
      await stage.pause(1, 2);
    }
  },
  demands: readyInTime,
};

/**
 * Asks again and again whether the service is ready, and places an order at
 * the same time. Ends with the function that it returns.
 */
const probe = (stage: Stage, seen: Seen) => {
  let isOver = false;
  const ask = async (number: number) => {
    const from = Date.now();
    const [ready, placed] = await Promise.all([
      isReady(stage).finally(() => {
        seen.slowest = Math.max(seen.slowest, secondsSince(from));
      }),
      fetch(`${stage.service.url}/api/orders/`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(orderOf(`probe-${number}`)),
      }).then(async (answer) => {
        await answer.body?.cancel();
        return answer.ok;
      }),
    ]);
    // At its first moment a fault is nobody's knowledge yet.
    const fault = stage.faults.at(-1) ?? Number.POSITIVE_INFINITY;
    const isFirst = Math.abs(from - fault) < readinessMaxSeconds * 1000;
    if (ready && !placed && !isFirst) {
      seen.untrue.push(`${((from - fault) / 1000).toFixed(1)} s after a cut`);
    }
  };
  const asking: Array<Promise<void>> = [];
  const loop = async () => {
    for (let number = 0; !isOver; number += 1) {
      asking.push(ask(number).catch(() => {}));
      await wait(500);
    }
  };
  const looping = loop();
  return async () => {
    isOver = true;
    await looping;
    await Promise.all(asking);
  };
};

const silences: ReadonlyArray<Direction | "vanished"> = [
  "both",
  "to-database",
  "from-database",
  "vanished",
];

/** Packets are lost, and no connection is reset. */
export const silentNetwork: Scenario = {
  name: "silent-network",
  about: "all packets lost, both ways and each way, and a peer that vanished",
  rate: ordersASecond,
  isProxied: true,
  isMostlyWaiting: true,
  recoveryMaxSeconds: 5,
  run: async (stage) => {
    const { proxy } = stage.service;
    const seen = begin(stage);
    const end = probe(stage, seen);
    for (const silence of silences) {
      stage.fault(`silent: ${silence}`);
      if (silence === "vanished") proxy.vanish();
      proxy.lose(silence === "vanished" ? "both" : silence);
      await wait(stage.silentSeconds * 1000);
      proxy.lose(undefined);
      stage.faultOver();
      await untilReady(stage, seen);
      await wait(stage.amount(5000, 2000));
    }
    await end();
  },
  *demands(outcome, stage) {
    yield* readyInTime(outcome, stage);
    const { slowest = 0, untrue = [] } = seenOn.get(stage) ?? {};
    yield {
      demand: "readiness is never green while placing fails",
      isMet: untrue.length === 0,
      found: `${untrue.length}: ${untrue.slice(0, 3).join(", ")}`,
    };
    yield {
      demand: `readiness answers within ${readinessMaxSeconds} s`,
      isMet: slowest <= readinessMaxSeconds,
      found: `${slowest.toFixed(1)} s at most`,
    };
  },
};
