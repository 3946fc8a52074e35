/** A statement that may outlive the wait for its answer. */
import { type Cause, type Duration, Effect, Fiber } from "effect";

/**
 * Waits for a statement that reads, and no longer than `timeout`. The driver
 * (sql-pg 4.1.0) needs 5 s to end an interrupted statement whose connection is
 * silent. `Effect.timeout` alone would wait for that, so a detached fiber does.
 */
export const within = <A, E>(
  statement: Effect.Effect<A, E>,
  timeout: Duration.Duration,
): Effect.Effect<A, E | Cause.TimeoutError> =>
  Effect.flatMap(Effect.forkDetach(statement), (fiber) =>
    Fiber.join(fiber).pipe(
      Effect.timeout(timeout),
      Effect.onError(() => Effect.forkDetach(Fiber.interrupt(fiber))),
    ),
  );
