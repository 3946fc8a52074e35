/** What else the owner of a partition does for it, as long as it owns it. */
import { assert, describe, it } from "@effect/vitest";
import { Effect, Exit, Layer, Scope } from "effect";
import { type Partition, partitions } from "../../src/domain/Partition.ts";
import { OtherDuties } from "../../src/processor/Duties.ts";
import { OrderProcessor } from "../../src/processor/OrderProcessor.ts";
import * as PartitionsLocal from "../../src/processor/PartitionsLocal.ts";

describe("the owner of a partition", () => {
  it.effect("works its orders and does its other duties, and ends both", () =>
    Effect.gen(function* () {
      const going = new Map<string, Set<Partition>>();
      const duty = (name: string) => (partition: Partition) => {
        const mine = going.get(name) ?? new Set();
        going.set(name, mine);
        return Effect.acquireUseRelease(
          Effect.sync(() => mine.add(partition)),
          () => Effect.never,
          () => Effect.sync(() => mine.delete(partition)),
        );
      };
      const processor = { run: duty("orders") } as Partial<
        OrderProcessor["Service"]
      > as OrderProcessor["Service"];
      const scope = yield* Scope.make();
      yield* Layer.buildWithScope(
        PartitionsLocal.layer.pipe(
          Layer.provide([
            Layer.succeed(OrderProcessor, processor),
            Layer.succeed(OtherDuties, [duty("one"), duty("other")]),
          ]),
        ),
        scope,
      );
      yield* Effect.yieldNow;
      const counts = () =>
        Array.from(going, ([name, mine]) => [name, mine.size]);
      const all = partitions.length;
      assert.deepStrictEqual(counts(), [
        ["orders", all],
        ["one", all],
        ["other", all],
      ]);
      yield* Scope.close(scope, Exit.void);
      assert.deepStrictEqual(counts(), [
        ["orders", 0],
        ["one", 0],
        ["other", 0],
      ]);
    }),
  );
});
