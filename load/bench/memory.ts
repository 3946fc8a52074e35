/**
 * Memory: what a backlog costs while it is worked off, against the service at
 * rest. The orders are in the table; the process holds the mailboxes and what
 * is in work.
 */
import { readFileSync } from "node:fs";
import type { Section } from "./report.ts";
import { allCompleted, type Bench, startService, withClient } from "./Setup.ts";
import { addBacklog } from "./workingOff.ts";

/** Mebibytes of memory a process holds now, and at its highest. */
const memoryOf = (pid: number) => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const mebibytes = (field: string) =>
    Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
  return { now: mebibytes("VmRSS"), highest: mebibytes("VmHWM") };
};

export const run = async (bench: Bench): Promise<ReadonlyArray<Section>> => {
  const orders = bench.quick ? 20_000 : 100_000;
  const database = await bench.database();
  const env = { DATABASE_URL: database, PROCESSING_TIME: "0 millis" };
  bench.progress("memory: at rest");
  const idle = await startService(bench, env);
  await bench.settle();
  const atRest = memoryOf(idle.pid).now;
  await idle.stop();
  await addBacklog(database, orders);
  bench.progress(`memory: working ${orders} orders off`);
  const busy = await startService(bench, env);
  try {
    await withClient(database, (client) => allCompleted(client, 300));
    const { highest } = memoryOf(busy.pid);
    return [
      {
        title: "Memory",
        note: `Resident memory, at rest and at its highest while a backlog of ${orders.toLocaleString("en-US")} orders, there at the start, is worked off.`,
        rows: [
          {
            contender: "this service",
            "at rest MiB": atRest,
            "highest MiB": highest,
          },
        ],
        goals: [
          {
            name: "MiB more than at rest",
            value: highest - atRest,
            limit: 100,
            is: "at most",
          },
        ],
      },
    ];
  } finally {
    await busy.stop();
  }
};
