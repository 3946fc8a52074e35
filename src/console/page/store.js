/** A value that several parts of the page show. */
import { useEffect, useState } from "preact/hooks";

/**
 * @template T
 * @typedef {object} Store
 * @property {() => T} get
 * @property {(value: T) => void} set
 * @property {(listener: (value: T) => void) => () => void} subscribe
 */

/**
 * @template T
 * @param {T} initial
 * @returns {Store<T>}
 */
export const storeOf = (initial) => {
  let value = initial;
  /** @type {Set<(value: T) => void>} */
  const listeners = new Set();
  return {
    get: () => value,
    set: (next) => {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener(next);
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
};

/**
 * The value, and the part is shown again when it changes.
 *
 * @template T
 * @param {Store<T>} store
 * @returns {T}
 */
export const useStore = (store) => {
  const [, show] = useState(store.get);
  useEffect(() => {
    // It may have changed since it was first shown.
    show(store.get);
    return store.subscribe(() => show(store.get));
  }, [store]);
  return store.get();
};

/**
 * A choice of the reader, kept by the browser.
 *
 * @param {string} name
 * @param {boolean} initial
 * @returns {Store<boolean>}
 */
export const settingOf = (name, initial) => {
  const key = `orders.${name}`;
  const store = storeOf(initial);
  try {
    const kept = localStorage.getItem(key);
    if (kept !== null) store.set(kept === "true");
    store.subscribe((value) => localStorage.setItem(key, String(value)));
  } catch {
    // A browser that keeps nothing: the choice holds until the page is left.
  }
  return store;
};
