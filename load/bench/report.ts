/** What the bench has measured: as tables for people, as JSON for programs. */

/** A line of a table: its name first. */
export type Row = Readonly<Record<string, string | number>>;

/** A figure that was set out to be reached. */
export interface Goal {
  readonly name: string;
  readonly value: number;
  readonly limit: number;
  /** Whether `limit` is the most or the least that is good. */
  readonly is: "at most" | "at least";
}

export interface Section {
  readonly title: string;
  /** How it was measured. */
  readonly note: string;
  readonly rows: ReadonlyArray<Row>;
  readonly goals: ReadonlyArray<Goal>;
}

export const isMet = ({ is, limit, value }: Goal): boolean =>
  is === "at most" ? value <= limit : value >= limit;

/** Three digits say as much as these measurements know. */
const format = (value: string | number): string => {
  if (typeof value === "string") return value;
  if (Math.abs(value) >= 100) {
    return Math.round(value).toLocaleString("en-US");
  }
  return String(Number(value.toPrecision(3)));
};

const table = (rows: ReadonlyArray<Row>): string => {
  const columns = Object.keys(rows[0] ?? {});
  const cells = [
    columns,
    ...rows.map((row) => columns.map((column) => format(row[column] ?? ""))),
  ];
  const widths = columns.map((_, index) =>
    Math.max(...cells.map((line) => line[index]?.length ?? 0), 4),
  );
  const pad = (line: ReadonlyArray<string>) =>
    `| ${line
      .map((cell, index) =>
        index === 0
          ? cell.padEnd(widths[index] as number)
          : cell.padStart(widths[index] as number),
      )
      .join(" | ")} |`;
  const rule = `| ${widths
    .map((width, index) =>
      index === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
    )
    .join(" | ")} |`;
  const [head, ...body] = cells.map(pad);
  return [head, rule, ...body].join("\n");
};

/** The section as Markdown. */
export const print = ({ goals, note, rows, title }: Section): string =>
  [
    `### ${title}`,
    note,
    table(rows),
    goals
      .map(
        (goal) =>
          `- ${goal.name}: ${format(goal.value)} (${goal.is} ${format(goal.limit)}: ${isMet(goal) ? "met" : "MISSED"})`,
      )
      .join("\n"),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
