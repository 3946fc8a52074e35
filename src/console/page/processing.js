/** Whether orders are worked on, by whom, and pausing it. */
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { call, faultOf } from "./api.js";
import { usePoll } from "./live.js";
import { tell } from "./notice.js";
import {
  Facts,
  Fault,
  Heading,
  Lacking,
  Loading,
  Status,
  Table,
} from "./parts.js";
import { Instances, Receiver } from "./processingParts.js";
import { lacking } from "./session.js";
import { ago, countOf, rateOf, Time } from "./time.js";

/** How often it is read, in milliseconds. */
const pollMillis = 1_500;

/** @typedef {import("./processingParts.js").Processing} ProcessingNow */

/** @param {{ now: ProcessingNow, onDone: () => void, onFault: (fault: Error | undefined) => void }} props */
const Control = ({ now, onDone, onFault }) => {
  const [isDoing, setDoing] = useState(false);
  const action = now.state === "PAUSED" ? "resume" : "pause";
  const scope = lacking(`processing.${action}`);
  const run = async () => {
    if (isDoing) return;
    setDoing(true);
    try {
      const { state } = await call(`processing.${action}`);
      onFault(undefined);
      tell(
        state === "PAUSED"
          ? "Processing is PAUSED: within 2 s no order begins any more."
          : "Processing is RUNNING: within 2 s orders begin again.",
      );
    } catch (error) {
      onFault(faultOf(error));
    } finally {
      setDoing(false);
      onDone();
    }
  };
  return html`<${Lacking} scope=${scope} />
    <button type="button" class=${action === "resume" ? "primary" : "danger"} disabled=${scope !== undefined} aria-busy=${isDoing} onClick=${run}>${action === "resume" ? "Resume" : "Pause"}</button>`;
};

/** @param {{ now: ProcessingNow }} props */
const State = ({ now }) =>
  now.state === "PAUSED"
    ? html`<p class="box warn text"><${Status} is="PAUSED" /> Orders are taken in, and none begins. Paused ${now.paused_at !== null && html`<${Time} at=${now.paused_at} /> (${ago(now.paused_at)})`}${now.paused_by === null ? "" : ` by ${now.paused_by}`}.</p>`
    : html`<p class="box good"><${Status} is="RUNNING" /> Orders are worked on as they come in.</p>`;

/**
 * @param {{ now: ProcessingNow, metrics: import("./contract.js").Answer<"orders.metrics"> | undefined }} props
 */
const Figures = ({ metrics, now }) => {
  /** @param {(one: ProcessingNow["instances"][number]) => number} of */
  const sum = (of) =>
    countOf(now.instances.reduce((all, one) => all + of(one), 0));
  return html`<${Facts} of=${[
    [
      "PENDING",
      metrics === undefined ? "–" : countOf(metrics.status_counts.PENDING),
    ],
    ["In work", sum((one) => one.in_work)],
    ["In mailboxes", sum((one) => one.mailbox_depth)],
    ["Placed a second", rateOf(now.rates.placed_per_second)],
    ["Completed a second", rateOf(now.rates.completed_per_second)],
    ["Dead letters a second", rateOf(now.rates.failed_per_second)],
  ]} />`;
};

/** @param {{ changes: ProcessingNow["changes"] }} props */
const Changes = ({ changes }) =>
  changes.length > 0 &&
  html`<section><h2>Paused and resumed</h2>
    <${Table} caption="Who paused and resumed, newest first" columns=${[{ name: "When" }, { name: "State" }, { name: "Who" }]}>
      ${changes.map(
        (
          change,
        ) => html`<tr><th scope="row" class="nowrap"><${Time} at=${change.at} /></th><td><${Status} is=${change.state} /></td>
          <td class="text">${change.actor ?? html`<span class="faint">not known</span>`}</td></tr>`,
      )}
    <//>
  </section>`;

export const Processing = () => {
  const [failed, setFailed] = useState(
    /** @type {Error | undefined} */ (undefined),
  );
  const { again, data, fault } = usePoll(
    (signal) => call("processing.get", { signal }),
    pollMillis,
    [],
  );
  const metrics = usePoll(
    (signal) => call("orders.metrics", { signal }),
    pollMillis,
    [],
  );
  return html`
    <${Heading} title="Processing">${data !== undefined && html`<${Control} now=${data} onDone=${again} onFault=${setFailed} />`}<//>
    <${Fault} fault=${failed ?? fault} />
    ${
      data === undefined
        ? fault === undefined && html`<${Loading} what="processing" />`
        : html`<${State} now=${data} />
          <${Figures} now=${data} metrics=${metrics.data} />
          <${Instances} instances=${data.instances} />
          <${Receiver} receiver=${data.receiver} />
          <${Changes} changes=${data.changes} />`
    }`;
};
