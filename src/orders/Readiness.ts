/** Whether this instance should get traffic, and why not. */
import { Context, Duration, Effect, Layer, Ref } from "effect";
import type { Partition } from "../domain/Partition.ts";
import { Database } from "../persistence/Database.ts";
import { OrderProcessor } from "../processor/OrderProcessor.ts";
import * as SteadyClock from "../processor/SteadyClock.ts";
import { UnreadOrders } from "../processor/UnreadOrders.ts";
import { Upkeep } from "../processor/Upkeep.ts";

/**
 * How long a draining instance goes on answering requests where a load balancer
 * probes it. HAProxy's defaults take a server out after three failed checks,
 * 2 s apart. Until then they send requests to it, and answer 503 themselves
 * where it does not listen any more.
 */
const noticeTime = Duration.seconds(7);

/** Two successful probes within this time are taken for a load balancer's. */
const probeIntervalMax = Duration.seconds(10);

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
    /** Returns once a load balancer that probes this instance has seen it drain. */
    readonly noticed: Effect.Effect<void>;
  }
>()("orders/Readiness") {
  static readonly layer = Layer.effect(
    Readiness,
    Effect.gen(function* () {
      const database = yield* Database;
      const processor = yield* OrderProcessor;
      const unreadOrders = yield* UnreadOrders;
      const upkeep = yield* Upkeep;
      const draining = yield* Ref.make(false);
      const clock = yield* SteadyClock.current;
      const now = () => clock.currentTimeMillisUnsafe();
      /** When the last two probes succeeded, the newest first. */
      let succeeded: readonly [number, number] = [-Infinity, -Infinity];
      let drainingSince = -Infinity;

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
        succeeded = [now(), succeeded[0]];
        const overdue = yield* upkeep.overdue;
        return { partitions: owned, upkeep: overdue.map(({ text }) => text) };
      });

      const noticed = Effect.suspend(() => {
        const isProbed =
          drainingSince - succeeded[1] < Duration.toMillis(probeIntervalMax);
        const left = drainingSince + Duration.toMillis(noticeTime) - now();
        return isProbed && left > 0
          ? Effect.andThen(
              Effect.logInfo(
                `stopping: answering requests for ${Math.ceil(left / 1000)} s more, until load balancers have seen that this instance is not ready`,
              ),
              clock.sleep(Duration.millis(left)),
            )
          : Effect.void;
      });

      return Readiness.of({
        check,
        drain: Effect.andThen(
          Ref.set(draining, true),
          Effect.sync(() => {
            drainingSince = now();
          }),
        ),
        isDraining: Ref.get(draining),
        noticed,
      });
    }),
  );
}
