/** Dead letters by why they failed. Pure, but for the reading of their pages. */
import { ask, cursorOf } from "./api.js";

/** @typedef {import("./orderTable.js").Order} Order */

/**
 * @typedef {object} Group
 * @property {string | null} error
 * @property {number} count of those that were read
 * @property {string} newest when the latest of them failed
 */

/** Dead letters that are read, the newest: in pages, each quick. */
const readMost = 1_000;
const pageRows = 200;

/** Pages at most: those that match little are short. */
const pagesMost = 20;

/** When an order became a dead letter: its last change. */
const failedAt = (/** @type {Order} */ { updated_at }) => updated_at;

/**
 * The latest failure first.
 *
 * @param {ReadonlyArray<Order>} orders
 * @returns {ReadonlyArray<Group>}
 */
export const groupsOf = (orders) => {
  /** @type {Map<string | null, Group>} */
  const groups = new Map();
  for (const order of orders) {
    const { last_error: error } = order;
    const { count, newest } = groups.get(error) ?? { count: 0, newest: "" };
    const at = failedAt(order);
    groups.set(error, {
      error,
      count: count + 1,
      newest: at > newest ? at : newest,
    });
  }
  return [...groups.values()].sort((one, other) =>
    one.newest < other.newest ? 1 : -1,
  );
};

/**
 * The newest dead letters, and whether there are more.
 *
 * @param {AbortSignal} signal
 */
export const newest = async (signal) => {
  /** @type {Array<Order>} */
  const orders = [];
  /** @type {string | undefined} */
  let cursor;
  for (let page = 0; page < pagesMost; page += 1) {
    const limit = Math.min(pageRows, readMost - orders.length);
    const query = { status: "FAILED", limit, cursor };
    const { answer, next } = await ask("orders.list", { query, signal });
    orders.push(...answer);
    cursor = cursorOf(next);
    if (cursor === undefined || orders.length >= readMost) break;
  }
  return { orders, isMore: cursor !== undefined };
};
