/**
 * Takes orders over from an instance that is taken for dead, as another one
 * would: with the repository's own statements, on a connection of its own.
 */
import { PgClient } from "@effect/sql-pg";
import {
  Duration,
  Effect,
  Layer,
  ManagedRuntime,
  Option,
  Redacted,
} from "effect";
import { SqlClient } from "effect/sql";
import type { OrderId } from "../../src/domain/Order.ts";
import type { Partition } from "../../src/domain/Partition.ts";
import { Connections } from "../../src/persistence/Connections.ts";
import { Database } from "../../src/persistence/Database.ts";
import {
  type Attempt,
  OrderRepository,
} from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import { beginOne, completeOne } from "../../test/support/oneOrder.ts";

export interface NewOwner {
  /** Ends an attempt as lost and begins the next; that, if it came to be. */
  readonly takeOver: (
    order_id: string,
    attempt: number,
  ) => Promise<Attempt | undefined>;
  /** Whether it did complete. */
  readonly complete: (attempt: Attempt) => Promise<boolean>;
  readonly close: () => Promise<void>;
}

export const open = (databaseUrl: string): NewOwner => {
  const runtime = ManagedRuntime.make(
    OrderRepositorySql.layer.pipe(
      Layer.provideMerge(Database.layer),
      Layer.provideMerge(Connections.layerShared),
      Layer.provideMerge(
        PgClient.layer({
          url: Redacted.make(databaseUrl),
          maxConnections: 2,
          // Tells the audit who it was.
          applicationName: "chaos-new-owner",
        }),
      ),
    ),
  );
  const ask = <A, E>(
    question: (
      repository: OrderRepository["Service"],
    ) => Effect.Effect<A, E, SqlClient.SqlClient>,
  ) =>
    runtime.runPromise(
      Effect.gen(function* () {
        yield* (yield* Database).migrated;
        return yield* question(yield* OrderRepository);
      }),
    );
  return {
    takeOver: (id, attempt) =>
      ask((repository) =>
        Effect.gen(function* () {
          const order_id = id as OrderId;
          const isLost = yield* repository.fail({
            order_id,
            attempt,
            error: "the attempt was lost: its owner is frozen",
            wait: Duration.zero,
          });
          if (!isLost) return undefined;
          const { partition } = Option.getOrThrow(
            Option.fromUndefinedOr(
              (yield* (yield* SqlClient.SqlClient)<{ partition: Partition }>`
                SELECT partition FROM orders WHERE order_id = ${id}`)[0],
            ),
          );
          // As the owner that it stands in for: the partition stays where it is.
          const epoch = yield* repository.epoch(partition);
          const begun = yield* beginOne(repository, order_id, epoch);
          return Option.map(begun, (_) => ({
            order_id,
            attempt: _.attempt,
          })).pipe(Option.getOrUndefined);
        }),
      ),
    complete: (attempt) =>
      ask((repository) => completeOne(repository, attempt)),
    close: () => runtime.dispose(),
  };
};
