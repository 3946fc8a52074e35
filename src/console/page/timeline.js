/** What became of an order, from its placing on. */
import { html } from "htm/preact";
import { counted, lengthOf, secondsSince, Time } from "./time.js";

/** @typedef {import("./contract.js").Answer<"orders.history">[number]} Entry */
/** @typedef {Extract<Entry, { type: "attempt" }>} Attempt */

const outcomes = {
  completed: { sign: "✓", text: "completed", kind: "good" },
  failed: { sign: "✕", text: "failed", kind: "bad" },
  lost: { sign: "✕", text: "lost: whoever made it stopped", kind: "bad" },
  given_back: { sign: "↺", text: "given back: not counted", kind: "" },
};

const underWay = { sign: "◐", text: "under way", kind: "now" };

/** @param {{ of: Attempt, longest: number }} props */
const AttemptEntry = ({ longest, of }) => {
  const { kind, sign, text } =
    of.outcome === null ? underWay : outcomes[of.outcome];
  const seconds = Math.max(
    0,
    secondsSince(of.began_at, of.ended_at ?? Date.now()),
  );
  return html`<li class=${`entry ${kind}`}>
    <span class="sign" aria-hidden="true">${sign}</span>
    <div><p><strong>Attempt ${of.attempt}</strong> ${text}${of.outcome === null ? ", for" : " after"} <b>${lengthOf(seconds)}</b>${of.instance !== null && html` <span class="faint">on ${of.instance}</span>`}</p>
      <div class="bar" aria-hidden="true"><i style=${{ width: `${longest === 0 ? 0 : Math.max(0.5, (100 * seconds) / longest)}%` }}></i></div>
      ${of.error !== null && html`<p class="text bad-text">${of.error}</p>`}</div>
    <${Time} at=${of.began_at} />
  </li>`;
};

const changes = {
  placed: { sign: "+", text: "Placed" },
  cancelled: { sign: "–", text: "Cancelled" },
  retried: { sign: "↻", text: "Retried" },
};

/** @param {{ of: Exclude<Entry, Attempt> }} props */
const ChangeEntry = ({ of }) => {
  const { sign, text } = changes[of.type];
  const actor = "actor" in of ? of.actor : null;
  return html`<li class="entry">
    <span class="sign" aria-hidden="true">${sign}</span>
    <p><strong>${text}</strong>${actor !== null && html` <span class="faint text">by ${actor}</span>`}</p>
    <${Time} at=${of.time} />
  </li>`;
};

/** Entries that are shown at first. */
const shownFirst = 100;

/** @param {{ entries: ReadonlyArray<Entry> }} props oldest first; shown so, too */
export const Timeline = ({ entries }) => {
  const hidden = Math.max(0, entries.length - shownFirst);
  const shown = entries.slice(hidden);
  const longest = shown.reduce(
    (most, entry) =>
      entry.type === "attempt" && entry.ended_at !== null
        ? Math.max(most, secondsSince(entry.began_at, entry.ended_at))
        : most,
    0,
  );
  return html`<section><h2>History</h2>
    ${hidden > 0 && html`<p class="faint">The latest ${shownFirst} of ${counted(entries.length, "entry", "entries")}.</p>`}
    <ol class="timeline">${shown.map((entry) =>
      entry.type === "attempt"
        ? html`<${AttemptEntry} of=${entry} longest=${longest} />`
        : html`<${ChangeEntry} of=${entry} />`,
    )}</ol>
  </section>`;
};
