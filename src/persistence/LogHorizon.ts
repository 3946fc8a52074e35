/**
 * Up to which number the log of orders is settled: no transaction that is still
 * open can add an order at or below it.
 *
 * A number is taken before its order is committed, so orders become visible in
 * another order than they are numbered. Each transaction has its own id before it
 * takes a number (`OrderPlacing`). So once a number was read, every transaction
 * with that number or a smaller one has an id below the one that is to be given
 * next, as any later statement finds it; and once the `xmin` of a snapshot has
 * reached that, all of them have ended, and what they committed is visible in it.
 * Pure.
 */

/** What a statement says of the moment it ran at. */
export interface Moment {
  /** The last number taken, read after the statement's snapshot was made. */
  readonly last: bigint;
  /** Every transaction below this had ended, as the snapshot sees it. */
  readonly xmin: bigint;
  /** The id to be given next: no transaction from here on had begun. */
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

export const make = (): LogHorizon => {
  let settledTo = 0n;
  /** A number read earlier, and the next id of a statement sent after that. */
  let noted: { readonly last: bigint; next?: bigint } | undefined;
  return {
    settledTo: () => settledTo,
    asking: () => {
      const before = { noted, settledTo };
      return ({ last, next, xmin }) => {
        let settled = before.settledTo;
        if (before.noted !== undefined) {
          // That of a later statement would do, too.
          before.noted.next ??= next;
          if (xmin >= before.noted.next && before.noted.last > settled) {
            settled = before.noted.last;
          }
        }
        if (settled > settledTo) settledTo = settled;
        if (noted === undefined || noted.last <= settledTo) {
          noted = { last };
        }
        return settled;
      };
    },
  };
};
