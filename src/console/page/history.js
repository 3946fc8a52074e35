/** How counts and rates became what they are, as columns for charts. Pure. */

/** @typedef {import("./contract.js").Answer<"orders.metricsHistory">} History */

/**
 * What a chart may span, in seconds. At first all of it is read, in long steps:
 * a sample is 400 bytes. From then on only what came since, in short ones.
 */
export const spans = {
  hour: { name: "Hour", seconds: 3_600, step: 60, newStep: 10 },
  day: { name: "Day", seconds: 86_400, step: 900, newStep: 60 },
};

/** @typedef {keyof typeof spans} Span */

/**
 * What was known, and what came since, as far as the span goes back.
 *
 * @param {History | undefined} known
 * @param {History} latest
 * @param {number} seconds
 * @returns {History}
 */
export const joined = (known, latest, seconds) => {
  const last = known?.samples.at(-1)?.time ?? "";
  const since = new Date(Date.now() - seconds * 1000).toISOString();
  const samples = [
    ...(known?.samples ?? []),
    ...latest.samples.filter(({ time }) => time > last),
  ].filter(({ time }) => time >= since);
  return { ...(known ?? latest), samples };
};

/**
 * Columns: the times in seconds since 1970, then a column for each name. Where
 * nobody counted, all rates are unknown: a gap in the lines.
 *
 * @param {History} history
 * @param {ReadonlyArray<"placed_per_second" | "completed_per_second" | "failed_per_second" | "waiting_seconds" | "completion_seconds">} names
 * @returns {ReadonlyArray<ReadonlyArray<number | null>>}
 */
export const columnsOf = ({ samples }, names) => [
  samples.map(({ time }) => new Date(time).getTime() / 1000),
  ...names.map((name) => samples.map((sample) => sample[name])),
];

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
  let beforeAt = Number.NaN;
  let sum = 0;
  for (const { failed_per_second: rate, status_counts, time } of samples) {
    const at = new Date(time).getTime();
    const seconds = Number.isNaN(beforeAt) ? step : (at - beforeAt) / 1000;
    const more = Math.max(0, status_counts.FAILED - before);
    before = status_counts.FAILED;
    beforeAt = at;
    if (at > since) sum += rate === null ? more : rate * seconds;
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
