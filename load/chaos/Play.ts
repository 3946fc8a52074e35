/**
 * Plays one scenario and judges it: load, faults, load again, silence until
 * every answered order has come to its end; then everything is compared.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { until } from "../../test/support/serviceProcess.ts";
import { always, type Demand } from "./Demands.ts";
import * as Load from "./Load.ts";
import * as Outcome from "./Outcome.ts";
import type { Postgres } from "./Postgres.ts";
import { ordersMin, type Scenario } from "./Scenario.ts";
import * as SeededRandom from "./SeededRandom.ts";
import * as Stage from "./Stage.ts";

export interface Judged {
  readonly outcome: Outcome.Outcome;
  readonly demands: ReadonlyArray<Demand>;
}

export interface PlayOptions {
  readonly seed: number;
  readonly isShort: boolean;
  readonly postgres: Postgres;
  /** How long `receiver-away` keeps the receiver away, if not the usual time. */
  readonly awaySeconds?: number | undefined;
  /** How long `silent-network` loses packets, if not the usual time. */
  readonly silentSeconds?: number | undefined;
  /** How often `database-blink` cuts all connections, if not as usual. */
  readonly blinks?: number | undefined;
  readonly say: (line: string) => void;
  /** Where to leave what the service wrote. */
  readonly logDir?: string | undefined;
}

/** The load before, and the one after, in seconds: full and short. */
const warmUpSeconds = [3, 0.5] as const;
const beforeSeconds = [5, 0.7] as const;
const settleSeconds = [2, 0.3] as const;
const afterSeconds = [5, 0.7] as const;

/** How long `receiver-away` keeps the receiver away, full and short. */
const awaySeconds = [48, 9] as const;

/** How long `silent-network` loses packets, full and short. */
const silentSeconds = [30, 12] as const;

/** How often `database-blink` cuts all connections, full and short. */
const blinks = [8, 2] as const;

/** The rate is so much lower in the short form, which has no time to warm up. */
const shortShare = 3;

const outstandingMax = 500;

/**
 * Where there are several instances, callers wait so long for one. No scenario
 * allows as much: what a caller really waits is measured, and is not cut off.
 */
const balancedTimeoutSeconds = 60;

/** The longest wait for the cold start to be over. */
const atEaseMaxSeconds = 10;

/** The longest wait for all answers, and then for all orders to end. */
const answersMaxSeconds = 30;
const finalMaxSeconds = 90;

/**
 * Waits until the orders of a cold start are worked off: before that, more
 * orders are completed a second than are placed.
 */
const untilAtEase = (stage: Stage.Stage, rate: number): Promise<void> =>
  until(
    "the service works as fast as orders come",
    () =>
      stage.postgres.ask(stage.database, async (client) => {
        const { rowCount } = await client.query(
          "SELECT 1 FROM orders WHERE status IN ('PENDING', 'PROCESSING') LIMIT $1",
          [Math.ceil(rate / 4)],
        );
        return rowCount !== null && rowCount < rate / 4;
      }),
    atEaseMaxSeconds,
  ).then(
    () => {},
    // It does not; the figures will show it.
    () => {},
  );

/** Waits until no order is open, or that takes too long. */
const untilFinal = (stage: Stage.Stage): Promise<void> =>
  until(
    "all orders are at their end",
    () =>
      stage.postgres.ask(stage.database, async (client) => {
        const { rowCount } = await client.query(
          "SELECT 1 FROM orders WHERE status IN ('PENDING', 'PROCESSING') LIMIT 1",
        );
        return rowCount === 0;
      }),
    finalMaxSeconds,
  ).then(
    () => {},
    // The orders that are still open are found by the check.
    () => {},
  );

export const play = async (
  scenario: Scenario,
  options: PlayOptions,
): Promise<Judged> => {
  const startedAt = Date.now();
  const { instances = 1 } = scenario;
  const form = options.isShort ? 1 : 0;
  const stage = await Stage.open({
    name: scenario.name,
    postgres: options.postgres,
    random: SeededRandom.make(options.seed, scenario.name),
    isShort: options.isShort,
    awaySeconds: options.awaySeconds ?? awaySeconds[form],
    silentSeconds: options.silentSeconds ?? silentSeconds[form],
    blinks: options.blinks ?? blinks[form],
    instances,
    isProxied: scenario.isProxied ?? false,
    settings: scenario.settings ?? {},
    readsEvents: scenario.readsEvents ?? false,
    archives: scenario.archives ?? false,
    say: options.say,
  });
  try {
    const load = Load.start({
      balancer: stage.balancer,
      ...(instances > 1 ? { timeoutSeconds: balancedTimeoutSeconds } : {}),
      prefix: scenario.name,
      rate: scenario.rate / (options.isShort ? shortShare : 1),
      outstandingMax,
      mark: (number) => (stage.isMarking ? scenario.mark?.(number) : undefined),
    });
    stage.loads.push(load);
    const windows = await playUnderLoad(scenario, stage, load);
    const loadOver = Date.now();
    await untilFinal(stage);
    const finalAt = Date.now();
    const heard = await stage.readers?.finish(
      stage.loads.flatMap((_) => Array.from(_.answered.keys())),
    );
    const outcome: Outcome.Outcome = {
      ...(await Outcome.settle(scenario, stage, windows)),
      seed: options.seed,
      isShort: options.isShort,
      seconds: (Date.now() - startedAt) / 1000,
      settledSeconds: (finalAt - loadOver) / 1000,
    };
    return {
      outcome,
      demands: [
        ...always(scenario, outcome),
        ...(scenario.demands?.(outcome, stage) ?? []),
        ...(heard ?? []),
      ],
    };
  } finally {
    for (const load of stage.loads) load.end();
    await writeLogs(stage, options.logDir);
    await stage.close();
  }
};

/** Leaves what the instances wrote where the options say. */
const writeLogs = async (stage: Stage.Stage, directory: string | undefined) => {
  if (directory === undefined) return;
  for (const { name, output } of stage.instances) {
    const file =
      stage.instances.length === 1 ? stage.name : `${stage.name}-${name}`;
    await writeFile(join(directory, `${file}.log`), output());
  }
};

const playUnderLoad = async (
  scenario: Scenario,
  stage: Stage.Stage,
  load: Load.Load,
): Promise<Outcome.Windows> => {
  const index = stage.isShort ? 1 : 0;
  await wait(warmUpSeconds[index] * 1000);
  await untilAtEase(stage, scenario.rate);
  const from = Date.now();
  await wait(beforeSeconds[index] * 1000);
  const harmFrom = Date.now();
  await scenario.run(stage);
  const harmTo = Date.now();
  await wait(settleSeconds[index] * 1000);
  const afterFrom = Date.now();
  await wait(afterSeconds[index] * 1000);
  const orders = ordersMin(stage.isShort);
  await until(
    `${orders} orders are answered`,
    async () => load.answered.size >= orders,
    60,
  ).catch(() => {});
  const to = Date.now();
  for (const { stop } of stage.loads) stop();
  await until(
    "all orders are answered",
    async () => Outcome.outstandingIn(stage) === 0,
    answersMaxSeconds,
  ).catch(() => {});
  return {
    before: { from, to: harmFrom },
    during: { from: harmFrom, to: harmTo },
    after: { from: afterFrom, to },
  };
};
