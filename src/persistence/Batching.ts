/**
 * Many callers, one statement. Concurrent calls are gathered and answered by
 * one run over all of them; each caller still asks about one thing and gets
 * its own answer.
 *
 * While `lanes` runs are under way, further callers gather. So a lone caller
 * waits for nobody, and under load the batches grow by themselves.
 */
import {
  Effect,
  Exit,
  References,
  Request,
  RequestResolver,
  Semaphore,
} from "effect";

/** A class: `Request.tagged` sets the prototype of each, which is slow. */
class Call<In, Out, E> extends Request.Class<
  { readonly input: unknown },
  Out,
  E
> {
  declare readonly input: In;
}

export interface BatchingOptions<In, Out, E> {
  /** Names the span of a run. */
  readonly name: string;
  /** The most calls that one run answers. */
  readonly size: number;
  /** The most runs under way at once. */
  readonly lanes: number;
  /** Answers all inputs, in their order. */
  readonly run: (
    inputs: ReadonlyArray<In>,
  ) => Effect.Effect<ReadonlyArray<Out>, E>;
}

export const make = <In, Out, E>(
  options: BatchingOptions<In, Out, E>,
): ((input: In) => Effect.Effect<Out, E>) => {
  const lanes = Semaphore.makeUnsafe(options.lanes);
  /** A span notes where it was made, which costs as much as ten calls. */
  const named = <A>(run: Effect.Effect<A, E>, size: number) =>
    Effect.flatMap(References.TracerEnabled, (isTraced) =>
      isTraced
        ? Effect.withSpan(run, options.name, {
            attributes: { "batch.size": size },
          })
        : run,
    );
  const resolver = RequestResolver.makeWith<Call<In, Out, E>>({
    batchKey: () => options,
    // Gathers at least what is ready now, and as long as no lane is free.
    delay: Effect.andThen(Effect.yieldNow, lanes.withPermits(1)(Effect.void)),
    collectWhile: (calls) => calls.size < options.size,
    runAll: (calls) =>
      named(
        Effect.map(
          lanes.withPermits(1)(
            options.run(calls.map((entry) => entry.request.input)),
          ),
          (answers) =>
            calls.forEach((entry, index) => {
              entry.completeUnsafe(Exit.succeed(answers[index] as Out));
            }),
        ),
        calls.length,
      ),
  });
  return (input) => Effect.request(new Call<In, Out, E>({ input }), resolver);
};
