/**
 * Lets orders appear late, as they do in PostgreSQL: an insert has taken its
 * number, others with later numbers are seen already, and it is not committed
 * yet. Until then nobody meets the order, and the log is not settled from its
 * number on.
 *
 * Stands around a repository whose inserts are seen at once and are numbered
 * from 1. Lists and counts of orders are left as they are: here, nobody asks.
 */
import { Effect, Option, Result } from "effect";
import type {
  LogPlace,
  LogRead,
  OrderRepository,
} from "../../src/persistence/OrderRepository.ts";

export interface Commits {
  /** The order will not be seen; said before its insert. */
  readonly hold: (order_id: string) => void;
  /** It is seen from now on. */
  readonly commit: (order_id: string) => void;
}

/** What is asked for, and as many more as may be hidden among it. */
const visibleOf = (
  read: LogRead,
  limit: number,
  held: ReadonlyMap<string, LogPlace>,
): LogRead => {
  const visible = read.open.filter(({ order_id }) => !held.has(order_id));
  const open = visible.slice(0, limit);
  const isEnd = read.isEnd && visible.length <= limit;
  return {
    open,
    isEnd,
    readTo: isEnd ? read.readTo : (open.at(-1)?.seq ?? read.readTo),
    settledTo: [...held.values()].reduce(
      (least, seq) => (seq <= least ? seq - 1n : least),
      read.settledTo,
    ),
  };
};

export const make = (repository: OrderRepository["Service"]) => {
  /** The numbers of orders that are not committed. */
  const held = new Map<string, LogPlace>();
  let numbered = 0n;

  const late: OrderRepository["Service"] = {
    ...repository,
    insert: (order, partition) =>
      Effect.tap(repository.insert(order, partition), ({ isNew }) =>
        Effect.sync(() => {
          if (!isNew) return;
          numbered += 1n;
          if (held.has(order.order_id)) held.set(order.order_id, numbered);
        }),
      ),
    find: (order_id) =>
      held.has(order_id) ? Effect.succeedNone : repository.find(order_id),
    cancel: (order_id) =>
      held.has(order_id) ? Effect.succeedNone : repository.cancel(order_id),
    begin: (asked) =>
      Effect.map(
        repository.begin(asked.filter(({ order_id }) => !held.has(order_id))),
        (answers) => {
          let next = 0;
          return asked.map(({ order_id }) =>
            held.has(order_id)
              ? Result.succeed(Option.none())
              : (answers[next++] as (typeof answers)[number]),
          );
        },
      ),
    readLog: (partition, after, limit) =>
      Effect.map(
        repository.readLog(partition, after, limit + held.size),
        (read) => visibleOf(read, limit, held),
      ),
    tally: Effect.map(repository.tally, ({ accepted, counts, ...rest }) => ({
      ...rest,
      accepted: accepted - held.size,
      counts: { ...counts, PENDING: counts.PENDING - held.size },
    })),
  };
  const commits: Commits = {
    hold: (order_id) => held.set(order_id, numbered + 1n),
    commit: (order_id) => held.delete(order_id),
  };
  return { repository: late, commits };
};
