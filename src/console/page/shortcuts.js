/**
 * Keys of the keyboard. They are off while somebody types, while a dialog is
 * open, and for good where the reader turns them off: people who speak to their
 * machine press keys by mistake (WCAG 2.1.4).
 */
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { Dialog } from "./dialog.js";
import { refresh } from "./live.js";
import { go, hrefOf } from "./router.js";
import { settingOf, useStore } from "./store.js";

const areOn = settingOf("shortcuts", true);

/** How long after `g` its second key may come, in milliseconds. */
const secondKeyMillis = 1_500;

/** @type {Readonly<Record<string, readonly [string, string]>>} */
const places = {
  v: ["", "Overview"],
  o: ["orders", "Orders"],
  d: ["dead-letters", "Dead letters"],
  p: ["processing", "Processing"],
  s: ["subscriptions", "Subscriptions"],
  k: ["keys", "Keys"],
};

const list = [
  ...Object.entries(places).map(([key, [, name]]) => [
    `g ${key}`,
    `Go to ${name}`,
  ]),
  ["/", "Go to the filters"],
  ["j, k", "Next row, row before"],
  ["Enter", "Open the row"],
  ["x", "Select the row, or not"],
  ["r", "Read again"],
  ["?", "This list"],
];

/** @param {EventTarget | null} target */
const isTyping = (target) =>
  target instanceof HTMLElement &&
  (target.isContentEditable ||
    target.matches("input:not([type=checkbox]), select, textarea"));

/** @param {1 | -1} by */
const moveRow = (by) => {
  const rows = Array.from(
    /** @type {NodeListOf<HTMLElement>} */ (
      document.querySelectorAll("main a[data-row]")
    ),
  );
  const active = document.activeElement?.closest("tr");
  const now = rows.findIndex((row) => active?.contains(row) === true);
  const next = now === -1 ? (by === 1 ? 0 : rows.length - 1) : now + by;
  rows[next]?.focus();
};

const selectRow = () => {
  const row = document.activeElement?.closest("tr");
  /** @type {HTMLInputElement | null | undefined} */ (
    row?.querySelector("input[type=checkbox]")
  )?.click();
};

/** @type {Readonly<Record<string, () => void>>} */
const acts = {
  "/": () =>
    /** @type {HTMLElement | null} */ (
      document.querySelector("main form input, main form select")
    )?.focus(),
  j: () => moveRow(1),
  k: () => moveRow(-1),
  x: selectRow,
  r: refresh,
};

/** @param {() => void} showList */
const listen = (showList) => {
  let goAt = Number.NEGATIVE_INFINITY;
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    const { altKey, ctrlKey, key, metaKey, target } = event;
    if (altKey || ctrlKey || metaKey || isTyping(target)) return;
    if (document.querySelector("dialog[open]") !== null) return;
    const isSecond = performance.now() - goAt < secondKeyMillis;
    goAt = Number.NEGATIVE_INFINITY;
    const place = isSecond ? places[key] : undefined;
    const act = key === "?" ? showList : acts[key];
    if (place !== undefined) go(hrefOf(place[0]));
    else if (key === "g") goAt = performance.now();
    else if (act !== undefined) act();
    else return;
    event.preventDefault();
  };
  addEventListener("keydown", pressed);
  return () => removeEventListener("keydown", pressed);
};

/** The button that shows the list; the keys work while it is there. */
export const Shortcuts = () => {
  const isOn = useStore(areOn);
  const [isShown, setShown] = useState(false);
  useEffect(() => (isOn ? listen(() => setShown(true)) : undefined), [isOn]);
  return html`
    <button type="button" class="quiet" onClick=${() => setShown(true)}>Keyboard <kbd aria-hidden="true">?</kbd></button>
    ${
      isShown &&
      html`<${Dialog} title="Keys of the keyboard" onClose=${() => setShown(false)}>
        <dl class="keys">${list.map(([keys, what]) => html`<div><dt><kbd>${keys}</kbd></dt><dd>${what}</dd></div>`)}</dl>
        <label class="check"><input type="checkbox" checked=${isOn} onChange=${() => areOn.set(!isOn)} /> Use these keys</label>
        <div class="actions end"><button type="button" onClick=${() => setShown(false)}>Close</button></div>
      <//>`
    }`;
};
