/** Who works on orders, and how it is with the receiver. */
import { html } from "htm/preact";
import { Facts, Status, Table } from "./parts.js";
import { ago, countOf, Time } from "./time.js";

/** @typedef {import("./contract.js").Answer<"processing.get">} Processing */

/**
 * Numbers as ranges: `0–7, 12`.
 *
 * @param {ReadonlyArray<number>} numbers
 */
export const rangesOf = (numbers) => {
  /** @type {Array<[number, number]>} */
  const ranges = [];
  for (const number of [...numbers].sort((one, other) => one - other)) {
    const last = ranges.at(-1);
    if (last !== undefined && number === last[1] + 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges
    .map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`))
    .join(", ");
};

/** @param {{ instances: Processing["instances"] }} props */
export const Instances = ({ instances }) => html`<section>
  <h2>Instances</h2>
  ${
    instances.length === 0
      ? html`<p class="empty">No instance has said anything for 10 s.</p>`
      : html`<${Table} caption="Instances" columns=${[
          { name: "Instance" },
          { name: "State" },
          { name: "Partitions" },
          { name: "In work", class: "number" },
          { name: "Mailboxes", class: "number" },
          { name: "Version" },
          { name: "Started" },
        ]}>${instances.map(
          (one) => html`<tr key=${one.name}>
            <th scope="row" class="text">${one.name}</th>
            <td><${Status} is=${one.state} /></td>
            <td class="text">${one.partitions.length === 0 ? html`<span class="faint">none</span>` : html`<b>${one.partitions.length}</b> <span class="faint">(${rangesOf(one.partitions)})</span>`}</td>
            <td class="number">${countOf(one.in_work)}</td>
            <td class="number">${countOf(one.mailbox_depth)}</td>
            <td>${one.version}</td>
            <td><${Time} at=${one.started_at} /></td>
          </tr>`,
        )}<//>`
  }
</section>`;

/** @param {{ receiver: Processing["receiver"] }} props */
export const Receiver = ({ receiver }) =>
  receiver !== null &&
  html`<section>
    <h2>Receiver</h2>
    <${Facts} of=${[
      ["Circuit", html`<${Status} is=${receiver.circuit} />`],
      [
        "Since",
        html`<${Time} at=${receiver.since} /> <span class="faint">${ago(receiver.since)}</span>`,
      ],
      ["Last error", receiver.last_error ?? "none"],
      receiver.last_error_at !== null && [
        "At",
        html`<${Time} at=${receiver.last_error_at} />`,
      ],
    ]} />
  </section>`;
