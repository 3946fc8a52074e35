/** How the service is doing: what is wrong first, then what flows through it. */
import { html } from "htm/preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { call, Problem } from "./api.js";
import { statuses } from "./contract.js";
import { findingsOf } from "./findings.js";
import { columnsOf, deadLettersOfHour, joined, spans } from "./history.js";
import { usePoll } from "./live.js";
import {
  Copyable,
  Fault,
  Heading,
  Loading,
  placeCommand,
  Status,
} from "./parts.js";
import { Instances, Receiver } from "./processingParts.js";
import { hrefOf } from "./router.js";
import { may } from "./session.js";
import { countOf, lengthOf, rateOf } from "./time.js";

/** How often these are asked for, in milliseconds. */
const nowMillis = 2_000;
const historyMillis = 10_000;

/** @param {AbortSignal} signal */
const subscriptionsNow = async (signal) => {
  if (!may("subscriptions.list")) return [];
  try {
    return await call("subscriptions.list", { signal });
  } catch (error) {
    // Where no events are written there are no subscriptions.
    if (error instanceof Problem && error.status === 409) return [];
    throw error;
  }
};

/**
 * The history that the charts show: read whole once, and then on from its end.
 *
 * @param {import("./history.js").Span} span
 */
const useHistory = (span) => {
  const known = useRef(
    /** @type {{ span: string, history: import("./history.js").History } | undefined} */ (
      undefined
    ),
  );
  return usePoll(
    async (signal) => {
      const { newStep, seconds, step } = spans[span];
      const before =
        known.current?.span === span ? known.current.history : undefined;
      const last = before?.samples.at(-1)?.time;
      const since = last ?? new Date(Date.now() - seconds * 1000).toISOString();
      const query = { since, step: last === undefined ? step : newStep };
      const latest = await call("orders.metricsHistory", { query, signal });
      const history = joined(before, latest, seconds);
      known.current = { span, history };
      return history;
    },
    historyMillis,
    [span],
  );
};

/** @param {{ of: ReadonlyArray<import("./findings.js").Finding>, isKnown: boolean }} props */
const Findings = ({ isKnown, of }) => {
  if (!isKnown) return html`<div class="box findings">Looking …</div>`;
  return of.length === 0
    ? html`<div class="box good findings"><p><span aria-hidden="true">✓</span> Nothing is wrong.</p></div>`
    : html`<section class="findings" aria-label="What is wrong">
        <ul class="plain">${of.map(
          ({
            link,
            text,
            weight,
          }) => html`<li class=${`box ${weight}`}><span class="text"><span aria-hidden="true">${weight === "bad" ? "✕" : "!"}</span> ${text}</span>
            ${link !== undefined && html`<a href=${`#/${link[0]}`}>${link[1]}</a>`}</li>`,
        )}</ul>
      </section>`;
};

/** @param {{ metrics: import("./contract.js").Answer<"orders.metrics"> }} props */
const Counts = ({ metrics }) =>
  html`<section aria-label="Orders by status"><ul class="plain tiles">${statuses.map(
    (
      status,
    ) => html`<li><a class="tile" href=${hrefOf("orders", { query: { status } })}>
      <${Status} is=${status} /><b>${countOf(metrics.status_counts[status])}</b></a></li>`,
  )}</ul></section>`;

/**
 * @param {{ metrics: import("./contract.js").Answer<"orders.metrics">, processing: import("./contract.js").Answer<"processing.get"> | undefined, failedOfHour: number | undefined }} props
 */
const Flow = ({ failedOfHour, metrics, processing }) => {
  const rates = processing?.rates;
  const age = metrics.oldest_pending_age_seconds;
  const mean = metrics.average_processing_time_seconds;
  /** @type {ReadonlyArray<readonly [string, string, string]>} */
  const figures = [
    ["Placed", rateOf(rates?.placed_per_second), "a second"],
    ["Completed", rateOf(rates?.completed_per_second), "a second"],
    ["Oldest PENDING", age === null ? "none" : lengthOf(age), ""],
    ["Attempt, on average", mean === null ? "–" : lengthOf(mean), ""],
    [
      "Dead letters",
      failedOfHour === undefined ? "–" : countOf(Math.round(failedOfHour)),
      "in the last hour",
    ],
  ];
  return html`<section aria-label="Flow"><dl class="figures">${figures.map(
    ([name, value, unit]) =>
      html`<div><dt>${name}</dt><dd><b>${value}</b> ${unit}</dd></div>`,
  )}</dl></section>`;
};

const flowLines = [
  { name: "Placed", color: "--chart-1" },
  { name: "Completed", color: "--chart-2" },
  { name: "Dead letters", color: "--chart-3" },
];

const timeLines = [
  { name: "Waiting", color: "--chart-1" },
  { name: "Placed to completed", color: "--chart-2" },
];

/**
 * The charts' library takes the browser's language for one that can be written
 * in: on some machines it is none, such as `en-US@posix`.
 */
const mendLanguage = () => {
  try {
    Intl.getCanonicalLocales(navigator.language);
  } catch {
    Object.defineProperty(navigator, "language", { value: "en" });
  }
};

/** The charts and their library come after the figures. */
const useChart = () => {
  const [charts, setCharts] = useState(
    /** @type {typeof import("./charts.js") | undefined} */ (undefined),
  );
  useEffect(() => {
    mendLanguage();
    import("./charts.js").then(setCharts);
  }, []);
  return charts?.Chart;
};

/** @param {{ history: import("./history.js").History | undefined, span: import("./history.js").Span }} props */
const Charts = ({ history, span }) => {
  const Chart = useChart();
  const flow = useMemo(
    () =>
      history &&
      columnsOf(history, [
        "placed_per_second",
        "completed_per_second",
        "failed_per_second",
      ]),
    [history],
  );
  const times = useMemo(
    () =>
      history && columnsOf(history, ["waiting_seconds", "completion_seconds"]),
    [history],
  );
  const range = useMemo(() => {
    // The service's clock may be before the reader's.
    const to = Math.max(Date.now() / 1000, flow?.[0]?.at(-1) ?? 0);
    return [to - spans[span].seconds, to];
  }, [flow, span]);
  if (Chart === undefined || flow === undefined || times === undefined) {
    return html`<div class="charts"><div class="chart empty"></div><div class="chart empty"></div></div>`;
  }
  return html`<div class="charts">
    <${Chart} key="flow" title="Orders a second" columns=${flow} lines=${flowLines} range=${range} format=${rateOf} />
    <${Chart} key="times" title="How long orders take" columns=${times} lines=${timeLines} range=${range} format=${lengthOf} />
  </div>`;
};

const First = () => html`<section class="box" aria-label="Place a first order">
  <h2>No order yet</h2>
  <p>Place a first one from a terminal; it shows here at once:</p>
  <${Copyable} text=${placeCommand()} what="the command" />
  <p class="faint">All else that can be asked is in <a href="/docs">the API's documentation</a>.</p>
</section>`;

export const Overview = () => {
  const [span, setSpan] = useState(
    /** @type {import("./history.js").Span} */ ("hour"),
  );
  const metrics = usePoll(
    (signal) => call("orders.metrics", { signal }),
    nowMillis,
    [],
  );
  const processing = usePoll(
    (signal) => call("processing.get", { signal }),
    nowMillis,
    [],
  );
  const history = useHistory(span);
  const subscriptions = usePoll(subscriptionsNow, historyMillis, []);
  const counts = metrics.data;
  const failedOfHour =
    history.data && counts
      ? deadLettersOfHour(history.data, counts.status_counts.FAILED)
      : undefined;
  const isEmpty =
    counts !== undefined &&
    statuses.every((status) => counts.status_counts[status] === 0);
  const findings = findingsOf({
    metrics: counts,
    processing: processing.data,
    deadLettersOfHour: failedOfHour,
    subscriptions: subscriptions.data ?? [],
  });
  return html`
    <${Heading} title="Overview" />
    <${Fault} fault=${metrics.fault ?? processing.fault ?? history.fault} />
    <${Findings} of=${findings} isKnown=${counts !== undefined && processing.data !== undefined} />
    ${
      counts === undefined
        ? html`<${Loading} what="the counts" />`
        : html`<${Counts} metrics=${counts} />
          ${isEmpty && html`<${First} />`}
          <${Flow} metrics=${counts} processing=${processing.data} failedOfHour=${failedOfHour} />`
    }
    <fieldset class="choice"><legend class="unseen">What the charts span</legend>
      ${Object.entries(spans).map(
        ([key, { name }]) =>
          html`<label><input type="radio" name="span" checked=${key === span} onChange=${() => setSpan(/** @type {import("./history.js").Span} */ (key))} />${name}</label>`,
      )}
    </fieldset>
    <${Charts} history=${history.data} span=${span} />
    ${
      processing.data !== undefined &&
      html`<${Receiver} receiver=${processing.data.receiver} />
        <${Instances} instances=${processing.data.instances} />`
    }`;
};
