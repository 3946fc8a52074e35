/**
 * A way past orders whose rows another session holds, for as long as it likes:
 * somebody looks at them `FOR UPDATE`, or changes many in one transaction. A
 * statement shared by many orders would wait for that one row again and again,
 * and all others with it.
 *
 * So once a shared statement has ended by its `lock_timeout`, this is wary for
 * a while: before each shared statement it is asked which of the orders are
 * held now, without waiting for any. Those are refused, to be asked for again,
 * and the statement runs over the others. The first statement to meet a held
 * row is the only one that waits. While nothing is held this costs nothing.
 */
import { Clock, Duration, Effect } from "effect";
import type { SqlError } from "effect/sql";
import { Refused } from "./Batching.ts";
import { RepositoryUnavailable } from "./OrderRepository.ts";

/** How long after a row was last found held it is looked for others. */
const waryTime = Duration.seconds(10);

type Run<In, Out> = (
  inputs: ReadonlyArray<In>,
) => Effect.Effect<ReadonlyArray<Out>, SqlError.SqlError>;

type Answers<Out> = ReadonlyArray<Out | Refused<RepositoryUnavailable>>;

export interface HeldOrders {
  /** Runs a shared statement over those orders that nobody else holds. */
  readonly passing: <In extends { readonly order_id: string }, Out>(
    run: Run<In, Out>,
  ) => (
    inputs: ReadonlyArray<In>,
  ) => Effect.Effect<Answers<Out>, SqlError.SqlError>;
}

const refused = new Refused(
  new RepositoryUnavailable({
    reason: "another session of the database holds the order",
    isHeld: true,
  }),
);

/**
 * @param heldAmong says which of the orders another session holds at this
 * moment, and waits for none of them
 */
export const make = (
  heldAmong: (
    order_ids: ReadonlyArray<string>,
  ) => Effect.Effect<ReadonlySet<string>, SqlError.SqlError>,
): HeldOrders => {
  let waryUntil = Number.NEGATIVE_INFINITY;

  const beWary = Effect.map(Clock.currentTimeMillis, (now) => {
    waryUntil = now + Duration.toMillis(waryTime);
  });

  const runPast = Effect.fnUntraced(function* <
    In extends { readonly order_id: string },
    Out,
  >(run: Run<In, Out>, inputs: ReadonlyArray<In>) {
    const held = yield* heldAmong(inputs.map((_) => _.order_id));
    if (held.size === 0) return yield* run(inputs);
    yield* beWary;
    const free = inputs.filter((_) => !held.has(_.order_id));
    const answers = free.length === 0 ? [] : yield* run(free);
    let next = 0;
    return inputs.map((input) =>
      held.has(input.order_id) ? refused : (answers[next++] as Out),
    );
  });

  return {
    passing: (run) => (inputs) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        now < waryUntil
          ? runPast(run, inputs)
          : Effect.catchIf(
              run(inputs),
              (error) => error.reason._tag === "LockTimeoutError",
              () => Effect.andThen(beWary, runPast(run, inputs)),
            ),
      ),
  };
};
