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
import * as BothAtOnce from "./bothAtOnce.ts";
import * as Embedded from "./embedded.ts";
import * as Memory from "./memory.ts";
import { isMet, print, type Section } from "./report.ts";
import { type Bench, startBench } from "./Setup.ts";
import * as TakingIn from "./takingIn.ts";
import * as WorkingOff from "./workingOff.ts";

const sections: Readonly<
  Record<string, (bench: Bench) => Promise<ReadonlyArray<Section>>>
> = {
  "taking-in": TakingIn.run,
  "working-off": WorkingOff.run,
  "both-at-once": BothAtOnce.run,
  embedded: Embedded.run,
  memory: Memory.run,
};

const help = `npm run bench -- [options] [section ...]

  --quick      fewer and shorter rounds: under 2 minutes
  --json FILE  write the result to this file as JSON
  --runtime R  run the service on this runtime (deno) too, beside Node, for
               taking-in and working-off
  --help       this text

Sections (all if none is named): ${Object.keys(sections).join(", ")}`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    runtime: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const unknown = positionals.filter((name) => !(name in sections));
const runtime = runtimes.find((name) => name === values.runtime);
const refusal =
  unknown.length > 0
    ? `no section ${unknown.join(", ")}`
    : values.runtime !== undefined && runtime === undefined
      ? `no runtime ${values.runtime}: ${runtimes.join(", ")}`
      : undefined;
if (values.help || refusal !== undefined) {
  console.log(refusal === undefined ? help : `${refusal}\n\n${help}`);
  process.exit(refusal === undefined ? 0 : 1);
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

const bench = await startBench(
  values.quick,
  runtime === undefined || runtime === "node" ? [] : [runtime],
);
try {
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    postgres: bench.version,
    commit: commit(),
    date: new Date().toISOString(),
  };
  console.log(
    `${machine.cores} cores of ${machine.cpu}, ${machine.memoryGiB} GiB, Node ${machine.node}, PostgreSQL ${machine.postgres}, commit ${machine.commit}, ${machine.date.slice(0, 10)}`,
  );
  const done: Array<Section> = [];
  const names = positionals.length > 0 ? positionals : Object.keys(sections);
  for (const name of names) {
    for (const section of (await sections[name]?.(bench)) ?? []) {
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
