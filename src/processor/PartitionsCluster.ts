/**
 * The partitions are shared by all instances on one database: each partition's
 * actor is a singleton of the cluster (`effect/cluster`), and runs on the one
 * instance that holds the partition's lease, a row in PostgreSQL.
 *
 * Instances find and watch each other through the database alone, by their
 * heartbeats: there is no port to open between them, and no network between
 * them to fail apart from the one to the database.
 */
import { Duration, Effect, Layer, Option, Schedule, Schema } from "effect";
import {
  ClusterError,
  EntityId,
  MessageStorage,
  Runner,
  RunnerAddress,
  RunnerHealth,
  RunnerStorage,
  Runners,
  Sharding,
  ShardingConfig,
  Singleton,
  SqlRunnerStorage,
} from "effect/cluster";
import { type Partition, partitions } from "../domain/Partition.ts";
import { Database } from "../persistence/Database.ts";
import {
  InstanceName,
  leaseTime,
  renewInterval,
} from "../persistence/InstanceName.ts";
import * as LiveInstances from "../persistence/LiveInstances.ts";
import * as ClusterLog from "./ClusterLog.ts";
import * as Duties from "./Duties.ts";

/** This instance's name (`InstanceName`). */
export interface PartitionsClusterOptions {
  readonly host: string;
  readonly port: number;
}

/**
 * A killed instance is replaced within `LiveInstances.namelessTime` and a read of
 * the cluster, a frozen one within `leaseTime` and a read.
 */
const lookInterval = Duration.millis(250);

const config = ({ host, port }: PartitionsClusterOptions) =>
  ShardingConfig.layer({
    runnerAddress: Option.some(RunnerAddress.make(host, port)),
    // One shard for each partition, so that they spread evenly.
    shardsPerGroup: partitions.length,
    // Leases, not advisory locks: those go with their session, and then all
    // work here would pause when one connection is cut.
    shardLockDisableAdvisory: true,
    shardLockExpiration: leaseTime,
    shardLockRefreshInterval: renewInterval,
    refreshAssignmentsInterval: lookInterval,
    // Named for messages, of which there are none; it is also how soon a
    // failed try for leases is repeated.
    entityMessagePollInterval: lookInterval,
  });

/** The name of a partition's singleton: one that falls to its own shard. */
const nameOf = (
  sharding: Sharding.Sharding["Service"],
  partition: Partition,
): string => {
  for (let attempt = 0; attempt < 100_000; attempt++) {
    const name = `partition-${partition}-${attempt}`;
    const shard = sharding.getShardId(EntityId.make(name), "default");
    if (shard.id === partition + 1) return name;
  }
  throw new Error(`no name falls to the shard of partition ${partition}`);
};

const singletons = (isStopping: () => boolean) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const fulfilDuties = yield* Duties.make;
      const sharding = yield* Sharding.Sharding;
      return Layer.mergeAll(
        Layer.empty,
        ...partitions.map((partition) =>
          Singleton.make(
            nameOf(sharding, partition),
            fulfilDuties(partition, () =>
              isStopping() ? "stop" : "new owner",
            ),
          ),
        ),
      );
    }),
  );

const decodeRunner = Schema.decodeUnknownOption(
  Schema.fromJsonString(Runner.Runner),
);

/** The instances as the cluster knows them, but for what it cannot read. */
const asRunners = (live: ReadonlyArray<LiveInstances.LiveInstance>) =>
  live.flatMap(({ healthy, runner }) =>
    Option.toArray(decodeRunner(runner)).map(
      (decoded): [Runner.Runner, boolean] => [decoded, healthy],
    ),
  );

/**
 * The leases, which go by the instance's name: those of a process that no
 * longer has the name are all lost, and are not its own to give back.
 */
const makeStorage = Effect.fnUntraced(function* ({
  host,
  port,
}: PartitionsClusterOptions) {
  const leases = yield* RunnerStorage.RunnerStorage;
  const live = yield* LiveInstances.make(`${host}:${port}`);
  const { isTaken } = yield* InstanceName;
  const unlessTaken = <A, E>(effect: Effect.Effect<A, E>, otherwise: A) =>
    Effect.suspend(() => (isTaken() ? Effect.succeed(otherwise) : effect));
  return RunnerStorage.RunnerStorage.of({
    ...leases,
    getRunners: live.pipe(
      Effect.map(asRunners),
      ClusterError.PersistenceError.refail,
      Effect.withTracerEnabled(false),
    ),
    acquire: (name, shards) => unlessTaken(leases.acquire(name, shards), []),
    refresh: (name, shards) => unlessTaken(leases.refresh(name, shards), []),
    release: (name, shard) =>
      unlessTaken(leases.release(name, shard), undefined),
    releaseAll: (name) => unlessTaken(leases.releaseAll(name), undefined),
    unregister: (name) => unlessTaken(leases.unregister(name), undefined),
  });
});

const storage = (options: PartitionsClusterOptions) =>
  Layer.effect(RunnerStorage.RunnerStorage, makeStorage(options)).pipe(
    Layer.provide(SqlRunnerStorage.layer),
  );

/** Works the partitions that fall to this instance; drains those it loses. */
export const layer = (options: PartitionsClusterOptions) => {
  let isStopping = false;
  const cluster = singletons(() => isStopping).pipe(
    Layer.provide(Sharding.layer),
    // No messages travel between instances: the table has the orders.
    Layer.provide([Runners.layerNoop, RunnerHealth.layerNoop]),
    Layer.provide([MessageStorage.layerNoop, storage(options)]),
    Layer.provide(config(options)),
    Layer.provide(ClusterLog.layer),
  );
  return Layer.effectDiscard(
    Effect.gen(function* () {
      const database = yield* Database;
      const { held } = yield* InstanceName;
      yield* Effect.all([database.migrated, held], { discard: true }).pipe(
        Effect.andThen(Layer.launch(cluster)),
        Effect.sandbox,
        Effect.tapError((cause) => {
          const fault = ClusterLog.storageFault(cause);
          return fault === undefined
            ? Effect.logWarning("cannot join the cluster; trying again", cause)
            : database.failed(fault);
        }),
        Effect.retry(Schedule.spaced("1 second")),
        Effect.forkScoped,
      );
      // Added last, so it is known before the partitions are given up.
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          isStopping = true;
        }),
      );
    }),
  );
};
