/**
 * Up to which number a log is settled: no transaction that is still open can add
 * anything at or below it.
 *
 * A number is taken before its transaction is committed, so rows become visible
 * in another order than they are numbered. Each transaction has its own id before
 * it takes a number. So once a number was read, every transaction with that number
 * or a smaller one has an id below the next id of any later moment; and once the
 * `xmin` of a snapshot has reached that id, all of them have ended, and what they
 * committed is visible in it. Pure.
 *
 * The `xmax` of a snapshot will not do for the next id: it is one above the last
 * transaction that has *ended*, and one that is open may have it, or a later one.
 *
 * Numbers only grow. A last number that is below what was settled when the statement
 * was sent is that of another log: a database that was restored, or a replica that
 * lacked the end.
 */

/** What a statement says of the moment it ran at. */
export interface Moment {
  /** The last number taken, read after the statement's snapshot was made. */
  readonly last: bigint;
  /** Every transaction below this had ended, as the snapshot sees it. */
  readonly xmin: bigint;
  /** No transaction from here on had begun when the statement was sent. */
  readonly next: bigint;
}

export interface LogHorizon {
  /** Up to where it is settled for statements that are sent from now on. */
  readonly settledTo: () => bigint;
  /**
   * Called when a statement is sent. What it returns is called with the
   * statement's moment, and says up to where the log is settled in its snapshot.
   */
  readonly asking: () => (moment: Moment) => bigint;
}

interface Known {
  settledTo: bigint;
  /** A number read earlier, and the next id of a statement sent after that. */
  noted: { readonly last: bigint; next?: bigint } | undefined;
}

export const make = (): LogHorizon => {
  let known: Known = { settledTo: 0n, noted: undefined };
  return {
    settledTo: () => known.settledTo,
    asking: () => {
      const then = known;
      const { noted, settledTo } = then;
      return ({ last, next, xmin }) => {
        // It was asked of a log that has been found to be another since.
        if (then !== known) return 0n;
        if (last < settledTo) {
          // Another database, or what it was before: what was known is not true.
          known = { settledTo: 0n, noted: undefined };
          return 0n;
        }
        let settled = settledTo;
        if (noted !== undefined) {
          // That of any statement sent after it was noted would do.
          noted.next ??= next;
          if (xmin >= noted.next && noted.last > settled) settled = noted.last;
        }
        if (settled > known.settledTo) known.settledTo = settled;
        if (known.noted === undefined || known.noted.last <= known.settledTo) {
          known.noted = { last };
        }
        return settled;
      };
    },
  };
};
