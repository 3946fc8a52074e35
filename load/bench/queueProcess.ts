/**
 * graphile-worker and pg-boss, each set as its documentation advises for short
 * jobs, and without a line of log per job. Says "ready" with its backlog added, works it
 * when told to, and says how long that took.
 */
import { once } from "node:events";
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import { PgBoss } from "pg-boss";
import { given, tell } from "./processes.ts";

export interface QueueResult {
  readonly seconds: number;
  /** CPU time of this process while it worked the jobs. */
  readonly cpuMillis: number;
}

export interface QueueOptions {
  readonly queue: "graphile-worker" | "pg-boss";
  readonly connectionString: string;
  readonly jobs: number;
}

const { connectionString, jobs, queue } = given<QueueOptions>();

/** Jobs added by one statement. */
const addedAtOnce = 5_000;

/** Calls `add` with the numbers of the jobs, part by part. */
const addAll = async (
  add: (ids: ReadonlyArray<number>) => Promise<unknown>,
) => {
  for (let from = 0; from < jobs; from += addedAtOnce) {
    const length = Math.min(addedAtOnce, jobs - from);
    await add(Array.from({ length }, (_, index) => from + index));
  }
};

/** Counts jobs done, and tells the time from the first to the last. */
const makeStopwatch = () => {
  let done = 0;
  let start = 0;
  const before = process.cpuUsage();
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  return {
    count: (jobsDone: number) => {
      if (done === 0) start = performance.now();
      done += jobsDone;
      if (done === jobs) finish();
    },
    finished,
    read: (): QueueResult => {
      const { system, user } = process.cpuUsage(before);
      return {
        seconds: (performance.now() - start) / 1000,
        cpuMillis: (system + user) / 1000,
      };
    },
  };
};

const workAsGraphileWorker = async () => {
  const utils = await makeWorkerUtils({ connectionString });
  await utils.migrate();
  await addAll((ids) =>
    utils.addJobs(ids.map((id) => ({ identifier: "work", payload: { id } }))),
  );
  await utils.release();
  tell("ready");
  await once(process, "message");
  const stopwatch = makeStopwatch();
  // https://worker.graphile.org/docs/performance
  const runner = await run({
    connectionString,
    taskList: { work: () => stopwatch.count(1) },
    noHandleSignals: true,
    logger: new Logger(() => () => {}),
    preset: {
      worker: {
        concurrentJobs: 24,
        maxPoolSize: 10,
        localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      },
    },
  });
  await stopwatch.finished;
  // Returns when the last jobs' completion is in the database.
  await runner.stop();
  return stopwatch.read();
};

const workAsPgBoss = async () => {
  const boss = new PgBoss({ connectionString, max: 10 });
  boss.on("error", (error) => console.error(error));
  await boss.start();
  await boss.createQueue("work");
  await addAll((ids) =>
    boss.insert(
      "work",
      ids.map((id) => ({ data: { id } })),
    ),
  );
  tell("ready");
  await once(process, "message");
  const stopwatch = makeStopwatch();
  await boss.work(
    "work",
    {
      batchSize: 500,
      burstWhenBatchFull: true,
      localConcurrency: 4,
      pollingIntervalSeconds: 0.5,
    },
    async (batch) => stopwatch.count(batch.length),
  );
  await stopwatch.finished;
  const result = stopwatch.read();
  await boss.stop({ graceful: true });
  return result;
};

tell(await (queue === "pg-boss" ? workAsPgBoss() : workAsGraphileWorker()));
process.disconnect();
