/** The log of events on whatever SQL database there is, for the one suite. */
import { Context, Duration, Effect, Layer } from "effect";
import { SqlClient } from "effect/sql";
import type { Connections } from "../../src/persistence/Connections.ts";
import { Database } from "../../src/persistence/Database.ts";
import {
  EventLog,
  ThisInstance,
  WritesEvents,
} from "../../src/persistence/EventLog.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import { instance, LogSubject } from "./eventLogSuite.ts";

/** As an instance of the service has it. */
export const instanceOf = (name: string, writesEvents = true) =>
  Layer.fresh(OrderRepositorySql.layer).pipe(
    Layer.provide([
      Layer.succeed(WritesEvents, writesEvents),
      Layer.succeed(ThisInstance, name),
    ]),
    Layer.build,
    Effect.map((context) => ({
      repository: Context.get(context, OrderRepository),
      log: Context.get(context, EventLog),
    })),
  );

export const clear = Effect.gen(function* () {
  const client = yield* SqlClient.SqlClient;
  yield* client`TRUNCATE orders, order_events, order_history,
    partition_claims CASCADE`;
  yield* client`UPDATE event_log SET dropped_to = 0`;
  yield* client`UPDATE partition_owners SET epoch = 0, place = 0`;
});

export const sqlLogSubject = Layer.effect(
  LogSubject,
  Effect.gen(function* () {
    const client = yield* SqlClient.SqlClient;
    const database = yield* Database;
    yield* database.migrated;
    const context = yield* Effect.context<
      SqlClient.SqlClient | Database | Connections
    >();
    const fresh = (writesEvents: boolean) =>
      Effect.andThen(clear, instanceOf(instance, writesEvents)).pipe(
        Effect.provideContext(context),
        Effect.orDie,
      );
    return {
      fresh: fresh(true),
      withoutEvents: fresh(false),
      pass: (time) =>
        client`SELECT pg_sleep(${Duration.toSeconds(Duration.fromInputUnsafe(time))}::float8)`.pipe(
          Effect.orDie,
        ),
    };
  }),
).pipe(Layer.provide(Database.layer));
