/** What all pages are made of. */
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { NoAnswer, Problem, urlOf } from "./api.js";
import { announce } from "./notice.js";
import { session } from "./session.js";

/**
 * The title of a page. Focus moves here when it is gone to, so that whoever
 * does not see the page hears where they are.
 *
 * @param {{ title: string, children?: unknown }} props
 */
export const Heading = ({ children, title }) => {
  const ref = useRef(/** @type {HTMLElement | null} */ (null));
  // At once: later it would be taken from what the reader has gone to meanwhile.
  useLayoutEffect(() => {
    document.title = `${title} · Order service`;
    // Not when the console is opened: then the reader is at its beginning.
    if (document.body.dataset.opened === "yes") ref.current?.focus();
    document.body.dataset.opened = "yes";
  }, [title]);
  return html`<div class="heading">
    <h1 tabindex="-1" ref=${ref}>${title}</h1>
    <div class="actions">${children}</div>
  </div>`;
};

/** Told apart by more than their colours. */
const signs = {
  PENDING: "○",
  PROCESSING: "◐",
  COMPLETED: "✓",
  FAILED: "✕",
  CANCELLED: "–",
  RUNNING: "▶",
  PAUSED: "‖",
  ACTIVE: "▶",
  DISABLED: "✕",
  CLOSED: "✓",
  HALF_OPEN: "◐",
  OPEN: "✕",
};

/** @param {{ is: keyof typeof signs }} props */
export const Status = ({ is }) =>
  html`<span class="status" data-status=${is}><span aria-hidden="true">${signs[is]}</span> ${is}</span>`;

/**
 * What went wrong, and what to do next.
 *
 * @param {{ fault: Error | undefined }} props
 */
export const Fault = ({ fault }) => {
  // The line at the top says so already.
  if (fault === undefined || fault instanceof NoAnswer) return null;
  if (!(fault instanceof Problem)) {
    return html`<div class="box bad" role="alert"><p><strong>The console has failed</strong></p><p class="text">${fault.message} Reload the page; if it stays so, report it.</p></div>`;
  }
  return html`<div class="box bad" role="alert">
    <p><strong>${fault.title}</strong></p>
    <p class="text">${fault.detail}</p>
    ${
      fault.errors.length > 0 &&
      html`<ul>${fault.errors.map(({ message, path }) => html`<li><code>${[path].flat().join(".")}</code> ${message}</li>`)}</ul>`
    }
  </div>`;
};

/** @param {{ what: string }} props */
export const Loading = ({ what }) =>
  html`<p class="faint loading">Loading ${what} …</p>`;

/** @param {HTMLElement | null} element */
const select = (element) => {
  if (element === null) return;
  const range = document.createRange();
  range.selectNodeContents(element);
  getSelection()?.removeAllRanges();
  getSelection()?.addRange(range);
};

/**
 * Copies a text. Where a browser lets no page write to the clipboard (an address
 * without TLS that is not this machine), what is shown of it is selected.
 *
 * @param {{ text: string, what: string, shown: () => HTMLElement | null, children?: unknown }} props
 */
export const CopyButton = ({ children, shown, text, what }) => {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setCopied(false), 2_000);
    return () => clearTimeout(timer);
  }, [isCopied]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      announce(`Copied ${what}`);
    } catch {
      select(shown());
      announce(`Selected ${what}: copy it with the keyboard`);
    }
  };
  return html`<button type="button" class="small quiet copy" onClick=${copy}>
    ${isCopied ? "Copied" : (children ?? html`Copy<span class="unseen"> ${what}</span>`)}</button>`;
};

/**
 * Text that can be copied.
 *
 * @param {{ text: string, what: string }} props
 */
export const Copyable = ({ text, what }) => {
  const ref = useRef(/** @type {HTMLElement | null} */ (null));
  return html`<div class="copyable"><pre tabindex="0" ref=${ref}>${text}</pre>
    <${CopyButton} text=${text} what=${what} shown=${() => ref.current} /></div>`;
};

/**
 * A table that scrolls in its box where the window is narrow.
 *
 * @param {{ caption: string, columns: ReadonlyArray<{ name: unknown, class?: string }>, children: unknown, class?: string }} props
 */
export const Table = ({ caption, children, class: kind = "", columns }) =>
  html`<div class="scroll" role="region" aria-label=${caption} tabindex="0">
    <table class=${kind}>
      <caption class="unseen">${caption}</caption>
      <thead><tr>${columns.map((column) => html`<th scope="col" class=${column.class ?? ""}>${column.name}</th>`)}</tr></thead>
      <tbody>${children}</tbody>
    </table>
  </div>`;

/**
 * Names and what they are.
 *
 * @param {{ of: ReadonlyArray<readonly [string, unknown] | false | null | undefined> }} props
 */
export const Facts = ({ of }) =>
  html`<dl class="facts">${of.map((fact) => fact && html`<div><dt>${fact[0]}</dt><dd>${fact[1]}</dd></div>`)}</dl>`;

/**
 * Why a button cannot be pressed, where the key lacks its scope.
 *
 * @param {{ scope: string | undefined }} props
 */
export const Lacking = ({ scope }) =>
  scope !== undefined &&
  html`<span class="faint">Your key lacks the scope <code>${scope}</code></span>`;

/** How to place a first order, with the address the reader has come by. */
export const placeCommand = () => {
  const key =
    session.get()?.access === "keys" ? "-H 'authorization: Bearer osk_…' " : "";
  return `curl -i ${location.origin}${urlOf("orders.place")} ${key}-H 'content-type: application/json' -d '{"order_id":"ORD001","user_id":"USER001","item_ids":["ITEM001"],"total_amount":99.99}'`;
};
