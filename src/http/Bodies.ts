/**
 * How many bytes of bodies are in memory at once. A request makes room before
 * its body is read, and waits in line for it: so bodies that are long under way
 * cost what `MAX_BODIES` says, whatever their number.
 *
 * Small bodies have a share of their own. Senders of large ones may take all
 * the rest for as long as the server lets a request take (30 s), and no order
 * of an ordinary size waits for them.
 */
import { Context, Duration, Effect, Option, Scope } from "effect";
import { UnavailableProblem } from "../api/Problems.ts";
import * as ByteBudget from "../processor/ByteBudget.ts";

/** Up to so many bytes a body is small. */
export const smallBody = 16_384;

/**
 * A body is in memory several times while it is parsed and placed. So of those
 * that are read only so many bytes are worked on at once.
 */
const workingBytesMax = 4 * 2 ** 20;

/** A request that waits has up to 128 KiB of its body in the server's hands. */
const waitingMax = 64;
const wait = Duration.seconds(5);
const retryAfterSeconds = 5;

/** Makes room for more bytes than were asked for at first. */
export type MakeRoom = (
  bytes: number,
) => Effect.Effect<void, UnavailableProblem>;

export interface Bodies {
  /**
   * Runs what reads a body of so many bytes, once there is room for them. The
   * room is kept to the end of the request: its answer may be as large.
   */
  readonly reading: <A, E, R>(
    bytes: number,
    read: (makeRoom: MakeRoom) => Effect.Effect<A, E, R>,
  ) => Effect.Effect<A, E | UnavailableProblem, R>;
  /** Runs what is to be done with a body that has been read. */
  readonly working: <A, E, R>(
    bytes: number,
    work: Effect.Effect<A, E, R>,
  ) => Effect.Effect<A, E | UnavailableProblem, R>;
}

export const make = (max: number): Bodies => {
  const small = ByteBudget.make(max / 8);
  // The rest is for the pieces they come in, and for what is made of them.
  const large = ByteBudget.make((max * 5) / 8);
  const inWork = ByteBudget.make(workingBytesMax);

  const patience: ByteBudget.Patience<UnavailableProblem> = {
    waitingMax,
    wait,
    refusal: () =>
      new UnavailableProblem({
        detail: `The bodies of other requests take all the memory there is for them: ask again in ${retryAfterSeconds} s.`,
        retry_after_seconds: retryAfterSeconds,
      }),
  };

  return {
    reading: (bytes, read) =>
      Effect.withFiber((fiber) => {
        const releases: Array<() => void> = [];
        const release = Effect.sync(() => {
          for (const release of releases) release();
        });
        const scope = Context.getOption(fiber.context, Scope.Scope);
        const makeRoom: MakeRoom = (bytes) => {
          const budget = bytes <= smallBody ? small : large;
          return Effect.uninterruptibleMask((restore) =>
            Effect.map(
              restore(ByteBudget.takeOrFail(budget, bytes, patience)),
              () => {
                releases.push(() => budget.release(bytes));
              },
            ),
          );
        };
        const reading = Effect.andThen(makeRoom(bytes), () => read(makeRoom));
        return Option.isSome(scope)
          ? Effect.andThen(Scope.addFinalizer(scope.value, release), reading)
          : Effect.ensuring(reading, release);
      }),
    working: (bytes, work) =>
      bytes <= smallBody
        ? work
        : ByteBudget.within(inWork, bytes, patience, work),
  };
};

/** As the settings say; without them, as much as there is memory for. */
export const Bodies = Context.Reference<Bodies>("http/Bodies", {
  defaultValue: () => make(Number.MAX_SAFE_INTEGER),
});
