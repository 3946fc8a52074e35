/** What has just happened, said once, below the page and to screen readers. */
import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import { storeOf, useStore } from "./store.js";

/** How long it stands there, in milliseconds. */
const shownMillis = 8_000;

/** @typedef {{ readonly text: string, readonly isSeen: boolean }} Notice */

/** @type {import("./store.js").Store<Notice | undefined>} */
const notice = storeOf(/** @type {Notice | undefined} */ (undefined));

/**
 * Says it and shows it.
 *
 * @param {string} text
 */
export const tell = (text) => notice.set({ text, isSeen: true });

/**
 * Says it to screen readers only: others see it where it happened.
 *
 * @param {string} text
 */
export const announce = (text) => notice.set({ text, isSeen: false });

export const NoticeBar = () => {
  const said = useStore(notice);
  useEffect(() => {
    if (said === undefined) return;
    const timer = setTimeout(() => notice.set(undefined), shownMillis);
    return () => clearTimeout(timer);
  }, [said]);
  return html`<div role="status" class=${said?.isSeen ? "notice" : "unseen"}>
    ${said?.text}
    ${
      said?.isSeen &&
      html`<button type="button" class="small quiet" onClick=${() => notice.set(undefined)}>Dismiss</button>`
    }
  </div>`;
};
