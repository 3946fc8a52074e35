/** Retrying and cancelling orders that were selected, one after the other. */
import { html } from "htm/preact";
import { useRef, useState } from "preact/hooks";
import { call, Problem } from "./api.js";
import { Confirm } from "./dialog.js";
import { sleep } from "./live.js";
import { tell } from "./notice.js";
import { may } from "./session.js";
import { counted } from "./time.js";

/** @typedef {"retry" | "cancel"} Action */

const words = {
  retry: { name: "Retry", done: "PENDING again", from: "FAILED" },
  cancel: { name: "Cancel", done: "CANCELLED", from: "PENDING" },
};

/**
 * Does it to each; what is refused for its status is counted, and the rest goes on.
 *
 * @param {Action} action
 * @param {ReadonlyArray<string>} ids
 * @param {(done: number) => void} onProgress
 * @param {AbortSignal} signal
 */
const doToEach = async (action, ids, onProgress, signal) => {
  let changed = 0;
  let refused = 0;
  for (const [index, order_id] of ids.entries()) {
    while (!signal.aborted) {
      try {
        await call(`orders.${action}`, { params: { order_id }, signal });
        changed += 1;
      } catch (error) {
        const isProblem = error instanceof Problem;
        if (isProblem && [429, 503].includes(error.status)) {
          await sleep((error.retryAfterSeconds ?? 1) * 1_000, signal);
          continue;
        }
        if (!isProblem || ![404, 409].includes(error.status)) throw error;
        refused += 1;
      }
      break;
    }
    if (signal.aborted) break;
    onProgress(index + 1);
  }
  return { changed, refused };
};

/**
 * What can be done with the orders that are selected.
 *
 * @param {{ actions: ReadonlyArray<Action>, orders: ReadonlyArray<import("./orderTable.js").Order>, onDone: () => void, onClear: () => void }} props `orders` are those selected
 */
export const SelectionBar = ({ actions, onClear, onDone, orders }) => {
  const [asked, setAsked] = useState(
    /** @type {Action | undefined} */ (undefined),
  );
  const [progress, setProgress] = useState(
    /** @type {{ done: number, of: number } | undefined} */ (undefined),
  );
  const stopping = useRef(new AbortController());
  /** @param {Action} action */
  const fitting = (action) =>
    orders.filter(({ status }) => status === words[action].from);
  /** @param {Action} action */
  const run = async (action) => {
    setAsked(undefined);
    stopping.current = new AbortController();
    const ids = fitting(action).map(({ order_id }) => order_id);
    setProgress({ done: 0, of: ids.length });
    try {
      const { changed, refused } = await doToEach(
        action,
        ids,
        (done) => setProgress({ done, of: ids.length }),
        stopping.current.signal,
      );
      const rest =
        refused === 0
          ? ""
          : ` ${counted(refused, "was", "were")} not ${words[action].from} any more.`;
      tell(
        `${counted(changed, "order is", "orders are")} ${words[action].done}.${rest}`,
      );
      onDone();
    } catch (error) {
      if (!stopping.current.signal.aborted) {
        tell(
          `${words[action].name} was broken off. ${error instanceof Error ? error.message : ""}`,
        );
      }
      onDone();
    } finally {
      setProgress(undefined);
    }
  };
  if (progress !== undefined) {
    return html`<div class="selection box">
      <progress max=${progress.of} value=${progress.done} aria-label="Progress"></progress>
      <span>${progress.done} of ${progress.of}</span>
      <button type="button" onClick=${() => stopping.current.abort()}>Stop</button>
    </div>`;
  }
  if (orders.length === 0) return null;
  return html`<div class="selection box">
    <span>${counted(orders.length, "order")} selected</span>
    ${actions.map((action) => {
      const count = fitting(action).length;
      return (
        may(`orders.${action}`) &&
        html`<button type="button" class=${action === "cancel" ? "danger" : "primary"} disabled=${count === 0} title=${count === 0 ? `None of them is ${words[action].from}` : ""} onClick=${() => setAsked(action)}>${words[action].name} ${count} ${words[action].from}</button>`
      );
    })}
    <button type="button" class="quiet" onClick=${onClear}>Clear selection</button>
    ${
      asked !== undefined &&
      html`<${Confirm} title=${`${words[asked].name} ${counted(fitting(asked).length, "order")}?`} action=${`${words[asked].name} ${counted(fitting(asked).length, "order")}`} isDangerous=${asked === "cancel"} onNo=${() => setAsked(undefined)} onYes=${() => run(asked)}>
        ${asked === "cancel" ? "A cancelled order stays so." : "They get all their attempts again."}
      <//>`
    }
  </div>`;
};
