/**
 * What the owner of a partition does for it, beside working its orders: other
 * things that must go on on one instance at a time, and move when that dies.
 */
import { Context, Effect } from "effect";
import type { Partition } from "../domain/Partition.ts";
import { type LeavingFor, OrderProcessor } from "./OrderProcessor.ts";

/** Goes on until interrupted; what it then still does may take some seconds. */
export type Duty = (partition: Partition) => Effect.Effect<never>;

/** None, unless there is something to do. */
export const OtherDuties = Context.Reference<ReadonlyArray<Duty>>(
  "processor/OtherDuties",
  { defaultValue: () => [] },
);

/** All that is done for a partition while it is owned here. */
export const make = Effect.gen(function* () {
  const processor = yield* OrderProcessor;
  const others = yield* OtherDuties;
  return (partition: Partition, leavingFor?: LeavingFor) =>
    Effect.all(
      [
        processor.run(partition, leavingFor),
        ...others.map((duty) => duty(partition)),
      ],
      { concurrency: 1 + others.length, discard: true },
    );
});
