/** Whether this instance should get traffic, and why not. */
import { Context, Effect, Layer, Ref } from "effect";
import type { Partition } from "../domain/Partition.ts";
import { Database } from "../persistence/Database.ts";
import { OrderProcessor } from "../processor/OrderProcessor.ts";
import { Upkeep } from "../processor/Upkeep.ts";

export class Readiness extends Context.Service<
  Readiness,
  {
    /** Fails with the reason, in words. */
    readonly check: Effect.Effect<
      {
        readonly partitions: ReadonlyArray<Partition>;
        /** Upkeep that has not succeeded for long, in words: no reason to stop traffic. */
        readonly upkeep: ReadonlyArray<string>;
      },
      string
    >;
    /** From now on not ready: the instance is about to stop. */
    readonly drain: Effect.Effect<void>;
    readonly isDraining: Effect.Effect<boolean>;
  }
>()("orders/Readiness") {
  static readonly layer = Layer.effect(
    Readiness,
    Effect.gen(function* () {
      const database = yield* Database;
      const processor = yield* OrderProcessor;
      const upkeep = yield* Upkeep;
      const draining = yield* Ref.make(false);

      const check = Effect.gen(function* () {
        if (yield* Ref.get(draining)) {
          return yield* Effect.fail("the instance is shutting down");
        }
        yield* Effect.mapError(database.check, (error) => error.reason);
        const { down, owned, stalled } = processor.status();
        if (down.length > 0) {
          return yield* Effect.fail(
            `processing has stopped in partitions ${down.join(", ")}; their actors are about to start again`,
          );
        }
        if (stalled.length > 0) {
          return yield* Effect.fail(
            `processing has stalled in partitions ${stalled.join(", ")}: there are orders and none of them moves`,
          );
        }
        if (owned.length === 0) {
          return yield* Effect.fail("no partition is worked on here yet");
        }
        const overdue = yield* upkeep.overdue;
        return { partitions: owned, upkeep: overdue.map(({ text }) => text) };
      });

      return Readiness.of({
        check,
        drain: Ref.set(draining, true),
        isDraining: Ref.get(draining),
      });
    }),
  );
}
