/**
 * Whether the service answers. Once it does not, one probe at a time asks
 * whether it is back, and all else waits for that.
 */
import { endpoints } from "./contract.js";
import { storeOf } from "./store.js";

/**
 * - `connected`
 * - `lost`: nobody answers
 * - `troubled`: the service answers that it cannot, or not yet
 *
 * @typedef {{ readonly state: "connected" | "lost" } | { readonly state: "troubled", readonly detail: string }} Connection
 */

/** @type {import("./store.js").Store<Connection>} */
export const connection = storeOf(
  /** @type {Connection} */ ({ state: "connected" }),
);

/** How often it is asked whether the service is back, in milliseconds. */
const probeMillis = { first: 500, most: 5_000 };

/** How long a probe may take, in milliseconds. */
const probeTimeout = 4_000;

/** Trouble is over when nothing was refused for so long, in milliseconds. */
const troubleMillis = 3_000;

let isProbing = false;
let troubledAt = Number.NEGATIVE_INFINITY;

const isBack = async () => {
  try {
    const { path } = endpoints["health.live"];
    const signal = AbortSignal.timeout(probeTimeout);
    return (await fetch(path, { cache: "no-store", signal })).ok;
  } catch {
    return false;
  }
};

/** @param {number} waitMillis */
const probe = (waitMillis) => {
  setTimeout(async () => {
    if (await isBack()) {
      isProbing = false;
      connection.set({ state: "connected" });
    } else {
      probe(Math.min(waitMillis * 1.5, probeMillis.most));
    }
  }, waitMillis);
};

/** Nobody has answered. */
export const lost = () => {
  if (connection.get().state !== "lost") connection.set({ state: "lost" });
  if (isProbing) return;
  isProbing = true;
  probe(probeMillis.first);
};

/** Something was broken off: whether it is the connection, is asked at once. */
export const doubt = async () => {
  if (connection.get().state !== "lost" && !(await isBack())) lost();
};

/**
 * Somebody has answered.
 *
 * @param {import("./api.js").Problem | undefined} problem
 */
export const answered = (problem) => {
  const before = connection.get();
  // What was on its way when the connection was lost says nothing of it.
  if (before.state === "lost" && isProbing) return;
  const now = performance.now();
  if (problem?.status === 503 || problem?.status === 429) {
    troubledAt = now;
    const detail = problem.detail ?? problem.title;
    if (before.state === "troubled" && before.detail === detail) return;
    connection.set({ state: "troubled", detail });
  } else if (before.state === "lost" || now - troubledAt > troubleMillis) {
    if (before.state !== "connected") connection.set({ state: "connected" });
  }
};

/**
 * Resolves when the service answers again, at once if it does now.
 *
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export const whenBack = (signal) =>
  new Promise((resolve) => {
    if (connection.get().state !== "lost") return resolve();
    const done = () => {
      stop();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const stop = connection.subscribe(({ state }) => {
      if (state !== "lost") done();
    });
    signal.addEventListener("abort", done);
  });
