/**
 * Which instance works which partition, on a real PostgreSQL: several instances
 * in one process, whose work is only to be there. `effect/cluster` has a storage
 * in memory, but that one gives every shard to everybody.
 */
import { assert, layer } from "@effect/vitest";
import { Clock, Effect, Exit, Layer, Redacted, Scope } from "effect";
import { SqlRunnerStorage } from "effect/cluster";
import { SqlClient } from "effect/sql";
import { type Partition, partitions } from "../../src/domain/Partition.ts";
import { Database } from "../../src/persistence/Database.ts";
import { describe } from "../../src/persistence/DatabaseFault.ts";
import { InstanceName } from "../../src/persistence/InstanceName.ts";
import * as LiveInstances from "../../src/persistence/LiveInstances.ts";
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

/** An instance's name, taken from it as the test says. */
const nameOf = (
  { host, port }: PartitionsCluster.PartitionsClusterOptions,
  url: Redacted.Redacted,
  isTaken: () => boolean,
) =>
  Layer.effect(
    InstanceName,
    Effect.map(InstanceName, (name) => ({ ...name, isTaken })),
  ).pipe(
    Layer.provide(
      InstanceName.layer({
        ...{ host, port },
        session: Postgres.layer({ url, poolSize: 1 }),
      }),
    ),
  );

/** Starts an instance; closing the scope given back stops it. */
const start = Effect.fnUntraced(function* (
  book: Book,
  name: string,
  isTaken: () => boolean = () => false,
  failed: (words: string) => void = () => {},
) {
  const { url } = yield* TestDatabase;
  const scope = yield* Scope.fork(yield* Effect.scope);
  const address = { host: name, port: portOf(name) };
  yield* Layer.buildWithScope(
    Layer.fresh(
      PartitionsCluster.layer(address).pipe(
        Layer.provide([
          Layer.succeed(OrderProcessor, book.processor(name)),
          nameOf(address, Redacted.make(url), isTaken),
          databaseOf(failed),
          Postgres.layer({ url: Redacted.make(url), poolSize: 3 }),
        ]),
      ),
    ),
    scope,
  );
  return scope;
});

/** Instances by name, each with a lease, and since when it is not renewed. */
const renewedBefore = Effect.fnUntraced(function* (
  seconds: Readonly<Record<string, number>>,
) {
  const sql = yield* SqlClient.SqlClient;
  yield* sql`TRUNCATE cluster_runners, cluster_locks`;
  for (const [name, age] of Object.entries(seconds)) {
    const at = sql.literal(`now() - interval '${age} seconds'`);
    yield* sql`INSERT INTO cluster_runners (address, runner, last_heartbeat)
      VALUES (${name}, ${name}, ${at})`;
    yield* sql`INSERT INTO cluster_locks VALUES (${name}, ${name}, ${at})`;
  }
});

const leaseHolders = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  const rows = yield* sql<{ address: string }>`
    SELECT address FROM cluster_locks ORDER BY address`;
  return rows.map(({ address }) => address);
});

/** Holds an instance's name, as its process does. */
const holdName = (name: string) =>
  Effect.gen(function* () {
    const { url } = yield* TestDatabase;
    const [host = "", port] = name.split(":");
    const services = yield* Layer.build(
      Layer.fresh(
        nameOf({ host, port: Number(port) }, Redacted.make(url), () => false),
      ),
    );
    yield* Effect.flatMap(
      Effect.provide(InstanceName, services),
      ({ held }) => held,
    );
  });

/** Reads who is alive, as `own:1`, at times that the test says. */
const reader = Effect.gen(function* () {
  yield* Layer.build(SqlRunnerStorage.layerMigrations({}));
  const clock = yield* Clock.Clock;
  let millis = 0;
  const read = yield* Effect.provideService(
    LiveInstances.make("own:1"),
    Clock.Clock,
    { ...clock, monotonicTimeNanosUnsafe: () => BigInt(millis) * 1_000_000n },
  );
  return {
    /** After so long, with a read every 250 ms or with none between. */
    readAfter: Effect.fnUntraced(function* (
      forMillis: number,
      everyMillis = 250,
    ) {
      for (const end = millis + forMillis; millis < end; ) {
        millis += everyMillis;
        yield* read;
      }
      const live = yield* read;
      return live.map(({ runner }) => runner).sort();
    }),
  };
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
      "are left by an instance whose lease and name are both gone",
      () =>
        Effect.gen(function* () {
          const { readAfter } = yield* reader;
          yield* holdName("stalled:1");
          yield* holdName("frozen:1");
          const renewed = {
            ...{ "own:1": 0, "killed:1": 2.1 },
            // Its name's session was cut, or its renewals are held up.
            ...{ "cut:1": 1.5, "stalled:1": 3, "frozen:1": 4.1 },
          };
          const leftBy = (...dead: ReadonlyArray<string>) =>
            Object.keys(renewed)
              .filter((name) => !dead.includes(name))
              .sort();
          yield* renewedBefore(renewed);
          // Whoever has just started believes the leases alone.
          yield* readAfter(0);
          assert.deepStrictEqual(yield* leaseHolders, leftBy("frozen:1"));
          yield* readAfter(3750);
          yield* renewedBefore(renewed);
          const live = yield* readAfter(250);
          assert.deepStrictEqual(live, leftBy("frozen:1", "killed:1"));
          assert.deepStrictEqual(yield* leaseHolders, live);
        }),
      60_000,
    );

    it.effect(
      "are left alone by an instance that was itself cut off",
      () =>
        Effect.gen(function* () {
          const { readAfter } = yield* reader;
          const killed = { "own:1": 0, "killed:1": 2.1 };
          yield* renewedBefore(killed);
          yield* readAfter(3750);
          // A gap between its reads: then all others may look as it does.
          yield* renewedBefore(killed);
          yield* readAfter(1250, 1250);
          yield* readAfter(3750);
          assert.deepStrictEqual(yield* leaseHolders, ["killed:1", "own:1"]);
          // Its own lease is not fresh; it does not remove itself.
          yield* renewedBefore({ "own:1": 5, "killed:1": 2.1 });
          yield* readAfter(1000);
          assert.deepStrictEqual(yield* leaseHolders, ["killed:1", "own:1"]);
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
