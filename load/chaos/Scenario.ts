/**
 * Plays one scenario and judges it: load, faults, load again, silence until
 * every answered order has come to its end; then everything is compared.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { OrderStatus } from "../../src/domain/OrderStatus.ts";
import { until } from "../../test/support/serviceProcess.ts";
import * as Audit from "./Audit.ts";
import * as Checks from "./Checks.ts";
import * as Load from "./Load.ts";
import type { Postgres } from "./Postgres.ts";
import * as SeededRandom from "./SeededRandom.ts";
import * as Stage from "./Stage.ts";

/** Something that must hold; `found` says what was seen. */
export interface Demand {
  readonly demand: string;
  readonly isMet: boolean;
  readonly found: string;
}

export interface Scenario {
  readonly name: string;
  /** The fault, in one line. */
  readonly about: string;
  /** Orders a second. */
  readonly rate: number;
  /** Settings of the service. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Whether the service reaches its database through the proxy. */
  readonly isProxied?: boolean;
  /** How orders are marked for the receiver, while the stage is marking. */
  readonly mark?: (number: number) => string | undefined;
  /** How an order must end; COMPLETED if not given. */
  readonly endOf?: (order_id: string) => OrderStatus;
  /** Whether the short form can be played beside other scenarios. */
  readonly isMostlyWaiting?: boolean;
  /** How soon work must go on after a fault. */
  readonly recoveryMaxSeconds: number;
  /** Does the harm, under load. */
  readonly run: (stage: Stage.Stage) => Promise<void>;
  /** What must hold beside what must always hold. */
  readonly demands?: (outcome: Outcome, stage: Stage.Stage) => Iterable<Demand>;
}

/** What came of a run. */
export interface Outcome {
  readonly scenario: string;
  readonly seed: number;
  readonly isShort: boolean;
  readonly seconds: number;
  readonly faults: number;
  /** Orders answered 201 or 200. */
  readonly answered: number;
  /** Orders placed and never answered. */
  readonly unanswered: number;
  /** Of those answered, answered as a replay. */
  readonly replayed: number;
  readonly requests: number;
  readonly misses: Readonly<Record<string, number>>;
  /** What the service said of its answers 5xx. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly lost: ReadonlyArray<string>;
  readonly completedTwice: ReadonlyArray<string>;
  readonly regressed: ReadonlyArray<string>;
  readonly stolen: ReadonlyArray<string>;
  /** Orders that ended otherwise than they had to. */
  readonly endedWrong: ReadonlyArray<string>;
  /** Calls of the receiver for each COMPLETED order. */
  readonly callsPerOrder: Checks.Spread | undefined;
  /** COMPLETED orders whose effect was not applied exactly once. */
  readonly withoutEffect: ReadonlyArray<string>;
  readonly badSignatures: number;
  readonly attempts: Checks.Spread | undefined;
  readonly rows: Checks.StatusCounts;
  /** Where accepted is not the sum of its parts. */
  readonly unconserved: ReadonlyArray<string>;
  /** From the end of a fault until orders were completed, and answered, again. */
  readonly recoverySeconds: number | undefined;
  readonly recovery: {
    readonly completed: number | undefined;
    readonly answered: number | undefined;
  };
  /** From the last order answered to the last one at its end. */
  readonly settledSeconds: number;
  /** Orders completed a second. */
  readonly throughput: {
    readonly before: number | undefined;
    readonly during: number | undefined;
    readonly after: number | undefined;
  };
  /** Resident memory of the service, in MiB. */
  readonly memory: {
    readonly before: number | undefined;
    readonly max: number | undefined;
    readonly after: number | undefined;
  };
  /** How the service ended when told to. */
  readonly exit: number | string;
  readonly deaths: ReadonlyArray<string>;
  readonly errorLines: ReadonlyArray<string>;
}

export interface Judged {
  readonly outcome: Outcome;
  readonly demands: ReadonlyArray<Demand>;
}

export interface PlayOptions {
  readonly seed: number;
  readonly isShort: boolean;
  readonly postgres: Postgres;
  readonly say: (line: string) => void;
  /** Where to leave what the service wrote. */
  readonly logDir?: string | undefined;
}

/** The load of most scenarios: what two busy cores can take with ease. */
export const ordersASecond = 350;

/** So many orders at least go through a scenario in its full form. */
export const ordersMin = 10_000;
const ordersMinShort = 300;

/** The load before, and the one after, in seconds: full and short. */
const warmUpSeconds = [3, 0.5] as const;
const beforeSeconds = [5, 0.7] as const;
const settleSeconds = [2, 0.3] as const;
const afterSeconds = [5, 0.7] as const;

/** The rate is so much lower in the short form, which has no time to warm up. */
const shortShare = 3;

const outstandingMax = 500;

/** The longest wait for the cold start to be over. */
const atEaseMaxSeconds = 10;

/** The longest wait for all answers, and then for all orders to end. */
const answersMaxSeconds = 30;
const finalMaxSeconds = 90;

const noOrders: Checks.StatusCounts = {
  PENDING: 0,
  PROCESSING: 0,
  COMPLETED: 0,
  FAILED: 0,
  CANCELLED: 0,
};

/** Everything that is told by the database at the end. */
const readDatabase = (stage: Stage.Stage) =>
  stage.postgres.ask(stage.database, async (client) => {
    const orders = await client.query(
      `SELECT order_id, user_id, total_amount::float8, status, attempts
       FROM orders`,
    );
    const statistics = await client.query(
      `SELECT sum(pending)::float8 AS "PENDING",
         sum(processing)::float8 AS "PROCESSING",
         sum(completed)::float8 AS "COMPLETED",
         sum(failed)::float8 AS "FAILED",
         sum(cancelled)::float8 AS "CANCELLED"
       FROM order_statistics`,
    );
    return {
      orders: orders.rows as ReadonlyArray<Checks.StoredOrder>,
      statistics: statistics.rows[0] as Checks.StatusCounts,
      changes: await Audit.read(client),
    };
  });

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
          "SELECT 1 FROM orders WHERE final_status IS NULL LIMIT $1",
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
          "SELECT 1 FROM orders WHERE final_status IS NULL LIMIT 1",
        );
        return rowCount === 0;
      }),
    finalMaxSeconds,
  ).then(
    () => {},
    // The orders that are still open are found by the check.
    () => {},
  );

const memoryIn = (stage: Stage.Stage, { from, to }: Checks.Window) =>
  Checks.spread(
    stage.memory
      .filter(({ at }) => at >= from && at < to)
      .map(({ mib }) => Math.round(mib)),
  )?.max;

export const play = async (
  scenario: Scenario,
  options: PlayOptions,
): Promise<Judged> => {
  const startedAt = Date.now();
  const index = options.isShort ? 1 : 0;
  const stage = await Stage.open({
    name: scenario.name,
    postgres: options.postgres,
    random: SeededRandom.make(options.seed, scenario.name),
    isShort: options.isShort,
    isProxied: scenario.isProxied ?? false,
    settings: scenario.settings ?? {},
    say: options.say,
  });
  try {
    const load = Load.start({
      url: stage.url,
      prefix: scenario.name,
      rate: scenario.rate / (options.isShort ? shortShare : 1),
      outstandingMax,
      mark: (number) => (stage.isMarking ? scenario.mark?.(number) : undefined),
    });
    stage.loads.push(load);
    const windows = await playUnderLoad(scenario, stage, load, index);
    const loadOver = Date.now();
    await untilFinal(stage);
    const finalAt = Date.now();
    const metrics = (await (
      await fetch(`${stage.url}/api/orders/metrics/`)
    ).json()) as { readonly status_counts: Checks.StatusCounts };
    const exit = await stage.stopService("SIGTERM");
    if (options.logDir !== undefined) {
      await writeFile(
        join(options.logDir, `${scenario.name}.log`),
        stage.output(),
      );
    }
    const found = await readDatabase(stage);
    const outcome: Outcome = {
      ...compare(scenario, stage, found, metrics.status_counts, windows),
      seed: options.seed,
      isShort: options.isShort,
      seconds: (Date.now() - startedAt) / 1000,
      settledSeconds: (finalAt - loadOver) / 1000,
      exit,
    };
    return {
      outcome,
      demands: [
        ...always(scenario, outcome),
        ...(scenario.demands?.(outcome, stage) ?? []),
      ],
    };
  } finally {
    for (const load of stage.loads) load.end();
    await stage.close();
  }
};

interface Windows {
  readonly before: Checks.Window;
  readonly during: Checks.Window;
  readonly after: Checks.Window;
}

const playUnderLoad = async (
  scenario: Scenario,
  stage: Stage.Stage,
  load: Load.Load,
  index: 0 | 1,
): Promise<Windows> => {
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
  const orders = index === 0 ? ordersMin : ordersMinShort;
  await until(
    `${orders} orders are answered`,
    async () => load.answered.size >= orders,
    60,
  ).catch(() => {});
  const to = Date.now();
  for (const { stop } of stage.loads) stop();
  await until(
    "all orders are answered",
    async () => outstandingIn(stage) === 0,
    answersMaxSeconds,
  ).catch(() => {});
  return {
    before: { from, to: harmFrom },
    during: { from: harmFrom, to: harmTo },
    after: { from: afterFrom, to },
  };
};

const outstandingIn = ({ loads }: Stage.Stage) =>
  loads.reduce((sum, load) => sum + load.outstanding(), 0);

/** Counts of the same thing, added up. */
const sums = (counts: ReadonlyArray<ReadonlyMap<string, number>>) => {
  const sum: Record<string, number> = {};
  for (const [what, count] of counts.flatMap((_) => [..._])) {
    sum[what] = (sum[what] ?? 0) + count;
  }
  return sum;
};

const compare = (
  scenario: Scenario,
  stage: Stage.Stage,
  found: Awaited<ReturnType<typeof readDatabase>>,
  metrics: Checks.StatusCounts,
  windows: Windows,
): Omit<
  Outcome,
  "seed" | "isShort" | "seconds" | "settledSeconds" | "exit"
> => {
  const { ledger } = stage.receiver;
  const stored = new Map(found.orders.map((_) => [_.order_id, _]));
  const completed = found.orders.filter((_) => _.status === "COMPLETED");
  const rows = { ...noOrders };
  for (const { status } of found.orders) {
    (rows as Record<OrderStatus, number>)[status] += 1;
  }
  const completions = found.changes
    .filter((_) => _.became === "COMPLETED")
    .map((_) => _.at);
  const answered = new Map(stage.loads.flatMap((_) => [..._.answered]));
  const answers = [...answered.values()];
  const answerTimes = answers.map((_) => _.answeredAt);
  const recoveryBy = (times: ReadonlyArray<number>) =>
    Checks.recoverySeconds(
      stage.faults,
      stage.faultsOver,
      times,
      windows.after.to,
    );
  const recovery = {
    completed: recoveryBy(completions),
    answered: recoveryBy(answerTimes),
  };
  const endOf = scenario.endOf ?? (() => "COMPLETED");
  return {
    scenario: scenario.name,
    faults: stage.faults.length,
    answered: answered.size,
    unanswered: outstandingIn(stage),
    replayed: answers.filter(({ status }) => status === 200).length,
    requests: stage.loads.reduce((sum, load) => sum + load.sent(), 0),
    misses: sums(stage.loads.map((load) => load.misses)),
    reasons: sums(stage.loads.map((load) => load.reasons)),
    lost: Checks.lost([...answered.keys()].map(Load.orderOf), stored),
    ...Checks.histories(found.changes),
    endedWrong: found.orders
      .filter((_) => _.status !== endOf(_.order_id))
      .map((_) => `${_.order_id} ${_.status}`),
    callsPerOrder: Checks.spread(
      completed.map((_) => ledger.get(_.order_id)?.calls ?? 0),
    ),
    withoutEffect: completed
      .filter((_) => ledger.get(_.order_id)?.effects !== 1)
      .map((_) => _.order_id),
    badSignatures: stage.receiver.badSignatures(),
    attempts: Checks.spread(found.orders.map((_) => _.attempts)),
    rows,
    unconserved: [
      ...Checks.differences("order_statistics has", found.statistics, rows),
      ...Checks.differences("the metrics have", metrics, rows),
    ],
    recovery,
    recoverySeconds:
      recovery.completed === undefined || recovery.answered === undefined
        ? undefined
        : Math.max(recovery.completed, recovery.answered),
    throughput: {
      before: Checks.rateIn(completions, windows.before),
      during: Checks.rateIn(completions, windows.during),
      after: Checks.rateIn(completions, windows.after),
    },
    memory: {
      before: memoryIn(stage, windows.before),
      max: memoryIn(stage, {
        from: windows.before.from,
        to: Number.POSITIVE_INFINITY,
      }),
      after: stage.memory.at(-1)?.mib,
    },
    deaths: stage.deaths,
    errorLines: stage
      .output()
      .split("\n")
      .filter((line) => /"level":"(ERROR|FATAL)"/.test(line)),
  };
};

/** A list as a demand's finding: how many, and the first of them. */
const some = (list: ReadonlyArray<string>) =>
  list.length === 0 ? "0" : `${list.length}: ${list.slice(0, 3).join(", ")}`;

const none = (demand: string, list: ReadonlyArray<string>): Demand => ({
  demand,
  isMet: list.length === 0,
  found: some(list),
});

/** The least share of the throughput before that comes back. */
export const throughputShare = 0.9;

/** What must hold in every scenario. */
function* always(scenario: Scenario, outcome: Outcome): Iterable<Demand> {
  yield none("no answered order is lost", outcome.lost);
  yield none("no order is completed twice", outcome.completedTwice);
  yield none("no order moves as none may", outcome.regressed);
  yield none("no attempt is ended by who had not begun it", outcome.stolen);
  yield none("every order ends as it must", outcome.endedWrong);
  yield none("a completed order has had its effect", outcome.withoutEffect);
  yield none("accepted is the sum of its parts", outcome.unconserved);
  yield none("the service does not die by itself", outcome.deaths);
  yield none(
    "no answer tells of a fault: only 503 with Retry-After, and 408",
    Object.keys(outcome.misses).filter((miss) =>
      /status (?!408)|without/.test(miss),
    ),
  );
  yield {
    demand: "every order is answered in the end",
    isMet: outcome.unanswered === 0,
    found: `${outcome.unanswered} were not`,
  };
  yield {
    demand: "every call of the receiver is signed",
    isMet: outcome.badSignatures === 0,
    found: `${outcome.badSignatures} were not`,
  };
  yield {
    demand: "the service stops in order",
    isMet: outcome.exit === 0,
    found: `exit ${outcome.exit}`,
  };
  yield {
    demand: "the fault was done",
    isMet: outcome.faults > 0,
    found: `${outcome.faults} times`,
  };
  const orders = outcome.isShort ? ordersMinShort : ordersMin;
  yield {
    demand: `at least ${orders} orders are answered`,
    isMet: outcome.answered >= orders,
    found: String(outcome.answered),
  };
  const recovery = outcome.recoverySeconds;
  yield {
    demand: `work goes on within ${scenario.recoveryMaxSeconds} s of a fault's end`,
    isMet: recovery !== undefined && recovery <= scenario.recoveryMaxSeconds,
    found:
      recovery === undefined
        ? "no fault ended"
        : `completed after ${outcome.recovery.completed?.toFixed(2)} s, answered after ${outcome.recovery.answered?.toFixed(2)} s`,
  };
  // The short form's windows are too short to measure by.
  if (outcome.isShort) return;
  const { after = 0, before = 0 } = outcome.throughput;
  yield {
    demand: `throughput afterwards is ${throughputShare * 100} % of before or more`,
    isMet: before > 0 && after >= throughputShare * before,
    found: `${before.toFixed(0)}/s before, ${after.toFixed(0)}/s after`,
  };
}
