/** Harm done to one of three instances that share a database and the load. */
import { setTimeout as wait } from "node:timers/promises";
import { partitions } from "../../../src/domain/Partition.ts";
import { until } from "../../../test/support/serviceProcess.ts";
import { type Demand, nothingFails, nothingIsSpent } from "../Demands.ts";
import type { Instance } from "../Instance.ts";
import type { Outcome } from "../Outcome.ts";
import type { Scenario } from "../Scenario.ts";
import type { Stage } from "../Stage.ts";

const instances = 3;

/** What two busy cores can take with ease of three processes and their work. */
const rate = 200;

/** Each instance once, and from the start again, beginning with any. */
const inTurn = ({ instances, random }: Stage) => {
  const first = Math.floor(random.next() * instances.length);
  return (time: number): Instance =>
    instances[(first + time) % instances.length] as Instance;
};

/** The partitions that an instance says it owns. */
const ownedBy = async ({ url }: Instance): Promise<ReadonlyArray<number>> => {
  const answer = await fetch(`${url}/health/ready`);
  const said = (await answer.json()) as {
    readonly partitions?: ReadonlyArray<number>;
  };
  return said.partitions ?? [];
};

const wholeMaxSeconds = 60;

/**
 * Waits until every partition has one owner, and every instance has some: the
 * next fault hits a cluster that is whole, so that each is judged by itself.
 */
const untilWhole = (stage: Stage) =>
  until(
    "every partition has an owner",
    async () => {
      const owned = await Promise.all(stage.instances.map(ownedBy));
      const all = owned.flat();
      return (
        all.length === partitions.length &&
        new Set(all).size === partitions.length &&
        owned.every(({ length }) => length > 0)
      );
    },
    wholeMaxSeconds,
  );

/**
 * Killed without a word. It comes back in turn only when its orders have gone
 * to the others, and at once, while they still wait for it.
 */
export const clusterKill: Scenario = {
  name: "cluster-kill",
  about: "SIGKILL of one of three instances every few seconds",
  rate,
  instances,
  isMostlyWaiting: true,
  recoveryMaxSeconds: 3,
  run: async (stage) => {
    const victim = inTurn(stage);
    const times = stage.amount(4, 1);
    for (let time = 0; time < times; time += 1) {
      const killed = victim(time);
      stage.fault(`${killed.name} killed`);
      await killed.stop("SIGKILL");
      if (time % 2 === 0) await stage.pause(5.5, 7);
      await killed.start();
      await untilWhole(stage);
      stage.faultOver();
      await stage.pause(stage.amount(1.5, 0.3), stage.amount(3, 0.5));
    }
  },
};

/** The orders in work at an instance: those that it was the one to begin. */
const inWorkAt = (stage: Stage, { name }: Instance) =>
  stage.postgres.ask(stage.database, async (client) => {
    const { rows } = await client.query(
      `SELECT order_id FROM orders JOIN chaos_transitions USING (order_id)
       WHERE status = 'PROCESSING' AND became = 'PROCESSING' AND who LIKE $1`,
      [`% as ${name}`],
    );
    return new Set(rows.map(({ order_id }) => String(order_id)));
  });

/**
 * Does harm to an instance while it has many attempts under way, which get
 * their answers when the harm is done: those of orders at this instance as
 * `status` says, and all others 200.
 */
const harmInWork = async (
  stage: Stage,
  harmed: Instance,
  harm: () => void,
  status: () => number,
) => {
  const { receiver } = stage;
  const enough = stage.amount(100, 30);
  receiver.hold();
  await until(
    "attempts are under way",
    async () => receiver.held().length >= enough,
  );
  harm();
  // What the instance had sent may still arrive.
  await wait(200);
  const orders = await inWorkAt(stage, harmed);
  receiver.release((order_id) => (orders.has(order_id) ? status() : 200));
};

/** What an instance writes of an attempt whose order has gone elsewhere. */
const tooLate = /the attempt ended too late/g;

function* someEndTooLate(_: Outcome, { instances }: Stage): Iterable<Demand> {
  const count = instances.flatMap((instance) => [
    ...instance.output().matchAll(tooLate),
  ]).length;
  yield {
    demand: "attempts ended after their orders had gone elsewhere",
    isMet: count > 0,
    found: `${count} did`,
  };
}

/** Longer than a lease by far, and than any wait for an answer. */
const frozenSeconds = 11;

/** Frozen with attempts under way, which hear from the receiver meanwhile. */
export const clusterFreeze: Scenario = {
  name: "cluster-freeze",
  about: `SIGSTOP of one of three instances for ${frozenSeconds} s`,
  rate,
  instances,
  isMostlyWaiting: true,
  recoveryMaxSeconds: 5,
  // Whoever asked the frozen one waits until it goes on.
  callerMaxSeconds: frozenSeconds + 2,
  run: async (stage) => {
    const victim = inTurn(stage);
    const times = stage.amount(2, 1);
    for (let time = 0; time < times; time += 1) {
      const frozen = victim(time);
      await harmInWork(
        stage,
        frozen,
        () => {
          stage.fault(`${frozen.name} frozen`);
          frozen.signal("SIGSTOP");
        },
        () => {
          const throws = stage.random.next();
          return throws < 0.6 ? 200 : throws < 0.8 ? 500 : 422;
        },
      );
      await wait(frozenSeconds * 1000);
      frozen.signal("SIGCONT");
      stage.faultOver();
      // Time for its stale answers, and to get partitions again.
      await wait(stage.amount(3000, 1500));
      await untilWhole(stage);
    }
  },
  demands: someEndTooLate,
};

const cutSecondsMin = 7;
const cutSecondsMax = 9;

/**
 * Cut off from the database and not from its clients: once in silence, so that
 * what was on its way arrives late, and once with every connection refused.
 */
export const clusterPartition: Scenario = {
  name: "cluster-partition",
  about: `one of three instances cut off from the database for ${cutSecondsMin}-${cutSecondsMax} s`,
  rate,
  instances,
  isProxied: true,
  isMostlyWaiting: true,
  recoveryMaxSeconds: 10,
  run: async (stage) => {
    const victim = inTurn(stage);
    const ways = ["stall", "shut"] as const;
    for (const [time, way] of ways.slice(0, stage.amount(2, 1)).entries()) {
      const cut = victim(time);
      await harmInWork(
        stage,
        cut,
        () => {
          stage.fault(`${cut.name} cut off: ${way}`);
          cut.proxy[way](true);
        },
        () => 200,
      );
      await stage.pause(cutSecondsMin, cutSecondsMax);
      cut.proxy[way](false);
      stage.faultOver();
      await wait(stage.amount(3000, 1500));
      await untilWhole(stage);
    }
  },
  *demands(outcome, stage) {
    yield* someEndTooLate(outcome, stage);
    const { "503": refused = 0, timeout = 0 } = outcome.misses;
    const { answered: waited = 0 } = outcome.recovery;
    yield {
      demand: "callers waited or were refused where the database was away",
      isMet: refused + timeout > 0 || waited > cutSecondsMin - 1,
      found: `${refused} by 503, ${timeout} waited in vain, one waited ${waited.toFixed(2)} s`,
    };
  },
};

/** Replaced one after the other, as a release is. */
export const clusterRollingDeploy: Scenario = {
  name: "cluster-rolling-deploy",
  about: "SIGTERM and start of three instances, one by one",
  rate,
  instances,
  isMostlyWaiting: true,
  recoveryMaxSeconds: 5,
  run: async (stage) => {
    for (const instance of stage.instances) {
      stage.fault(`${instance.name} is told to stop`);
      const exit = await instance.stop("SIGTERM");
      if (exit !== 0) throw new Error(`${instance.name} stopped with ${exit}`);
      await instance.start();
      await untilWhole(stage);
      stage.faultOver();
      await stage.pause(stage.amount(2, 0.3), stage.amount(4, 0.5));
    }
  },
  *demands(outcome) {
    yield nothingFails(outcome);
    yield nothingIsSpent(outcome);
    const { max = 0 } = outcome.tries ?? {};
    yield {
      demand: "a caller who goes on to the next instance is answered",
      isMet: max <= instances,
      found: `${max} tries at most`,
    };
  },
};
