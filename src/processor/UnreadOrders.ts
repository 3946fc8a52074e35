/**
 * Looks for open orders that nobody will read, and has their partitions read
 * again from there. There is none unless the database was moved without its
 * sequences (`persistence/Sequences.ts`).
 *
 * One promise: such an order is found within a minute and a walk over the log,
 * and its partition is claimed and read again.
 */
import { Context, Duration, Effect, Layer } from "effect";
import type { Partition } from "../domain/Partition.ts";
import { Database } from "../persistence/Database.ts";
import {
  type LogPlace,
  OrderRepository,
  type UnreadFound,
} from "../persistence/OrderRepository.ts";

/** Between two counts. */
const interval = Duration.seconds(30);

/**
 * So many looks make no walk after one in vain: where too many orders are open to
 * be counted, or a row is missing, the log is read once an hour.
 */
const skippedMax = 119;

/** Orders in one step of a walk, and the pause after it. */
const stepSize = 10_000;
const pauseMin = Duration.millis(100);
const pauseFactor = 20;

interface Unread {
  readonly orders: number;
  readonly firsts: ReadonlyMap<Partition, LogPlace>;
}

export class UnreadOrders extends Context.Service<
  UnreadOrders,
  {
    /** How many the last search found. */
    readonly found: () => number;
    /** How many of them the search before had found, too: reading did not help. */
    readonly stuck: () => number;
  }
>()("processor/UnreadOrders") {
  static readonly layer = Layer.effect(
    UnreadOrders,
    Effect.gen(function* () {
      const database = yield* Database;
      const repository = yield* OrderRepository;
      let found = 0;
      let stuck = 0;

      /** Over the log, up to the positions. */
      const walk = Effect.gen(function* () {
        const firsts = new Map<Partition, LogPlace>();
        let orders = 0;
        let after: LogPlace | undefined = 0n;
        while (after !== undefined) {
          const [took, step]: [Duration.Duration, UnreadFound] =
            yield* Effect.timed(repository.findUnread(after, stepSize));
          for (const one of step.found) {
            orders += one.orders;
            if (!firsts.has(one.partition)) {
              firsts.set(one.partition, one.first);
            }
          }
          after = step.next;
          yield* Effect.sleep(
            Duration.max(pauseMin, Duration.times(took, pauseFactor)),
          );
        }
        return { orders, firsts } satisfies Unread;
      });

      const readAgain = Effect.fnUntraced(function* ({
        firsts,
        orders,
      }: Unread) {
        if (orders === 0) return;
        yield* Effect.logError(
          `${orders} open orders are behind the log position of their partition, as after a move of the database without its sequences: their partitions are read again from there, so they will be processed`,
          { partitions: Array.from(firsts.keys()) },
        );
        for (const [partition, first] of firsts) {
          yield* repository.readAgain(partition, first);
        }
      });

      const search = Effect.gen(function* () {
        const unread = yield* walk;
        stuck = Math.min(found, unread.orders);
        found = unread.orders;
        yield* readAgain(unread);
      });

      /** Looks that make no walk, as the last one found nothing. */
      let skipped = 0;
      const look = Effect.gen(function* () {
        const unread = yield* repository.countUnread;
        if (unread === 0) {
          found = 0;
          stuck = 0;
          skipped = 0;
        } else if (skipped > 0) {
          skipped -= 1;
        } else {
          yield* search;
          if (found === 0) skipped = skippedMax;
        }
      }).pipe(
        // Who asks the database all the time says so.
        Effect.catchTag("RepositoryUnavailable", () => Effect.void),
        Effect.catchDefect((defect) =>
          Effect.logError("open orders could not be looked for", defect),
        ),
      );

      yield* database.migrated.pipe(
        Effect.andThen(Effect.andThen(look, Effect.sleep(interval))),
        Effect.forever,
        Effect.forkScoped,
      );
      return { found: () => found, stuck: () => stuck };
    }),
  );
}
