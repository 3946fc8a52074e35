/**
 * A partition is a thirty-second of all orders, and the unit of ownership: at
 * any time one actor, on one instance, works the orders of a partition.
 */
import { Schema } from "effect";

/** How many partitions there are. Stored with every order: it never changes. */
export const partitionCount = 32;

/** The number of a partition, 0..31. */
export const Partition = Schema.Int.check(
  Schema.isBetween({ minimum: 0, maximum: partitionCount - 1 }),
).pipe(Schema.brand("Partition"));
export type Partition = typeof Partition.Type;

/** Every partition. */
export const partitions: ReadonlyArray<Partition> = Array.from(
  { length: partitionCount },
  (_, index) => Partition.make(index),
);
