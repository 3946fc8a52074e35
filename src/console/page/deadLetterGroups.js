/** Dead letters by why they failed. Pure. */

/** @typedef {import("./orderTable.js").Order} Order */

/**
 * @typedef {object} Group
 * @property {string | null} error
 * @property {number} count of those that were read
 * @property {string} newest when the latest of them failed
 */

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
