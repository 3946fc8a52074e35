/** The repository on whatever SQL database there is, for the one suite. */
import { Duration, Effect, Layer } from "effect";
import { SqlClient } from "effect/sql";
import { Database } from "../../src/persistence/Database.ts";
import { OrderArchive } from "../../src/persistence/OrderArchive.ts";
import { OrderRepository } from "../../src/persistence/OrderRepository.ts";
import * as OrderRepositorySql from "../../src/persistence/OrderRepositorySql.ts";
import * as Archive from "./orderArchiveSuite.ts";
import { Subject } from "./orderRepositorySuite.ts";

const make = Effect.gen(function* () {
  const client = yield* SqlClient.SqlClient;
  const database = yield* Database;
  const repository = yield* OrderRepository;
  const archive = yield* OrderArchive;
  yield* database.migrated;
  return {
    fresh: Effect.gen(function* () {
      yield* client`TRUNCATE orders CASCADE`;
      yield* client`UPDATE order_statistics SET accepted = 0, pending = 0, processing = 0,
        completed = 0, failed = 0, cancelled = 0, failures = 0,
        processing_seconds = 0, archived = 0`;
      yield* client`UPDATE partition_owners SET epoch = 0, place = 0`;
      yield* client`TRUNCATE order_events, order_history, partition_claims,
        archived_orders, archive_batches, archive_files`;
      return { repository, archive };
    }).pipe(Effect.orDie),
    pass: (time: Duration.Input) =>
      client`SELECT pg_sleep(${Duration.toSeconds(Duration.fromInputUnsafe(time))}::float8)`.pipe(
        Effect.orDie,
      ),
    /** To the rows it is the same that all their times move ahead. */
    setBack: (time: Duration.Input) => {
      const seconds = Duration.toSeconds(Duration.fromInputUnsafe(time));
      const ahead = client`${seconds}::float8 * interval '1 second'`;
      return client`UPDATE orders SET created_at = created_at + ${ahead},
        updated_at = updated_at + ${ahead}, due_at = due_at + ${ahead},
        processing_started_at = processing_started_at + ${ahead}`.pipe(
        Effect.orDie,
      );
    },
  };
});

const repository = OrderRepositorySql.layer.pipe(
  Layer.provideMerge(Database.layer),
);

export const sqlSubject = Layer.effect(
  Subject,
  Effect.map(make, ({ fresh, pass, setBack }) => ({
    fresh: Effect.map(fresh, ({ repository }) => repository),
    pass,
    setBack,
  })),
).pipe(Layer.provide(repository));

/** The same, for the suite of what leaves the table. */
export const sqlArchiveSubject = Layer.effect(Archive.Subject, make).pipe(
  Layer.provide(repository),
);
