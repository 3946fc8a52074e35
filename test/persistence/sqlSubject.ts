/** The repository on whatever SQL database there is, for the one suite. */
import { Duration, Effect, Layer } from "effect";
import { SqlClient } from "effect/sql";
import { Database } from "../../src/persistence/Database.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import { Subject } from "./orderRepositorySuite.ts";

export const sqlSubject = Layer.effect(
  Subject,
  Effect.gen(function* () {
    const client = yield* SqlClient.SqlClient;
    const database = yield* Database;
    const repository = yield* OrderRepository;
    yield* database.migrated;
    return {
      fresh: Effect.gen(function* () {
        yield* client`TRUNCATE orders CASCADE`;
        yield* client`UPDATE order_statistics SET accepted = 0, pending = 0, processing = 0,
          completed = 0, failed = 0, cancelled = 0, failures = 0,
          processing_seconds = 0`;
        yield* client`UPDATE partition_owners SET epoch = 0, place = 0`;
        yield* client`TRUNCATE order_events, order_history, partition_claims`;
        return repository;
      }).pipe(Effect.orDie),
      pass: (time) =>
        client`SELECT pg_sleep(${Duration.toSeconds(Duration.fromInputUnsafe(time))}::float8)`.pipe(
          Effect.orDie,
        ),
    };
  }),
).pipe(Layer.provide(OrderRepositorySql.layer), Layer.provide(Database.layer));
