/** How counts and rates became what they are, as columns for charts. Pure. */

/** @typedef {import("./contract.js").Answer<"orders.metricsHistory">} History */

/** What a chart may span: its length and the step between samples, in seconds. */
export const spans = {
  hour: { name: "Hour", seconds: 3_600, step: 10 },
  day: { name: "Day", seconds: 86_400, step: 300 },
};

/** @typedef {keyof typeof spans} Span */

/** Steps that are missing are a gap from this length on, in steps. */
const gapSteps = 1.6;

/**
 * Columns: the times in seconds since 1970, then a column for each name. Where
 * nobody counted there is a time without values: a gap in the line.
 *
 * @param {History} history
 * @param {ReadonlyArray<"placed_per_second" | "completed_per_second" | "failed_per_second" | "waiting_seconds" | "completion_seconds">} names
 * @returns {ReadonlyArray<ReadonlyArray<number | null>>}
 */
export const columnsOf = ({ samples, step_seconds: step }, names) => {
  /** @type {Array<Array<number | null>>} */
  const columns = [[], ...names.map(() => [])];
  let before = Number.POSITIVE_INFINITY;
  for (const sample of samples) {
    const at = new Date(sample.time).getTime() / 1000;
    if (at - before > step * gapSteps) {
      columns[0]?.push(before + step);
      names.forEach((_, index) => void columns[index + 1]?.push(null));
    }
    columns[0]?.push(at);
    names.forEach((name, index) => void columns[index + 1]?.push(sample[name]));
    before = at;
  }
  return columns;
};

/**
 * Orders that became dead letters in the last hour. Where nobody counted for a
 * while, and since the last sample, it is by how much there are more of them.
 *
 * @param {History} history
 * @param {number} failed how many there are now
 */
export const deadLettersOfHour = ({ samples, step_seconds: step }, failed) => {
  const since = Date.now() - 3_600_000;
  let before = samples[0]?.status_counts.FAILED ?? failed;
  let sum = 0;
  for (const { failed_per_second: rate, status_counts, time } of samples) {
    const more = Math.max(0, status_counts.FAILED - before);
    before = status_counts.FAILED;
    if (new Date(time).getTime() > since) {
      sum += rate === null ? more : rate * step;
    }
  }
  return sum + Math.max(0, failed - before);
};

/**
 * Of a column: the latest value and the highest, with its index.
 *
 * @param {ReadonlyArray<number | null>} column
 */
export const extremesOf = (column) => {
  let highest = -1;
  let latest = -1;
  column.forEach((value, index) => {
    if (value === null) return;
    latest = index;
    if (highest === -1 || value >= (column[highest] ?? 0)) highest = index;
  });
  return { highest, latest };
};
