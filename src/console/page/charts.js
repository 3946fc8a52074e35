/**
 * Lines over time. It brings its library along, so it is loaded only where there
 * is a chart. What a chart says stands beside it in words, and as a table.
 */
import { html } from "htm/preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { extremesOf } from "./history.js";
import { clockOf, localTime } from "./time.js";

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {string} color the name of a CSS variable
 */

/** What a chart spans, in seconds since 1970. */
/** @typedef {readonly [number, number]} Range */

/** Rows of a chart as a table, at most. */
const tableRows = 30;

/** Its styles are in no page without a chart. */
const addStyles = () => {
  if (document.getElementById("uplot") !== null) return;
  const link = document.createElement("link");
  link.id = "uplot";
  link.rel = "stylesheet";
  link.href = "/console/uplot.css";
  document.head.append(link);
};

/** @param {string} name */
const variable = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Both colour schemes have their own lines. */
const useScheme = () => {
  const [isDark, setDark] = useState(dark.matches);
  useEffect(() => {
    const changed = () => setDark(dark.matches);
    dark.addEventListener("change", changed);
    return () => dark.removeEventListener("change", changed);
  }, []);
  return isDark;
};

/**
 * Values between two gaps have no line: they are points.
 *
 * @type {uPlot.Series.Points.Filter}
 */
const alone = ({ data }, line) => {
  const column = data[line] ?? [];
  const found = [];
  for (let index = 0; index < column.length; index += 1) {
    const isAlone =
      (column[index - 1] ?? null) === null &&
      (column[index + 1] ?? null) === null;
    if (column[index] !== null && isAlone) found.push(index);
  }
  return found;
};

/**
 * @param {ReadonlyArray<Line>} lines
 * @param {(value: number) => string} format
 * @param {(index: number | undefined) => void} onHover
 * @param {{ width: number, height: number }} size
 * @param {{ readonly current: Range }} range
 * @returns {uPlot.Options}
 */
const optionsOf = (lines, format, onHover, size, range) => {
  const axis = {
    stroke: variable("--faint"),
    grid: { stroke: variable("--line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  return {
    ...size,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: "overview" },
      points: { size: 6 },
      drag: { x: false, y: false },
    },
    scales: {
      x: { range: () => [...range.current] },
      y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] },
    },
    axes: [
      {
        ...axis,
        space: 70,
        size: 26,
        values: (_, splits) => splits.map((split) => clockOf(split)),
      },
      {
        ...axis,
        size: 56,
        space: 32,
        values: (_, splits) => splits.map((split) => format(split)),
      },
    ],
    series: [
      {},
      ...lines.map(({ color, name }) => ({
        label: name,
        stroke: variable(color),
        width: 1.5,
        points: { size: 4, filter: alone },
      })),
    ],
    hooks: {
      setCursor: [({ cursor }) => onHover(cursor.idx ?? undefined)],
    },
  };
};

/**
 * The lines themselves.
 *
 * @param {{ columns: ReadonlyArray<ReadonlyArray<number | null>>, lines: ReadonlyArray<Line>, format: (value: number) => string, onHover: (index: number | undefined) => void, range: Range }} props
 */
const Lines = ({ columns, format, lines, onHover, range }) => {
  const spanned = useRef(range);
  spanned.current = range;
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const plot = useRef(/** @type {uPlot | undefined} */ (undefined));
  const isDark = useScheme();
  const data = /** @type {uPlot.AlignedData} */ (
    /** @type {unknown} */ (columns)
  );
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    addStyles();
    const size = () => ({
      width: element.clientWidth,
      height: element.clientHeight,
    });
    plot.current = new uPlot(
      optionsOf(lines, format, onHover, size(), spanned),
      data,
      element,
    );
    const observer = new ResizeObserver(() => plot.current?.setSize(size()));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
    };
  }, [isDark]);
  useEffect(() => plot.current?.setData(data), [columns]);
  return html`<div class="plot" ref=${box} aria-hidden="true"></div>`;
};

/**
 * @param {{ columns: ReadonlyArray<ReadonlyArray<number | null>>, lines: ReadonlyArray<Line>, format: (value: number) => string, title: string }} props
 */
const AsTable = ({ columns, format, lines, title }) => {
  const times = columns[0] ?? [];
  const every = Math.ceil(times.length / tableRows) || 1;
  const rows = times
    .map((time, index) => ({ time, index }))
    .filter(({ index }) => (times.length - 1 - index) % every === 0)
    .reverse();
  return html`<div class="scroll" role="region" aria-label=${title} tabindex="0"><table>
    <caption class="unseen">${title}</caption>
    <thead><tr><th scope="col">Time</th>${lines.map(({ name }) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
    <tbody>${rows.map(
      ({
        index,
        time,
      }) => html`<tr><th scope="row">${localTime((time ?? 0) * 1000)}</th>
        ${lines.map((_, line) => {
          const value = columns[line + 1]?.[index] ?? null;
          return html`<td class="number">${value === null ? "–" : format(value)}</td>`;
        })}</tr>`,
    )}</tbody>
  </table></div>`;
};

/**
 * @param {ReadonlyArray<ReadonlyArray<number | null>>} columns
 * @param {ReadonlyArray<Line>} lines
 * @param {(value: number) => string} format
 */
const inWords = (columns, lines, format) =>
  lines
    .map(({ name }, line) => {
      const column = columns[line + 1] ?? [];
      const { highest, latest } = extremesOf(column);
      if (latest === -1) return `${name}: not known.`;
      const at = localTime((columns[0]?.[highest] ?? 0) * 1000);
      return `${name}: ${format(column[latest] ?? 0)} at last, ${format(column[highest] ?? 0)} at most, at ${at}.`;
    })
    .join(" ");

/**
 * A chart with its title, and what its lines are now or under the pointer.
 *
 * @param {{ title: string, columns: ReadonlyArray<ReadonlyArray<number | null>>, lines: ReadonlyArray<Line>, format: (value: number) => string, range: Range }} props
 */
export const Chart = ({ columns, format, lines, range, title }) => {
  const id = useId();
  const [index, setIndex] = useState(
    /** @type {number | undefined} */ (undefined),
  );
  const [isTable, setTable] = useState(false);
  /** @param {number} line */
  const valueAt = (line) => {
    const column = columns[line + 1] ?? [];
    const value = column[index ?? extremesOf(column).latest] ?? null;
    return value === null ? "–" : format(value);
  };
  const at = index === undefined ? undefined : columns[0]?.[index];
  return html`<figure class="chart" aria-labelledby=${id}>
    <figcaption id=${id}><h2>${title}</h2></figcaption>
    <div class="legend" aria-hidden="true">
      ${lines.map(({ color, name }, line) => html`<span><i style=${{ background: `var(${color})` }}></i>${name} <b>${valueAt(line)}</b></span>`)}
      <span class="faint">${at === undefined || at === null ? "" : localTime(at * 1000)}</span>
    </div>
    <${Lines} columns=${columns} lines=${lines} format=${format} range=${range} onHover=${setIndex} />
    <p class="unseen">${inWords(columns, lines, format)}</p>
    <details onToggle=${(/** @type {Event} */ event) => setTable(/** @type {HTMLDetailsElement} */ (event.currentTarget).open)}>
      <summary>As a table</summary>
      ${isTable && html`<${AsTable} title=${title} columns=${columns} lines=${lines} format=${format} />`}
    </details>
  </figure>`;
};
