/**
 * The orders of an actor that are in work. Each holds a permit and its bytes,
 * both of which all actors of the process share, from when it is taken out of
 * the mailbox until it is over; and goes on in a fiber, alone or with others.
 *
 * One promise: what an order holds is given back once, whatever comes of it.
 */

import type { Duration } from "effect";
import { Effect, FiberSet, type Scope, type Semaphore } from "effect";
import type { DueOrder } from "../persistence/OrderRepository.ts";
import type { ByteBudget } from "./ByteBudget.ts";
import type { Gate } from "./Gate.ts";
import type { Intake } from "./Intake.ts";
import type { Restore } from "./Persist.ts";
import type { Apart } from "./TakingUp.ts";

export interface InWorkOptions {
  readonly intake: Pick<Intake, "depth" | "letGo" | "putBack" | "takeUnsafe">;
  /** One permit an order. */
  readonly permits: Semaphore.Semaphore;
  readonly bytes: ByteBudget;
  /** Closed while nothing is to begin. */
  readonly gate: Gate;
  /** Tells that an order is over. */
  readonly onOver: () => void;
  /** Tells that work was dropped, by a defect of ours. */
  readonly onDropped: () => void;
}

export interface InWork {
  /** Waits for an order that may be in work, and takes more if they may be, too. */
  readonly take: (restore: Restore) => Effect.Effect<ReadonlyArray<DueOrder>>;
  /**
   * Works on orders that were taken, in the background. When the work is over,
   * so are they, but for those of which the rest goes on apart.
   */
  readonly start: (
    dues: ReadonlyArray<DueOrder>,
    work: (apart: Apart) => Effect.Effect<void>,
  ) => Effect.Effect<void>;
  /** From now on none is taken. */
  readonly isDraining: () => boolean;
  /** Takes none any more, waits so long for what is in work, and ends the rest. */
  readonly drain: (timeout: () => Duration.Duration) => Effect.Effect<void>;
}

/** Orders taken together, at most; and what their items take, in bytes. */
const togetherMax = 64;
const togetherBytesMax = 256 * 1024;

export const make = Effect.fnUntraced(function* ({
  bytes,
  gate,
  intake,
  onDropped,
  onOver,
  permits,
}: InWorkOptions): Effect.fn.Return<InWork, never, Scope.Scope> {
  const fibers = yield* FiberSet.make<void>();
  let draining = false;

  const takeNext = (): DueOrder | undefined =>
    draining || !gate.isOpen() ? undefined : intake.takeUnsafe();

  /** The oldest; most fit into memory at once. */
  const takeFirst = (restore: Restore) =>
    Effect.gen(function* () {
      // Taken with a permit in hand only: whoever has one takes the oldest.
      yield* restore(Effect.andThen(gate.awaitOpen, permits.take(1)));
      const due = takeNext();
      if (due === undefined) {
        yield* permits.release(1);
      } else if (!bytes.takeNow(due.item_bytes)) {
        yield* Effect.onInterrupt(restore(bytes.take(due.item_bytes)), () => {
          intake.letGo(due.order_id);
          return permits.release(1);
        });
      }
      return due;
    });

  /** The next one, with a permit in hand, if it is not too large. */
  const takeIfSmall = (bytesMax: number): DueOrder | undefined => {
    const due = takeNext();
    if (due === undefined) return undefined;
    if (due.item_bytes <= bytesMax && bytes.takeNow(due.item_bytes)) return due;
    intake.putBack(due);
    return undefined;
  };

  const leave = (dues: Iterable<DueOrder>) =>
    Effect.suspend(() => {
      let left = 0;
      for (const { item_bytes, order_id } of dues) {
        left += 1;
        bytes.release(item_bytes);
        intake.letGo(order_id);
      }
      onOver();
      return permits.release(left);
    });

  const goOn = (dues: Iterable<DueOrder>, work: Effect.Effect<void>) =>
    FiberSet.run(
      fibers,
      Effect.ensuring(
        Effect.catchDefect(work, (defect) => {
          // Ours, not the orders': their attempts are found and ended later.
          onDropped();
          return Effect.logError("an attempt was dropped", defect);
        }),
        leave(dues),
      ),
      // A fiber that is interrupted before it has started would leave nothing.
      { startImmediately: true },
    );

  return {
    take: Effect.fnUntraced(function* (restore) {
      const first = yield* takeFirst(restore);
      if (first === undefined) return [];
      const dues = [first];
      let room = togetherBytesMax - first.item_bytes;
      while (dues.length < togetherMax && intake.depth() > 0) {
        if (!(yield* permits.takeIfAvailable(1))) break;
        const due = takeIfSmall(room);
        if (due === undefined) {
          yield* permits.release(1);
          break;
        }
        dues.push(due);
        room -= due.item_bytes;
      }
      return dues;
    }),
    start: (dues, work) =>
      Effect.suspend(() => {
        if (dues.length === 0) return Effect.void;
        const together = new Set(dues);
        const apart: Apart = (due, rest) => {
          together.delete(due);
          return Effect.asVoid(goOn([due], rest));
        };
        return Effect.asVoid(goOn(together, work(apart)));
      }),
    isDraining: () => draining,
    drain: Effect.fnUntraced(function* (timeout) {
      draining = true;
      if ((yield* FiberSet.size(fibers)) === 0) return;
      yield* FiberSet.awaitEmpty(fibers).pipe(Effect.timeoutOption(timeout()));
      yield* FiberSet.clear(fibers);
    }),
  };
});
