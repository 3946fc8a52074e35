/** The figures of the chaos suite, as a table and in words. */
import type { Demand } from "./Demands.ts";
import type { Outcome } from "./Outcome.ts";
import type { Judged } from "./Play.ts";

const columns: ReadonlyArray<
  readonly [title: string, width: number, (outcome: Outcome) => string]
> = [
  ["answered", 9, (_) => String(_.answered)],
  ["lost", 5, (_) => String(_.lost.length)],
  ["twice", 6, (_) => String(_.completedTwice.length)],
  [
    "calls",
    7,
    ({ callsPerOrder }) =>
      callsPerOrder === undefined
        ? "-"
        : `${callsPerOrder.min}-${callsPerOrder.max}`,
  ],
  ["regressed", 10, (_) => String(_.regressed.length + _.stolen.length)],
  ["faults", 7, (_) => String(_.faults)],
  ["recovery", 9, (_) => seconds(_.recovery.worked)],
  ["callers", 8, (_) => seconds(_.recovery.answered)],
  ["settled", 8, (_) => seconds(_.settledSeconds)],
  [
    "before/during/after",
    20,
    ({ throughput: { after, before, during } }) =>
      [before, during, after].map((_) => _?.toFixed(0) ?? "-").join("/"),
  ],
  [
    "MiB",
    8,
    ({ memory }) => `${memory.before ?? "-"}>${memory.max?.toFixed(0) ?? "-"}`,
  ],
];

const seconds = (value: number | undefined) =>
  value === undefined ? "-" : `${value.toFixed(2)}s`;

const nameWidth = 23;

export const heading = `${[
  "scenario".padEnd(nameWidth),
  ...columns.map(([title, width]) => title.padStart(width)),
].join("")}\n`;

const unmet = (demands: ReadonlyArray<Demand>) =>
  demands.filter((demand) => !demand.isMet);

/** A scenario's row, and below it what did not hold. */
export const lineOf = ({ demands, outcome }: Judged): string => {
  const failed = unmet(demands);
  const row = [
    outcome.scenario.padEnd(nameWidth),
    ...columns.map(([, width, cell]) => cell(outcome).padStart(width)),
    failed.length === 0 ? "  ok" : "  FAILED",
  ].join("");
  const words = failed.map(
    ({ demand, found }) => `  not met: ${demand} (${found})\n`,
  );
  const logged =
    failed.length === 0
      ? []
      : outcome.errorLines
          .slice(0, 5)
          .map((line) => `  logged: ${line.slice(0, 300)}\n`);
  const said =
    failed.length === 0
      ? []
      : Object.entries(outcome.reasons).map(
          ([reason, count]) => `  ${count} times: ${reason}\n`,
        );
  return [`${row}\n`, ...words, ...said, ...logged].join("");
};

export const verdict = (judged: ReadonlyArray<Judged>): string => {
  const failed = judged.filter(({ demands }) => unmet(demands).length > 0);
  const orders = judged.reduce((sum, _) => sum + _.outcome.answered, 0);
  return failed.length === 0
    ? `all ${judged.length} scenarios hold, over ${orders} orders\n`
    : `${failed.length} of ${judged.length} scenarios do not hold: ${failed
        .map(({ outcome }) => outcome.scenario)
        .join(", ")}\n`;
};
