/**
 * Keeps several instances of the service running on one machine: each is a
 * process, they share a port, and one that ends is started again. To stop, all
 * are told to, at once, and waited for.
 *
 *     supervisor            listens to signals, takes in no orders
 *       |- instance 1       the service, as if it ran by itself
 *       |- instance 2
 *       `- ...
 */
import { Deferred, Duration, Effect } from "effect";
import {
  type Ended,
  type Instance,
  type Instances,
  StartFailed,
} from "../platform/Runtime.ts";

export interface SupervisorOptions {
  readonly count: number;
  /** Starts an instance; the end of the scope stops it. */
  readonly start: (number: number) => ReturnType<Instances["start"]>;
  /** Run when the first instance is ready, so that orders are taken in. */
  readonly onServing: (base: string) => Effect.Effect<void>;
  /** Run when all of them have been ready. */
  readonly onReady: (base: string) => Effect.Effect<void>;
}

/** Starting again waits 500 ms x 2^n. */
const restartWait = (ends: number) => Duration.millis(500 * 2 ** (ends - 1));

/** An instance that has run so long starts with a clean slate. */
const provenAfter = Duration.seconds(60);

/** Ends in a row, none after so long, that are one too many. */
const endsMax = 5;

/**
 * Runs until interrupted, or until starting instances again does not help.
 * Then all of them have stopped.
 */
export const supervise = Effect.fnUntraced(function* (
  options: SupervisorOptions,
) {
  const { count, start } = options;
  const serving = yield* Deferred.make<void>();
  const ready = new Set<number>();

  const becameReady = Effect.fnUntraced(function* (
    number: number,
    base: string,
  ) {
    if (ready.has(number)) return;
    ready.add(number);
    if (yield* Deferred.succeed(serving, undefined)) {
      yield* options.onServing(base);
    }
    if (ready.size === count) yield* options.onReady(base);
  });

  const runOnce = (number: number) =>
    Effect.gen(function* () {
      const instance: Instance = yield* start(number);
      yield* Effect.forkScoped(
        Effect.flatMap(instance.ready, (base) => becameReady(number, base)),
      );
      return yield* instance.ended;
    }).pipe(Effect.scoped, Effect.timed);

  const keep = Effect.fnUntraced(function* (number: number) {
    let ends = 0;
    while (true) {
      const [lived, ended] = yield* runOnce(number);
      if (ready.size === 0) return yield* noneStarted(number, ended);
      ends = Duration.isGreaterThan(lived, provenAfter) ? 1 : ends + 1;
      if (ends > endsMax) return yield* endsTooOften(number, ended, ends);
      const wait = restartWait(ends);
      yield* Effect.logError(
        `instance ${number} ended with ${ended}; it starts again in ${Duration.format(wait)}`,
      );
      yield* Effect.sleep(wait);
    }
  });

  // One goes ahead: what keeps it from starting would keep the others too, and
  // is said once.
  const others = Array.from({ length: count - 1 }, (_, index) =>
    Effect.andThen(Deferred.await(serving), keep(index + 2)),
  );
  return yield* Effect.all([keep(1), ...others], {
    concurrency: "unbounded",
    discard: true,
  }).pipe(Effect.andThen(Effect.never));
});

const noneStarted = (number: number, ended: Ended) =>
  Effect.fail(
    new StartFailed({
      message: `instance ${number} ended with ${ended} before it was ready, so no more are started: see above for why`,
    }),
  );

const endsTooOften = (number: number, ended: Ended, ends: number) =>
  Effect.fail(
    new StartFailed({
      message: `instance ${number} ended with ${ended}, and ${ends} times in a row within ${Duration.format(provenAfter)} of its start: giving up, so that whoever runs this can act (see above)`,
    }),
  );
