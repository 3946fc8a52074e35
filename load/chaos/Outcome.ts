/** What came of a run: the figures, from all that was seen of it. */
import type { OrderStatus } from "../../src/domain/OrderStatus.ts";
import * as Archive from "./Archive.ts";
import * as Audit from "./Audit.ts";
import * as Checks from "./Checks.ts";
import * as Load from "./Load.ts";
import * as Recovery from "./Recovery.ts";
import type { Scenario } from "./Scenario.ts";
import type { Stage } from "./Stage.ts";

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
  /** Orders, in the table or in files. */
  readonly rows: Checks.StatusCounts;
  /** Of them, those in files. */
  readonly archived: number;
  /** Where accepted is not the sum of its parts. */
  readonly unconserved: ReadonlyArray<string>;
  /**
   * Of one instance: from the end of a fault until orders were completed, and
   * answered, again. Of several: the longest time, from a fault on, that any
   * order stood still, and that any caller waited for an answer.
   */
  readonly recovery: {
    readonly worked: number | undefined;
    readonly answered: number | undefined;
  };
  /** From the end of the last fault until all placed before it were at an end. */
  readonly backlogSeconds: number | undefined;
  /** From the last order answered to the last one at its end. */
  readonly settledSeconds: number;
  /** Orders completed a second. */
  readonly throughput: {
    readonly before: number | undefined;
    readonly during: number | undefined;
    readonly after: number | undefined;
  };
  /** How often an order had to be placed until it was answered. */
  readonly tries: Checks.Spread | undefined;
  /** Resident memory of an instance, in MiB. */
  readonly memory: {
    readonly before: number | undefined;
    readonly max: number | undefined;
    readonly after: number | undefined;
  };
  /** How each instance ended when told to. */
  readonly exits: ReadonlyArray<number | string>;
  readonly deaths: ReadonlyArray<string>;
  readonly errorLines: ReadonlyArray<string>;
}

const noOrders: Checks.StatusCounts = {
  PENDING: 0,
  PROCESSING: 0,
  COMPLETED: 0,
  FAILED: 0,
  CANCELLED: 0,
};

/** Everything that is told by the database at the end. */
const readDatabase = (stage: Stage) =>
  stage.postgres.ask(stage.database, async (client) => {
    const orders = await client.query(
      `SELECT order_id, user_id, total_amount::float8, status, attempts,
         (extract(epoch FROM created_at) * 1000)::float8 AS created_at
       FROM orders`,
    );
    const archived = await Archive.read(stage.archiveDir);
    const statistics = await client.query(
      `SELECT sum(pending)::float8 AS "PENDING",
         sum(processing)::float8 AS "PROCESSING",
         sum(completed)::float8 AS "COMPLETED",
         sum(failed)::float8 AS "FAILED",
         sum(cancelled)::float8 AS "CANCELLED"
       FROM order_statistics`,
    );
    return {
      orders: [
        ...(orders.rows as ReadonlyArray<Checks.StoredOrder>),
        ...archived,
      ],
      archived: archived.length,
      statistics: statistics.rows[0] as Checks.StatusCounts,
      changes: await Audit.read(client),
    };
  });

type Found = Awaited<ReturnType<typeof readDatabase>>;

/** What an instance tells of the orders. */
interface Told {
  readonly counts: Checks.StatusCounts;
  /** What it has not found of them, counting them itself. */
  readonly unaccounted: number;
}

const readMetrics = ({ instances }: Stage): Promise<ReadonlyArray<Told>> =>
  Promise.all(
    instances.map(async ({ url }) => {
      const answer = await fetch(`${url}/api/orders/metrics/`);
      const metrics = (await answer.json()) as {
        readonly status_counts: Checks.StatusCounts;
      };
      const text = await (await fetch(`${url}/metrics`)).text();
      return {
        counts: metrics.status_counts,
        unaccounted: Checks.gaugeIn(text, "orders_unaccounted") ?? 0,
      };
    }),
  );

const memoryIn = ({ instances }: Stage, { from, to }: Checks.Window) =>
  Checks.spread(
    instances
      .flatMap(({ memory }) => memory)
      .filter(({ at }) => at >= from && at < to)
      .map(({ mib }) => Math.round(mib)),
  )?.max;

/** Orders that have been placed and not been answered, of all loads. */
export const outstandingIn = ({ loads }: Stage) =>
  loads.reduce((sum, load) => sum + load.outstanding(), 0);

/** Counts of the same thing, added up. */
const sums = (counts: ReadonlyArray<ReadonlyMap<string, number>>) => {
  const sum: Record<string, number> = {};
  for (const [what, count] of counts.flatMap((_) => [..._])) {
    sum[what] = (sum[what] ?? 0) + count;
  }
  return sum;
};

/** How soon all went on, as `Outcome.recovery` says. */
const recoveryOf = (
  scenario: Scenario,
  { faults, faultsOver }: Stage,
  { changes, orders }: Found,
  answers: ReadonlyArray<Load.Placed>,
  loadOver: number,
): Outcome["recovery"] => {
  if ((scenario.instances ?? 1) > 1) {
    return {
      worked: Recovery.longestSeconds(
        faults,
        faultsOver,
        Recovery.standstills(orders, changes),
      ),
      answered: Recovery.longestSeconds(
        faults,
        faultsOver,
        answers.map(({ answeredAt, placedAt }) => ({
          from: placedAt,
          to: answeredAt,
        })),
      ),
    };
  }
  const goesOn = (times: ReadonlyArray<number>) =>
    Recovery.recoverySeconds(faults, faultsOver, times, loadOver);
  return {
    worked: goesOn(completionsIn(changes)),
    answered: goesOn(answers.map((_) => _.answeredAt)),
  };
};

const completionsIn = (changes: Found["changes"]) =>
  changes.filter((_) => _.became === "COMPLETED").map((_) => _.at);

/** What the receiver, the rows and the audit say of the orders. */
const ordersOf = (
  scenario: Scenario,
  { receiver }: Stage,
  { archived, changes, orders, statistics }: Found,
  metrics: ReadonlyArray<Told>,
) => {
  const { ledger } = receiver;
  const completed = orders.filter((_) => _.status === "COMPLETED");
  const rows = { ...noOrders };
  for (const { status } of orders) {
    (rows as Record<OrderStatus, number>)[status] += 1;
  }
  const endOf = scenario.endOf ?? (() => "COMPLETED");
  return {
    ...Checks.histories(changes),
    endedWrong: orders
      .filter((_) => _.status !== endOf(_.order_id))
      .map((_) => `${_.order_id} ${_.status}`),
    callsPerOrder: Checks.spread(
      completed.map((_) => ledger.get(_.order_id)?.calls ?? 0),
    ),
    withoutEffect: completed
      .filter((_) => ledger.get(_.order_id)?.effects !== 1)
      .map((_) => _.order_id),
    badSignatures: receiver.badSignatures(),
    attempts: Checks.spread(orders.map((_) => _.attempts)),
    rows,
    archived,
    unconserved: [
      ...Checks.twice(orders),
      ...Checks.differences("order_statistics has", statistics, rows),
      ...metrics.flatMap(({ counts, unaccounted }) => [
        ...Checks.differences("the metrics have", counts, rows),
        ...(unaccounted === 0 ? [] : [`orders_unaccounted is ${unaccounted}`]),
      ]),
    ],
  };
};

/** When there was load: before the harm, while it was done, and after it. */
export interface Windows {
  readonly before: Checks.Window;
  readonly during: Checks.Window;
  readonly after: Checks.Window;
}

/** Ends the instances, in order, and compares all that was promised and done. */
export const settle = async (
  scenario: Scenario,
  stage: Stage,
  windows: Windows,
): Promise<
  Omit<Outcome, "seed" | "isShort" | "seconds" | "settledSeconds">
> => {
  const metrics = await readMetrics(stage);
  const exits = await Promise.all(
    stage.instances.map((instance) => instance.stop("SIGTERM")),
  );
  const found = await readDatabase(stage);
  const { loads } = stage;
  const answered = new Map(loads.flatMap((_) => [..._.answered]));
  const answers = [...answered.values()];
  const stored = new Map(found.orders.map((_) => [_.order_id, _]));
  const completions = completionsIn(found.changes);
  const recovery = recoveryOf(
    scenario,
    stage,
    found,
    answers,
    windows.after.to,
  );
  return {
    scenario: scenario.name,
    faults: stage.faults.length,
    answered: answered.size,
    unanswered: outstandingIn(stage),
    replayed: answers.filter(({ status }) => status === 200).length,
    tries: Checks.spread(answers.map((_) => _.tries)),
    requests: loads.reduce((sum, load) => sum + load.sent(), 0),
    misses: sums(loads.map((load) => load.misses)),
    reasons: sums(loads.map((load) => load.reasons)),
    lost: Checks.lost([...answered.keys()].map(Load.orderOf), stored),
    ...ordersOf(scenario, stage, found, metrics),
    recovery,
    backlogSeconds: Recovery.backlogSeconds(
      stage.faultsOver,
      found.orders,
      found.changes,
    ),
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
      after: Checks.spread(
        stage.instances.flatMap(({ memory }) => memory.at(-1)?.mib ?? []),
      )?.max,
    },
    exits,
    deaths: stage.instances.flatMap(({ deaths }) => deaths),
    errorLines: stage.instances.flatMap((instance) =>
      instance
        .output()
        .split("\n")
        .filter((line) => /"level":"(ERROR|FATAL)"/.test(line)),
    ),
  };
};
