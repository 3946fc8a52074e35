/** What keeps a page as the service is: asking again, and hearing of events. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { call, faultOf, Problem, urlOf } from "./api.js";
import { doubt, whenBack } from "./connection.js";
import { eventTypes } from "./contract.js";
import { storeOf, useStore } from "./store.js";

/** The longest wait after faults, in milliseconds. */
const backoffMost = 30_000;

/** Counts how often the reader has asked for all to be read again. */
const refreshed = storeOf(0);

export const refresh = () => refreshed.set(refreshed.get() + 1);

/** @type {import("./store.js").Store<boolean>} */
const visible = storeOf(!document.hidden);
document.addEventListener("visibilitychange", () =>
  visible.set(!document.hidden),
);

/**
 * @param {number} millis
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export const sleep = (millis, signal) =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, millis);
    signal.addEventListener("abort", done);
  });

/**
 * When to ask again after `faults` faults in a row (1 and more), in milliseconds.
 *
 * @param {number} millis
 * @param {number} faults
 * @param {Error | undefined} fault
 */
const waitOf = (millis, faults, fault) => {
  const asked = fault instanceof Problem ? fault.retryAfterSeconds : undefined;
  const grown = Math.max(millis, 1_000) * 2 ** (faults - 1);
  return Math.max((asked ?? 0) * 1_000, Math.min(grown, backoffMost));
};

/**
 * Takes one step after the other, none while the connection is lost.
 *
 * @param {(signal: AbortSignal) => Promise<number | undefined>} step says how long to wait for the next, in milliseconds; undefined: until it is nudged
 */
const stepping = (step) => {
  const leaving = new AbortController();
  const { signal } = leaving;
  let isNudged = false;
  let wake = () => {};
  /** @type {(millis: number | undefined) => Promise<void>} */
  const wait = (millis) =>
    new Promise((resolve) => {
      const timer =
        millis === undefined ? undefined : setTimeout(resolve, millis);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const run = async () => {
    while (!signal.aborted) {
      await whenBack(signal);
      if (signal.aborted) return;
      isNudged = false;
      const millis = await step(signal);
      // Asked for while it was under way: what came may be older.
      if (!isNudged && !signal.aborted) await wait(millis);
    }
  };
  run();
  return {
    nudge: () => {
      isNudged = true;
      wake();
    },
    stop: () => {
      leaving.abort();
      wake();
    },
  };
};

/**
 * @template T
 * @typedef {object} Polled
 * @property {T | undefined} data the latest answer; it stays while others fail
 * @property {Error | undefined} fault of the latest try
 * @property {() => void} again asks at once, or once more after the answer that is under way
 */

/**
 * Asks at once, and again after each answer: never twice at a time, not while
 * nobody looks at the page, and not while the connection is lost.
 *
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {number | undefined} millis from an answer to the next try; undefined: once
 * @param {ReadonlyArray<unknown>} about what `load` goes by: when that changes, what was there is gone
 * @param {boolean} [isHeld] what was read stands still, unless the reader asks
 * @returns {Polled<T>}
 */
export const usePoll = (load, millis, about, isHeld = false) => {
  const key = JSON.stringify(about);
  const [known, setKnown] = useState(
    /** @type {{ key: string, data?: T, fault?: Error | undefined }} */ ({
      key,
    }),
  );
  const isVisible = useStore(visible);
  const asked = useStore(refreshed);
  const latest = useRef(load);
  latest.current = load;
  const nudge = useRef(() => {});
  const held = useRef(isHeld);
  held.current = isHeld;
  const done = useRef("");
  useEffect(() => {
    if (!isVisible) return;
    const wanted = `${asked} ${key}`;
    let faults = 0;
    const steps = stepping(async (signal) => {
      if (held.current && done.current === wanted) return undefined;
      try {
        const data = await latest.current(signal);
        if (signal.aborted) return undefined;
        setKnown({ key, data });
        done.current = wanted;
        faults = 0;
        return millis;
      } catch (error) {
        if (signal.aborted) return undefined;
        const fault = faultOf(error);
        faults += 1;
        setKnown((before) =>
          before.key === key ? { ...before, fault } : { key, fault },
        );
        return waitOf(millis ?? 0, faults, fault);
      }
    });
    nudge.current = steps.nudge;
    return steps.stop;
  }, [key, millis, isVisible, asked]);
  useEffect(() => {
    if (!isHeld) nudge.current();
  }, [isHeld]);
  const again = useCallback(() => nudge.current(), []);
  const isOld = known.key !== key;
  return {
    data: isOld ? undefined : known.data,
    fault: isOld ? undefined : known.fault,
    again,
  };
};

/** How long until a stream that was refused is tried again, in milliseconds. */
const streamAgainMillis = 10_000;

/** @param {AbortSignal} signal */
const areOff = async (signal) => {
  try {
    await call("events.list", { query: { after: "latest", limit: 1 }, signal });
    return false;
  } catch (error) {
    return error instanceof Problem && error.status === 409;
  }
};

/**
 * Hears of events from now on, while somebody looks at the page.
 *
 * @param {(type: string, data: string) => void} onEvent called for each, so it must be quick
 * @param {{ userId?: string | undefined, isOn?: boolean }} [filter]
 * @returns {"on" | "off" | "connecting"} off: this service writes no events
 */
export const useEvents = (onEvent, { isOn = true, userId } = {}) => {
  const [state, setState] = useState(
    /** @type {"on" | "off" | "connecting"} */ ("connecting"),
  );
  const isVisible = useStore(visible);
  const latest = useRef(onEvent);
  latest.current = onEvent;
  useEffect(() => {
    if (!isOn || !isVisible) return;
    const leaving = new AbortController();
    /** @type {EventSource | undefined} */
    let source;
    const open = () => {
      source = new EventSource(
        urlOf("events.stream", { query: { after: "latest", user_id: userId } }),
      );
      for (const type of eventTypes) {
        source.addEventListener(type, ({ data }) => latest.current(type, data));
      }
      source.addEventListener("open", () => setState("on"));
      source.addEventListener("error", async () => {
        setState("connecting");
        doubt();
        // Else the browser tries again by itself.
        if (source?.readyState !== EventSource.CLOSED) return;
        await whenBack(leaving.signal);
        if (leaving.signal.aborted) return;
        if (await areOff(leaving.signal)) return setState("off");
        await sleep(streamAgainMillis, leaving.signal);
        if (!leaving.signal.aborted) open();
      });
    };
    open();
    return () => {
      leaving.abort();
      source?.close();
    };
  }, [isOn, isVisible, userId]);
  return state;
};

/**
 * Calls `act` soon after it was asked for, and at most once in `millis`.
 *
 * @param {() => void} act
 * @param {number} millis
 */
export const useAtMostEvery = (act, millis) => {
  const latest = useRef(act);
  latest.current = act;
  const state = useRef({ at: 0, timer: 0 });
  useEffect(() => () => clearTimeout(state.current.timer), []);
  return useCallback(() => {
    if (state.current.timer !== 0) return;
    const wait = Math.max(0, state.current.at + millis - performance.now());
    state.current.timer = window.setTimeout(() => {
      state.current = { at: performance.now(), timer: 0 };
      latest.current();
    }, wait);
  }, [millis]);
};
