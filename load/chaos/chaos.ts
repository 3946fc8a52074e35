/**
 * `npm run chaos`: every fault that can be made, under load, and what became
 * of the orders. `--help` tells all.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { type Judged, play } from "./Play.ts";
import * as Postgres from "./Postgres.ts";
import * as Report from "./Report.ts";
import type { Scenario } from "./Scenario.ts";
import { scenarios } from "./Scenarios.ts";

const help = () => `npm run chaos -- [scenario...] [options]

Plays faults on a real service with a real PostgreSQL, under load, and checks
that no answered order is lost or completed twice. Ends with 1 if something
that must hold did not.

  --short      a short form of each: some two minutes in all
  --seed N     replays the faults of a run (default: a new one, told first)
  --away N     seconds that receiver-away keeps the receiver away (48; 9 short)
  --silent N   seconds that silent-network loses packets, each time (30; 12 short)
  --blinks N   times that database-blink cuts all connections (8; 2 short)
  --rate N     orders a second from outside, instead of the scenario's own
  --json FILE  writes all figures as JSON
  --verbose    tells of every fault
  --logs DIR   leaves there what the service wrote

Recovery, of the scenarios with one instance: from the end of a fault until
orders are completed, and answered, again. Of those with three (cluster-*), of
which two go on anyway: the longest time, from the first fault on, that any
order stood still - placed and not begun, or begun and not ended or begun anew -
or that any caller waited for the answer. Their callers ask the instances in
turn, as a load balancer does: none that is not ready, and the next one at once
when an order was refused, cut off or not answered within 7 s.

Scenarios:
${scenarios.map(({ about, name }) => `  ${name.padEnd(24)}${about}`).join("\n")}
`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    short: { type: "boolean", default: false },
    seed: { type: "string" },
    away: { type: "string" },
    silent: { type: "string" },
    blinks: { type: "string" },
    rate: { type: "string" },
    json: { type: "string" },
    logs: { type: "string" },
    verbose: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

/** An option that is a number, if it was given. */
const numberOf = (name: "away" | "silent" | "blinks" | "rate") =>
  values[name] === undefined ? undefined : Number(values[name]);

/** Scenarios one after the other, on a PostgreSQL of their own. */
const playAll = async (
  chosen: ReadonlyArray<Scenario>,
  options: { readonly seed: number; readonly isShort: boolean },
): Promise<ReadonlyArray<Judged>> => {
  if (chosen.length === 0) return [];
  const postgres = await Postgres.open();
  try {
    const judged: Array<Judged> = [];
    for (const scenario of chosen) {
      const played = await play(scenario, {
        ...options,
        postgres,
        awaySeconds: numberOf("away"),
        silentSeconds: numberOf("silent"),
        blinks: numberOf("blinks"),
        logDir: values.logs,
        say: (line) => {
          if (values.verbose) process.stderr.write(`${line}\n`);
        },
      });
      judged.push(played);
      process.stdout.write(Report.lineOf(played));
    }
    return judged;
  } finally {
    await postgres.stop();
  }
};

const main = async (): Promise<number> => {
  const unknown = positionals.filter(
    (name) => !scenarios.some((scenario) => scenario.name === name),
  );
  const faults = [
    ...(unknown.length > 0
      ? [`There is no scenario ${unknown.join(", ")}.`]
      : []),
    ...(["seed", "away", "silent", "blinks", "rate"] as const)
      .filter(
        (name) => values[name] !== undefined && !(Number(values[name]) > 0),
      )
      .map((name) => `--${name} must be a number above 0.`),
  ];
  if (values.help || faults.length > 0) {
    for (const fault of faults) process.stderr.write(`${fault}\n\n`);
    process.stdout.write(help());
    return values.help ? 0 : 2;
  }
  // Before the run, not after an hour of it.
  if (values.logs !== undefined) await mkdir(values.logs, { recursive: true });
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
  const isShort = values.short;
  const chosen = scenarios
    .filter(
      ({ name }) => positionals.length === 0 || positionals.includes(name),
    )
    .map((scenario) => ({
      ...scenario,
      rate: numberOf("rate") ?? scenario.rate,
    }));
  process.stdout.write(
    `${chosen.length} scenarios, seed ${seed}${isShort ? ", short form" : ""}\n`,
  );
  process.stdout.write(Report.heading);
  // In the short form, those that mostly wait are played beside the others.
  const beside = isShort ? chosen.filter((_) => _.isMostlyWaiting) : [];
  const judged = (
    await Promise.all([
      playAll(
        chosen.filter((_) => !beside.includes(_)),
        { seed, isShort },
      ),
      playAll(beside, { seed, isShort }),
    ])
  ).flat();
  process.stdout.write(Report.verdict(judged));
  if (values.json !== undefined) {
    await writeFile(values.json, JSON.stringify(judged, null, 2));
  }
  return judged.every(({ demands }) => demands.every((_) => _.isMet)) ? 0 : 1;
};

process.exit(await main());
