/**
 * What a service acquired, it gives back one after another when it is told to
 * stop. Each has its own time for that; this is a limit on all of it, so that
 * one that never comes back cannot keep the process.
 */
import { Data, Duration, Effect, Fiber } from "effect";

export class StopOverdue extends Data.TaggedError("StopOverdue")<{
  readonly message: string;
}> {}

/** Runs `service`, and once interrupted waits for its end for `limit`. */
export const stopWithin =
  (limit: Duration.Duration) =>
  <A, E, R>(service: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkDetach(service);
      const stop = Fiber.interrupt(fiber).pipe(
        Effect.interruptible,
        Effect.timeoutOrElse({
          duration: limit,
          orElse: () =>
            Effect.fail(
              new StopOverdue({
                message: `it did not stop within ${Duration.format(limit)}, and is ended as it is: no order is lost by that, those in work are taken up again by the next process.`,
              }),
            ),
        }),
      );
      return yield* Effect.onInterrupt(Fiber.join(fiber), () => stop);
    });
