/** Where the reader's keyboard is. */

/** To the title of the page. */
export const focusHeading = () =>
  /** @type {HTMLElement | null} */ (document.querySelector("h1"))?.focus();

/**
 * What has focus may go: an order that was retried leaves the dead letters, with
 * its button. Then focus goes to the page's title, not to nowhere.
 *
 * @param {HTMLElement} root
 */
export const keepFocus = (root) => {
  /** @type {Element | null} */
  let last = null;
  root.addEventListener("focusin", ({ target }) => {
    last = target instanceof Element ? target : null;
  });
  new MutationObserver(() => {
    if (last === null || last.isConnected) return;
    last = null;
    if (document.activeElement === document.body) focusHeading();
  }).observe(root, { childList: true, subtree: true });
};
