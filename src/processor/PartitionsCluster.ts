/**
 * The partitions are shared by all instances on one database: each partition's
 * actor is a singleton of the cluster (`effect/cluster`), and runs on the one
 * instance that holds the partition's lease, a row in PostgreSQL.
 *
 * Instances find and watch each other through the database alone, by their
 * heartbeats: there is no port to open between them, and no network between
 * them to fail apart from the one to the database.
 */
import { Duration, Effect, Layer, Option, Schedule } from "effect";
import {
  EntityId,
  MessageStorage,
  RunnerAddress,
  RunnerHealth,
  Runners,
  Sharding,
  ShardingConfig,
  Singleton,
  SqlRunnerStorage,
} from "effect/cluster";
import { type Partition, partitions } from "../domain/Partition.ts";
import { Database } from "../persistence/Database.ts";
import * as ClusterLog from "./ClusterLog.ts";
import { OrderProcessor } from "./OrderProcessor.ts";

/** What tells this instance from the others; the same after its restart. */
export interface PartitionsClusterOptions {
  readonly host: string;
  readonly port: number;
}

/**
 * How long after its last heartbeat an instance is taken for dead. A killed or
 * frozen one is replaced within this and two looks at the cluster.
 */
const leaseTime = Duration.seconds(4);
/** A lease is renewed three times in its life; a renewal may take as long. */
const renewInterval = Duration.millis(1333);
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
      const processor = yield* OrderProcessor;
      const sharding = yield* Sharding.Sharding;
      return Layer.mergeAll(
        Layer.empty,
        ...partitions.map((partition) =>
          Singleton.make(
            nameOf(sharding, partition),
            processor.run(partition, () =>
              isStopping() ? "stop" : "new owner",
            ),
          ),
        ),
      );
    }),
  );

/** Works the partitions that fall to this instance; drains those it loses. */
export const layer = (options: PartitionsClusterOptions) => {
  let isStopping = false;
  const cluster = singletons(() => isStopping).pipe(
    Layer.provide(Sharding.layer),
    // No messages travel between instances: the table has the orders.
    Layer.provide([Runners.layerNoop, RunnerHealth.layerNoop]),
    Layer.provide([MessageStorage.layerNoop, SqlRunnerStorage.layer]),
    Layer.provide(config(options)),
    Layer.provide(ClusterLog.layer),
  );
  return Layer.effectDiscard(
    Effect.gen(function* () {
      const database = yield* Database;
      yield* Effect.andThen(database.migrated, Layer.launch(cluster)).pipe(
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
