/**
 * Takes up several orders together:
 *
 *     begin all --> work --> complete those whose work was done at once
 *                     |
 *                     +----> each of the others, apart (`OrderAttempt`)
 *
 * One statement begins them, and one completes them. Whatever takes time or goes
 * wrong with one order (its work, or another session that holds it) goes on in a
 * fiber of its own, so that no order waits for another.
 */
import { Effect, Exit, Option, Result } from "effect";
import type {
  Begun,
  DueOrder,
  Epoch,
  OrderRepository,
  RepositoryUnavailable,
} from "../persistence/OrderRepository.ts";
import type { AttemptEnd } from "./AttemptEnd.ts";
import { type OrderAttempt, underwayOf, type Work } from "./OrderAttempt.ts";
import { persist, type Restore } from "./Persist.ts";
import * as ProcessorMetrics from "./ProcessorMetrics.ts";

export interface TakingUpOptions {
  readonly repository: Pick<OrderRepository["Service"], "begin">;
  readonly attempt: OrderAttempt;
  readonly attemptEnd: Pick<AttemptEnd, "complete">;
  /** Whether the actor is to stop: nothing new begins. */
  readonly isDraining: () => boolean;
  /** Whether somebody has paused processing: nothing new begins, either. */
  readonly isPaused: () => boolean;
  /** Tells that orders were let go that have not begun. */
  readonly onPutOff: () => void;
  /** Tells that a change may be done, or not, or yet be done. */
  readonly onUnavailable: (error: RepositoryUnavailable) => void;
  /** Tells that orders have begun, or were found not to be for us. */
  readonly onBegun: () => void;
}

/** Has what is left to do for an order go on in a fiber of its own. */
export type Apart = (
  due: DueOrder,
  rest: Effect.Effect<void>,
) => Effect.Effect<void>;

/**
 * Makes the next attempt at each order that may begin. When it is over, so are
 * all these attempts but those that go on apart.
 */
export type TakingUp = (
  dues: ReadonlyArray<DueOrder>,
  epoch: Epoch,
  apart: Apart,
) => Effect.Effect<void>;

/** An order whose work was done at once. */
interface DoneOrder {
  readonly due: DueOrder;
  readonly begun: Begun;
}

const done = { _tag: "Done" } as const;
const completed = { move: "complete" } as const;

const isDone = (work: Work) => Exit.isExit(work) && Exit.isSuccess(work);

export const make = Effect.fnUntraced(function* ({
  attempt,
  attemptEnd,
  repository,
  ...options
}: TakingUpOptions): Effect.fn.Return<TakingUp> {
  const measure = yield* ProcessorMetrics.measuring;

  /**
   * Nothing begins while draining: what was done unanswered is taken back. Nor
   * while paused, however long these orders have waited for the database: they
   * are let go, and found again.
   */
  const begin = (dues: ReadonlyArray<DueOrder>, epoch: Epoch) =>
    Effect.suspend(() => {
      if (options.isDraining()) return Effect.succeed([]);
      if (options.isPaused()) {
        options.onPutOff();
        return Effect.succeed([]);
      }
      return repository.begin(dues.map((due) => ({ ...due, epoch })));
    });

  const tellBegun = (begun: Begun) => {
    const { attempts, created_at, order_id, processing_started_at } =
      begun.order;
    if (processing_started_at !== null && attempts === 1) {
      measure(
        ProcessorMetrics.waitSeconds,
        created_at.epochMilliseconds,
        processing_started_at.epochMilliseconds,
      );
    }
    return Effect.logInfo("order begun", { order_id, attempt: begun.attempt });
  };

  /** One order, asked for as long as its row is out of reach. */
  const takeUpOne = (due: DueOrder, epoch: Epoch) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const begun = yield* persist(
          Effect.flatMap(begin([due], epoch), ([answer]) =>
            answer === undefined
              ? Effect.succeedNone
              : Effect.fromResult(answer),
          ),
          options.onUnavailable,
          restore,
        );
        options.onBegun();
        if (Option.isNone(begun)) return;
        yield* tellBegun(begun.value);
        const work = attempt.workOf(begun.value);
        yield* attempt.make(begun.value, work, restore);
      }),
    );

  const makeApart = (begun: Begun, work: Work) =>
    Effect.uninterruptibleMask((restore) => attempt.make(begun, work, restore));

  const completeApart = (begun: Begun) =>
    Effect.uninterruptibleMask((restore) => attempt.end(begun, done, restore));

  const completeAll = Effect.fnUntraced(function* (
    orders: ReadonlyArray<DoneOrder>,
    apart: Apart,
    restore: Restore,
  ) {
    const answers = yield* persist(
      attemptEnd.complete(orders.map(({ begun }) => underwayOf(begun))),
      options.onUnavailable,
      restore,
    );
    for (const [index, answer] of answers.entries()) {
      const { begun, due } = orders[index] as DoneOrder;
      if (Result.isFailure(answer)) {
        options.onUnavailable(answer.failure);
        yield* apart(due, completeApart(begun));
      } else {
        yield* attempt.tell(begun, done, completed, answer.success);
      }
    }
  });

  return (dues, epoch, apart) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const answers = yield* persist(
          begin(dues, epoch),
          options.onUnavailable,
          restore,
        );
        options.onBegun();
        const doneOrders: Array<DoneOrder> = [];
        for (const [index, answer] of answers.entries()) {
          const due = dues[index] as DueOrder;
          if (Result.isFailure(answer)) {
            options.onUnavailable(answer.failure);
            yield* apart(due, takeUpOne(due, epoch));
            continue;
          }
          // Cancelled, begun by a hand-over that came twice, or no longer ours.
          if (Option.isNone(answer.success)) continue;
          const begun = answer.success.value;
          yield* tellBegun(begun);
          const work = attempt.workOf(begun);
          if (isDone(work)) {
            measure(ProcessorMetrics.workSeconds, 0, 0);
            doneOrders.push({ due, begun });
          } else {
            yield* apart(due, makeApart(begun, work));
          }
        }
        if (doneOrders.length > 0) {
          yield* completeAll(doneOrders, apart, restore);
        }
      }),
    );
});
