/** Questions that hold the page until they are answered. */
import { html } from "htm/preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { focusHeading } from "./focus.js";

/**
 * A dialog over the page. The browser keeps focus in it, closes it with Escape,
 * and gives focus back to what had it.
 *
 * @param {{ title: string, onClose: () => void, children: unknown }} props
 */
export const Dialog = ({ children, onClose, title }) => {
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  useLayoutEffect(() => {
    const dialog = ref.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      // While it is open nothing else can have focus.
      dialog?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      if (document.activeElement === document.body) focusHeading();
    };
  }, []);
  return html`<dialog ref=${ref} aria-labelledby=${id} onClose=${onClose}>
    <h2 id=${id}>${title}</h2>
    ${children}
  </dialog>`;
};

/**
 * Asks whether to do something.
 *
 * @param {{ title: string, action: string, isDangerous?: boolean, children?: unknown, onYes: () => void, onNo: () => void }} props
 */
export const Confirm = ({
  action,
  children,
  isDangerous = false,
  onNo,
  onYes,
  title,
}) => html`<${Dialog} title=${title} onClose=${onNo}>
  <div class="text">${children}</div>
  <div class="actions end">
    <button type="button" onClick=${onNo}>Back</button>
    <button type="button" class=${isDangerous ? "danger" : "primary"} onClick=${onYes}>${action}</button>
  </div>
<//>`;
