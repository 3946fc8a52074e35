/** Whether this instance should get traffic, and why not. */
import { Context, Effect, Layer, Ref } from "effect";
import type { Partition } from "../domain/Partition.ts";
import { Database } from "../persistence/Database.ts";
import { OrderProcessor } from "../processor/OrderProcessor.ts";
import { UnreadOrders } from "../processor/UnreadOrders.ts";

export class Readiness extends Context.Service<
  Readiness,
  {
    /** Fails with the reason, in words. */
    readonly check: Effect.Effect<
      { readonly partitions: ReadonlyArray<Partition> },
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
      const unreadOrders = yield* UnreadOrders;
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
        const unread = unreadOrders.stuck();
        if (unread > 0) {
          return yield* Effect.fail(
            `${unread} open orders are behind the log position of their partition: nobody reads them, though their partitions were to be read again`,
          );
        }
        if (owned.length === 0) {
          return yield* Effect.fail("no partition is worked on here yet");
        }
        return { partitions: owned };
      });

      return Readiness.of({
        check,
        drain: Ref.set(draining, true),
        isDraining: Ref.get(draining),
      });
    }),
  );
}
