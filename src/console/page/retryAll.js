/**
 * Retries all dead letters of one error. First a dry run counts them: no more
 * are retried than it has told, also if they fail again meanwhile.
 */
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { call, faultOf, Problem } from "./api.js";
import { Dialog } from "./dialog.js";
import { sleep } from "./live.js";
import { announce } from "./notice.js";
import { Fault } from "./parts.js";
import { counted, countOf } from "./time.js";

/** Orders of one request. */
const atOnce = 500;

/** Progress is told to screen readers so often, in milliseconds. */
const toldMillis = 5_000;

/** @typedef {{ readonly error?: string, readonly created_before: string, readonly cursor?: string }} Chosen */

/**
 * @param {Chosen} chosen
 * @param {number} limit
 * @param {AbortSignal} signal
 */
const retrySome = async (chosen, limit, signal) => {
  for (;;) {
    try {
      const body = { ...chosen, limit };
      return await call("orders.retryMany", { body, signal });
    } catch (error) {
      const isBusy =
        error instanceof Problem && [429, 503].includes(error.status);
      if (!isBusy) throw error;
      await sleep((error.retryAfterSeconds ?? 1) * 1_000, signal);
      signal.throwIfAborted();
    }
  }
};

/**
 * @param {Chosen} chosen
 * @param {number} count
 * @param {(done: number) => void} onProgress
 * @param {AbortSignal} signal
 * @returns {Promise<number>} how many were retried
 */
const retryAll = async (chosen, count, onProgress, signal) => {
  let done = 0;
  let from = chosen;
  while (done < count && !signal.aborted) {
    const limit = Math.min(atOnce, count - done);
    const { next_cursor, retried } = await retrySome(from, limit, signal);
    done += retried;
    onProgress(done);
    if (next_cursor === undefined) break;
    // A request reads a bounded part: those that match may lie further on.
    from = { ...chosen, cursor: next_cursor };
  }
  return done;
};

/**
 * @typedef {{ readonly is: "counting" }
 *   | { readonly is: "asking", readonly count: number, readonly isCapped: boolean }
 *   | { readonly is: "running", readonly count: number, readonly done: number }
 *   | { readonly is: "over", readonly count: number, readonly done: number, readonly fault?: Error | undefined }} Step
 */

/**
 * @param {Chosen} chosen
 */
const useRetrying = (chosen) => {
  const [step, setStep] = useState(/** @type {Step} */ ({ is: "counting" }));
  const leaving = useRef(new AbortController());
  useEffect(() => {
    const { signal } = leaving.current;
    call("orders.retryMany", {
      body: { ...chosen, dry_run: true },
      signal,
    }).then(
      ({ capped = false, matching = 0 }) =>
        setStep({ is: "asking", count: matching, isCapped: capped }),
      (error) => {
        const fault = faultOf(error);
        if (!signal.aborted) setStep({ is: "over", count: 0, done: 0, fault });
      },
    );
    return () => leaving.current.abort();
  }, []);
  /** @param {number} count */
  const run = async (count) => {
    let done = 0;
    let toldAt = performance.now();
    setStep({ is: "running", count, done });
    /** @param {number} now */
    const progress = (now) => {
      done = now;
      setStep({ is: "running", count, done });
      if (performance.now() - toldAt < toldMillis) return;
      toldAt = performance.now();
      announce(`${countOf(done)} of ${countOf(count)}`);
    };
    /** @type {Error | undefined} */
    let fault;
    try {
      await retryAll(chosen, count, progress, leaving.current.signal);
    } catch (error) {
      if (!leaving.current.signal.aborted) fault = faultOf(error);
    }
    setStep({ is: "over", count, done, fault });
    announce(`${counted(done, "order is", "orders are")} PENDING again.`);
  };
  return { step, run, stop: () => leaving.current.abort() };
};

/** @param {{ step: Step, error: string | undefined, onRun: (count: number) => void, onStop: () => void, onClose: () => void }} props */
const Choice = ({ error, onClose, onRun, onStop, step }) => {
  switch (step.is) {
    case "counting":
      return html`<p class="faint">Counting …</p><div class="actions end"><button type="button" onClick=${onClose}>Back</button></div>`;
    case "asking": {
      const orders = counted(step.count, "order");
      if (step.count === 0) {
        return html`<p>None matches any more.</p><div class="actions end"><button type="button" onClick=${onClose}>Close</button></div>`;
      }
      return html`
        <p>${
          step.isCapped
            ? html`At least <b>${orders}</b> ${step.count === 1 ? "matches" : "match"}; there may be more, as not all were counted. So many are retried, the oldest first.`
            : html`<b>${orders}</b> ${step.count === 1 ? "matches" : "match"}.`
        } They get all their attempts again.</p>
        <div class="actions end"><button type="button" onClick=${onClose}>Back</button>
          <button type="button" class="primary text" onClick=${() => onRun(step.count)}>Retry ${orders}${error === undefined ? "" : `: ${error}`}</button></div>`;
    }
    case "running":
      return html`<progress max=${step.count} value=${step.done} aria-label="Retried"></progress>
        <p>${countOf(step.done)} of ${countOf(step.count)}</p>
        <div class="actions end"><button type="button" onClick=${onStop}>Stop</button></div>`;
    case "over":
      return html`<${Fault} fault=${step.fault} />
        <p>${counted(step.done, "order is", "orders are")} PENDING again${step.done < step.count ? `, of ${countOf(step.count)}` : ""}.${step.done < step.count && step.fault === undefined ? " The others are not FAILED any more, or somebody holds them: count again." : ""}</p>
        <div class="actions end"><button type="button" class="primary" onClick=${onClose}>Close</button></div>`;
  }
};

/**
 * @param {{ error: string | undefined, onClose: () => void }} props without `error` all dead letters are retried
 */
export const RetryAll = ({ error, onClose }) => {
  const chosen = useRef({
    ...(error === undefined ? {} : { error }),
    created_before: new Date().toISOString(),
  });
  const { run, step, stop } = useRetrying(chosen.current);
  return html`<${Dialog} title=${error === undefined ? "Retry all dead letters" : "Retry all of one error"} onClose=${onClose}>
    ${error !== undefined && html`<p class="text box bad">${error}</p>`}
    <${Choice} step=${step} error=${error} onRun=${run} onStop=${stop} onClose=${onClose} />
  <//>`;
};
