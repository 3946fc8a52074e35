/** Reads the newest dead letters. */
import { ask, cursorOf } from "./api.js";

/** @typedef {import("./orderTable.js").Order} Order */

/** Dead letters that are read, the newest: in pages, each quick. */
const readMost = 1_000;
const pageRows = 200;

/** Pages at most: those that match little are short. */
const pagesMost = 20;

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
