/**
 * Which instance works which partition, on a real PostgreSQL: several instances
 * in one process, whose work is only to be there. `effect/cluster` has a storage
 * in memory, but that one gives every shard to everybody.
 */
import { assert, layer } from "@effect/vitest";
import { Effect, Exit, Layer, Redacted, Scope } from "effect";
import { SqlClient } from "effect/sql";
import { type Partition, partitions } from "../../src/domain/Partition.ts";
import { Database } from "../../src/persistence/Database.ts";
import { describe } from "../../src/persistence/DatabaseFault.ts";
import { InstanceName } from "../../src/persistence/InstanceName.ts";
import * as Postgres from "../../src/platform/Postgres.ts";
import { OrderProcessor } from "../../src/processor/OrderProcessor.ts";
import * as PartitionsCluster from "../../src/processor/PartitionsCluster.ts";
import { until } from "../support/serviceProcess.ts";
import { layerSql, TestDatabase } from "../support/testDatabase.ts";

/** What happened to partitions, over all instances of a test. */
const makeBook = () => {
  const owners = new Map<Partition, string>();
  const faults: Array<string> = [];
  const left: Array<{ by: string; for: string }> = [];
  const of = (name: string) =>
    Array.from(owners).filter(([, owner]) => owner === name).length;
  /** An order processor that writes down what it is to work on. */
  const processor = (name: string): OrderProcessor["Service"] =>
    ({
      run: (partition, leavingFor = () => "stop") =>
        Effect.suspend(() => {
          const owner = owners.get(partition);
          if (owner !== undefined) {
            faults.push(`${name} runs ${partition} beside ${owner}`);
          }
          owners.set(partition, name);
          return Effect.never;
        }).pipe(
          Effect.ensuring(
            Effect.sync(() => {
              owners.delete(partition);
              left.push({ by: name, for: leavingFor() });
            }),
          ),
        ),
    }) as Pick<OrderProcessor["Service"], "run"> as OrderProcessor["Service"];
  return { owners, faults, left, of, processor };
};
type Book = ReturnType<typeof makeBook>;

const ports = new Map<string, number>();
const portOf = (name: string) => {
  if (!ports.has(name)) ports.set(name, 7001 + ports.size);
  return ports.get(name) as number;
};

/** A database that is always there, and tells what was asked of it in vain. */
const databaseOf = (failed: (words: string) => void) =>
  Layer.effect(
    Database,
    Effect.map(Database, (database) => ({
      ...database,
      failed: (error: unknown) =>
        Effect.sync(() => failed(describe(error).words)),
    })),
  ).pipe(Layer.provide(Database.layerMemory));

/** Starts an instance; closing the scope given back stops it. */
const start = Effect.fnUntraced(function* (
  book: Book,
  name: string,
  isTaken: () => boolean = () => false,
  failed: (words: string) => void = () => {},
) {
  const { url } = yield* TestDatabase;
  const scope = yield* Scope.fork(yield* Effect.scope);
  yield* Layer.buildWithScope(
    Layer.fresh(
      PartitionsCluster.layer({ host: name, port: portOf(name) }).pipe(
        Layer.provide([
          Layer.succeed(OrderProcessor, book.processor(name)),
          Layer.succeed(InstanceName, {
            held: Effect.void,
            isTaken,
            taken: Effect.never,
          }),
          databaseOf(failed),
          Postgres.layer({ url: Redacted.make(url), poolSize: 3 }),
        ]),
      ),
    ),
    scope,
  );
  return scope;
});

const eventually = (what: string, holds: () => boolean) =>
  Effect.promise(() => until(what, async () => holds()));

const reasonsOf = ({ left }: Book, name: string) =>
  Array.from(new Set(left.filter(({ by }) => by === name).map((_) => _.for)));

layer(layerSql, { excludeTestServices: true, timeout: 60_000 })(
  "the partitions of a cluster",
  (it) => {
    it.effect(
      "are each worked on by one instance, and go to the others when it leaves",
      () =>
        Effect.gen(function* () {
          const book = makeBook();
          const first = yield* start(book, "first");
          yield* eventually(
            "all are the first's",
            () => book.of("first") === 32,
          );
          const second = yield* start(book, "second");
          yield* eventually(
            "both have some, together all",
            () =>
              book.of("second") > 0 &&
              book.of("first") > 0 &&
              book.owners.size === partitions.length,
          );
          // Those that moved were left to the other.
          assert.deepStrictEqual(reasonsOf(book, "first"), ["new owner"]);
          const moved = book.left.length;

          yield* Scope.close(first, Exit.void);
          const stopped = book.left.slice(moved);
          assert.isAbove(stopped.length, 0);
          assert.isTrue(stopped.every((_) => _.for === "stop"));
          yield* eventually(
            "all are the second's",
            () => book.of("second") === 32,
          );
          yield* Scope.close(second, Exit.void);
          assert.deepStrictEqual(reasonsOf(book, "second"), ["stop"]);
          assert.strictEqual(book.owners.size, 0);
          assert.deepStrictEqual(book.faults, []);
        }),
      60_000,
    );

    it.effect(
      "are worked on again when the cluster could not be joined at first",
      () =>
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient;
          const book = makeBook();
          const said: Array<string> = [];
          // Its tables cannot be made for now.
          yield* sql`DROP TABLE IF EXISTS cluster_runners, cluster_locks, cluster_runner_migrations`;
          yield* sql`CREATE FUNCTION no_ddl() RETURNS event_trigger LANGUAGE plpgsql
            AS 'BEGIN RAISE EXCEPTION ''not now''; END'`;
          yield* sql`CREATE EVENT TRIGGER no_ddl ON ddl_command_start
            EXECUTE FUNCTION no_ddl()`;
          yield* start(
            book,
            "third",
            () => false,
            (words) => said.push(words),
          );
          yield* eventually("it says so", () =>
            said.some((words) => words.includes("not now")),
          );
          assert.strictEqual(book.owners.size, 0);
          yield* sql`DROP EVENT TRIGGER no_ddl`;
          yield* eventually(
            "all are the third's",
            () => book.of("third") === 32,
          );
        }),
      60_000,
    );

    it.effect(
      "are given up, and their leases left, by who has lost its name",
      () =>
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient;
          const book = makeBook();
          let isTaken = false;
          const scope = yield* start(book, "fourth", () => isTaken);
          yield* eventually(
            "all are the fourth's",
            () => book.of("fourth") === 32,
          );
          isTaken = true;
          yield* eventually("none is", () => book.owners.size === 0);
          yield* Scope.close(scope, Exit.void);
          const leases = yield* sql`SELECT 1 FROM cluster_locks
            WHERE address LIKE '%fourth%'`;
          assert.strictEqual(leases.length, 32);
        }),
      60_000,
    );
  },
);
