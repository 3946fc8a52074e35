/**
 * The wiring, on one page: edge on top, database at the bottom. A room's
 * layers say what they need; only here are the needs met.
 */
import { ConfigProvider, Console, Duration, Effect, Layer } from "effect";
import { Digest, SecureRandom } from "effect/crypto";
import { AppConfig, isLoopback, settingFaults } from "./AppConfig.ts";
import { Access } from "./access/Access.ts";
import * as FirstKey from "./access/FirstKey.ts";
import { Keys } from "./access/Keys.ts";
import * as ConsolePage from "./console/ConsolePage.ts";
import { diskFault } from "./domain/DiskFault.ts";
import { EventFeed } from "./events/EventFeed.ts";
import { EventFollower } from "./events/EventFollower.ts";
import { EventStreams } from "./events/EventStreams.ts";
import { Places } from "./events/Places.ts";
import { SubscriptionDelivery } from "./events/SubscriptionDelivery.ts";
import { SubscriptionDispatchers } from "./events/SubscriptionDispatchers.ts";
import { Subscriptions } from "./events/Subscriptions.ts";
import * as Announcement from "./http/Announcement.ts";
import * as HttpApp from "./http/HttpApp.ts";
import { supervise } from "./instances/Supervisor.ts";
import * as ArchiveFiles from "./operations/ArchiveFiles.ts";
import { Census } from "./operations/Census.ts";
import * as Conservation from "./operations/Conservation.ts";
import * as EventUpkeep from "./operations/EventUpkeep.ts";
import { MetricsSampler } from "./operations/MetricsSampler.ts";
import * as Observability from "./operations/Observability.ts";
import { OrderArchiving } from "./operations/OrderArchiving.ts";
import { stopWithin } from "./operations/StopLimit.ts";
import { OrderExports } from "./orders/OrderExports.ts";
import { Orders } from "./orders/Orders.ts";
import { Processing } from "./orders/Processing.ts";
import { Readiness } from "./orders/Readiness.ts";
import * as SampleOrders from "./orders/SampleOrders.ts";
import { Connections } from "./persistence/Connections.ts";
import { Database } from "./persistence/Database.ts";
import { ThisInstance, WritesEvents } from "./persistence/EventLog.ts";
import { InstanceName } from "./persistence/InstanceName.ts";
import * as KeyStoreSql from "./persistence/KeyStoreSql.ts";
import type { OrderArchive } from "./persistence/OrderArchive.ts";
import * as OrderRepositorySql from "./persistence/OrderRepositorySql.ts";
import * as ProcessingStoreSql from "./persistence/ProcessingStoreSql.ts";
import * as SubscriptionStoreSql from "./persistence/SubscriptionStoreSql.ts";
import * as Arguments from "./platform/Arguments.ts";
import {
  type Instances,
  type ReceiverHosts,
  type Runtime,
  StartFailed,
} from "./platform/Runtime.ts";
import { OtherDuties } from "./processor/Duties.ts";
import type { Fulfilment } from "./processor/Fulfilment.ts";
import * as FulfilmentSimulated from "./processor/FulfilmentSimulated.ts";
import * as FulfilmentWebhook from "./processor/FulfilmentWebhook.ts";
import * as InstanceReports from "./processor/InstanceReports.ts";
import { OrderProcessor } from "./processor/OrderProcessor.ts";
import * as PartitionsCluster from "./processor/PartitionsCluster.ts";
import * as PartitionsLocal from "./processor/PartitionsLocal.ts";
import * as Pause from "./processor/Pause.ts";
import * as ReceiverState from "./processor/ReceiverState.ts";
import { UnreadOrders } from "./processor/UnreadOrders.ts";
import * as Upkeep from "./processor/Upkeep.ts";
import type { BadSecret } from "./processor/WebhookSignature.ts";
import * as SettingCheck from "./SettingCheck.ts";

/** Who this process is, among those on one database. */
interface Identity {
  /** What tells it from the others; the same after its restart. */
  readonly name: { readonly host: string; readonly port: number };
  /** Which it is of those under one supervisor. */
  readonly number: number;
  /** Whether others of this machine write to the same output. */
  readonly isOneOfMany: boolean;
  /** Its supervisor, if it has one. */
  readonly supervisor: Instances | undefined;
}

const identityOf = (
  runtime: Runtime,
  config: AppConfig,
  { instance, instances }: Arguments.Arguments,
): Identity => {
  const host =
    config.runnerHost ??
    // On the embedded database there is no other; Deno need not tell the name.
    (config.databaseUrl === undefined ? "localhost" : runtime.hostname());
  return {
    name: {
      // Those under one supervisor have the port in common. No host's name
      // has a "#", so that none of them can be another machine's.
      host: instance === undefined ? host : `${host}#${instance}`,
      port: config.runnerPort ?? (config.port || runtime.processId),
    },
    number: instance ?? 1,
    isOneOfMany: instance !== undefined || instances !== undefined,
    supervisor: instance === undefined ? undefined : runtime.instances,
  };
};

/** As it stands in the log, and in the history of orders. */
const nameOf = ({ name }: Pick<Identity, "name">) =>
  `${name.host}:${name.port}`;

/** The service, as its settings ask for it, on a runtime. */
const layer = <E>(
  runtime: Runtime,
  config: AppConfig,
  identity: Identity,
  work: Work<E>,
) => {
  const access = accessOf(config);
  const http = HttpApp.layer({
    access,
    rateLimit: config.rateLimit,
    trustedProxies: config.trustedProxies,
    maxBodySize: config.maxBodySize,
    maxBodies: config.maxBodies,
    maxInFlight: config.maxInFlight,
    allowedHosts: config.allowedHosts,
    readChunks: runtime.readChunks,
    pages: ConsolePage.layer(runtime.consoleFiles),
  }).pipe(
    Layer.provideMerge(
      runtime.httpServer({
        host: config.host,
        port: config.port,
        isShared: identity.supervisor !== undefined,
        // Requests had as long as the orders in work; these are the last.
        shutdownTimeout: Duration.min(
          config.shutdownTimeout,
          Duration.seconds(3),
        ),
      }),
    ),
  );

  const keys = Keys.layer.pipe(
    Layer.provideMerge(Access.layer(config.adminKey)),
    Layer.provide([Digest.layerWebCrypto, SecureRandom.layerWebCrypto]),
  );

  const receivers = receiverHosts(config);
  const subscriptions = Layer.mergeAll(
    Subscriptions.layer({
      mayBe: (host) => receivers === "any" || !runtime.isPrivateHost(host),
    }),
    SubscriptionDispatchers.layer,
  ).pipe(
    Layer.provide([SubscriptionDelivery.layer, SubscriptionStoreSql.layer]),
    Layer.provide(runtime.httpClientTo(receivers)),
  );

  const useCases = Layer.mergeAll(
    Orders.layer,
    Processing.layer,
    MetricsSampler.layer,
    OrderExports.layer,
    keys,
    Readiness.layer,
    Layer.provide(
      Layer.mergeAll(EventFeed.layer, EventStreams.layer, subscriptions),
      [EventFollower.layer, Places.layer],
    ),
  );

  const processor = OrderProcessor.layer({
    concurrency: config.processingConcurrency,
    attemptTimeout: config.processingTimeout,
    drainTimeout: config.shutdownTimeout,
    retryPolicy: {
      maxAttempts: config.maxAttempts,
      base: config.retryBase,
      cap: config.retryCap,
    },
  }).pipe(
    Layer.provide(work.layer),
    Layer.provideMerge(
      Layer.mergeAll(Pause.layer, ReceiverState.layer, Upkeep.layer),
    ),
  );

  const thisInstance = Layer.succeed(ThisInstance, nameOf(identity));
  const repository = Layer.mergeAll(
    OrderRepositorySql.layer,
    ProcessingStoreSql.layer,
    KeyStoreSql.layer,
  ).pipe(
    Layer.provide([Layer.succeed(WritesEvents, config.events), thisInstance]),
    Layer.provideMerge(Database.layer),
  );

  const database =
    config.databaseUrl === undefined
      ? Layer.provideMerge(
          Connections.layerShared,
          runtime.embedded({ dataDir: config.dataDir }),
        )
      : runtime.postgres({
          url: config.databaseUrl,
          poolSize: config.databasePoolSize,
        });

  const name =
    config.databaseUrl === undefined
      ? InstanceName.layerAlone
      : InstanceName.layer({
          ...identity.name,
          // The name is a lock of a session, which nothing else goes through.
          session: runtime.postgres({ url: config.databaseUrl, poolSize: 1 }),
        });

  // The last to start is the first to stop: processing drains while HTTP
  // still answers, HTTP closes, and the database goes last.
  return Layer.mergeAll(
    Announcement.layer({
      data: dataOf(config),
      access,
      supervisor: identity.supervisor,
    }),
    // Those under one supervisor need not all look whether there are orders.
    SampleOrders.layer({
      count: identity.number === 1 ? config.sampleOrders : 0,
      isWorkReal: work.isReal,
    }),
    // Those under one supervisor need not all say it.
    identity.number === 1
      ? FirstKey.layer({
          access,
          isLocal: isLoopback(config.host),
          hasAdminKey: config.adminKey !== undefined,
        })
      : Layer.empty,
    drainNotice,
  ).pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        partitions(config, identity).pipe(
          Layer.provide(otherDuties),
          Layer.provide(archiving(runtime, config)),
        ),
        Conservation.layer.pipe(Layer.provide(Census.layer)),
        EventUpkeep.layer(config.eventsRetention),
      ),
    ),
    Layer.provideMerge(listenersNotice),
    Layer.provideMerge(http),
    Layer.provideMerge(useCases),
    Layer.provideMerge(UnreadOrders.layer),
    Layer.provideMerge(Layer.provide(InstanceReports.layer, thisInstance)),
    Layer.provideMerge(processor),
    Layer.provideMerge(name),
    Layer.provideMerge(repository),
    Layer.provideMerge(database),
    Layer.provideMerge(observability(runtime, config, identity)),
  );
};

/**
 * Which partitions are worked on here: all of them on the embedded database;
 * on PostgreSQL, those that fall to this instance of the cluster.
 */
const partitions = (config: AppConfig, { name }: Identity) =>
  config.databaseUrl === undefined
    ? PartitionsLocal.layer
    : PartitionsCluster.layer(name);

/** Whether requests need keys: where others reach the service, if not said. */
const accessOf = ({ access, host }: AppConfig): "open" | "keys" =>
  access ?? (isLoopback(host) ? "open" : "keys");

/** What goes with the partitions: each runs on one instance at a time. */
const otherDuties = Layer.effect(
  OtherDuties,
  Effect.gen(function* () {
    const dispatchers = yield* SubscriptionDispatchers;
    const sampler = yield* MetricsSampler;
    const archiving = yield* OrderArchiving;
    return [dispatchers.run, sampler.run, archiving.run];
  }),
);

/** Orders that are done leave the table after a time, if that is asked for. */
const archiving = (
  runtime: Runtime,
  { archiveDir, retention }: AppConfig,
): Layer.Layer<OrderArchiving, StartFailed, Database | OrderArchive> => {
  if (retention === undefined) return OrderArchiving.layerOff;
  if (archiveDir === undefined) {
    return OrderArchiving.layer({ retention, files: undefined });
  }
  return Layer.unwrap(
    Effect.gen(function* () {
      const files = yield* ArchiveFiles.make(archiveDir);
      yield* Effect.mapError(
        files.check,
        (error) =>
          new StartFailed({
            message: `ARCHIVE_DIR ${archiveDir} takes no files: ${diskFault(error) ?? error.message}. Start again after that; no order has left the table.`,
          }),
      );
      return OrderArchiving.layer({ retention, files });
    }),
  ).pipe(Layer.provide(runtime.services));
};

/**
 * Where subscriptions may lead. Anywhere only where this machine alone reaches
 * the service: keys, names or proxies are signs that others do.
 */
const receiverHosts = (config: AppConfig): ReceiverHosts =>
  config.subscriptionsTo ??
  (isLoopback(config.host) &&
  accessOf(config) === "open" &&
  config.allowedHosts === undefined &&
  config.trustedProxies.length === 0
    ? "any"
    : "public");

/** What an order is placed for. */
interface Work<E> {
  readonly layer: Layer.Layer<Fulfilment, E>;
  /** Whether it does something, not only takes time. */
  readonly isReal: boolean;
}

/** The work that the settings ask for: the webhook's, or only time. */
const workOf = (runtime: Runtime, config: AppConfig): Work<BadSecret> =>
  config.fulfillmentUrl === undefined
    ? {
        layer: FulfilmentSimulated.layer(config.processingTime),
        isReal: false,
      }
    : {
        layer: FulfilmentWebhook.layer({
          url: config.fulfillmentUrl,
          secret: config.fulfillmentSecret,
          timeout: Duration.times(config.processingTimeout, 0.95),
        }).pipe(Layer.provide(runtime.httpClientTo("any"))),
        isReal: true,
      };

/** Readiness goes red before anything else stops. */
const drainNotice = Layer.effectDiscard(
  Effect.gen(function* () {
    const readiness = yield* Readiness;
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        readiness.drain,
        Effect.logInfo("stopping: orders in work are finished first"),
      ),
    );
  }),
);

/** Listeners end once processing has drained and load balancers know it. */
const listenersNotice = Layer.effectDiscard(
  Effect.gen(function* () {
    const feed = yield* EventFeed;
    const streams = yield* EventStreams;
    const readiness = yield* Readiness;
    yield* Effect.addFinalizer(() =>
      readiness.noticed.pipe(
        Effect.andThen(feed.stopWaiting),
        Effect.andThen(streams.end),
      ),
    );
  }),
);

/** Where the orders are, in words. */
const dataOf = (config: AppConfig) =>
  config.databaseUrl === undefined
    ? `embedded database in ${config.dataDir}`
    : "PostgreSQL at DATABASE_URL";

const observability = (
  runtime: Runtime,
  config: AppConfig,
  { isOneOfMany, name }: Identity,
) =>
  Observability.layer({
    instance: nameOf({ name }),
    isOneOfMany,
    logFormat: config.logFormat ?? (runtime.isTerminal ? "pretty" : "json"),
    logLevel: config.logLevel,
    logOutput: runtime.logOutput,
    otlpEndpoint: config.otlpEndpoint,
  });

const withSettings = (runtime: Runtime) =>
  ConfigProvider.layerAdd(SettingCheck.fromEnvironmentAndFile).pipe(
    Layer.provide(runtime.services),
  );

/** How long a process may take to stop: orders in work have the first part. */
const stopLimit = (config: AppConfig) =>
  Duration.sum(config.shutdownTimeout, Duration.seconds(10));

/** The service in this process. */
const serve = Effect.fnUntraced(function* <E>(
  runtime: Runtime,
  config: AppConfig,
  identity: Identity,
  work: Work<E>,
) {
  const untilItFails = Effect.gen(function* () {
    const database = yield* Database;
    const name = yield* InstanceName;
    const processor = yield* OrderProcessor;
    return yield* Effect.raceAllFirst([
      database.refused,
      name.taken,
      processor.collapsed,
    ]);
  });
  const service = untilItFails.pipe(
    Effect.provide(layer(runtime, config, identity, work)),
    stopWithin(stopLimit(config)),
  );
  const { supervisor } = identity;
  if (supervisor === undefined) return yield* service;
  return yield* Effect.raceFirst(
    service,
    Effect.andThen(
      supervisor.supervisorGone,
      new StartFailed({
        message:
          "stopped, as its supervisor is gone: nobody would look after it",
      }),
    ),
  );
});

/** The service in `count` processes, which this one looks after. */
const serveInMany = Effect.fnUntraced(function* (
  { instances, ...runtime }: Runtime,
  config: AppConfig,
  args: Arguments.Arguments,
  count: number,
) {
  if (instances === undefined) {
    return yield* new StartFailed({
      message:
        "--instances needs Node: here, start them one by one, each with a PORT of its own, behind a load balancer.",
    });
  }
  if (config.databaseUrl === undefined) {
    return yield* new StartFailed({
      message:
        "--instances needs DATABASE_URL: the embedded database is for one process.",
    });
  }
  const port = yield* instances.choosePort(config);
  const identity = identityOf(runtime, { ...config, port }, args);
  return yield* supervise({
    count,
    start: (number) =>
      instances.start({
        number,
        port,
        // They end by themselves before that, unless they are frozen.
        stopLimit: Duration.sum(stopLimit(config), Duration.seconds(2)),
      }),
    onServing: Announcement.logListening,
    onReady: (base) =>
      Announcement.logReady(
        { data: dataOf(config), access: accessOf(config) },
        base,
      ),
  }).pipe(Effect.provide(observability(runtime, config, identity)));
});

/**
 * Runs the service until it is told to stop, or cannot go on.
 *
 * @param ownWork what an order is placed for, instead of what the settings say
 */
export const run = <E extends { readonly message: string } = never>(
  runtime: Runtime,
  ownWork?: Layer.Layer<Fulfilment, E>,
) =>
  Effect.gen(function* () {
    const args = yield* Arguments.parse(runtime.args);
    if (args.help) return yield* Console.log(Arguments.usage);
    const config = yield* Effect.mapError(
      AppConfig,
      (error) => new StartFailed({ message: settingFaults(error) }),
    );
    yield* SettingCheck.checkTogether(config, {
      access: accessOf(config),
      hasOwnWork: ownWork !== undefined,
    });
    if (args.instances !== undefined) {
      return yield* serveInMany(runtime, config, args, args.instances);
    }
    const work: Work<E | BadSecret> =
      ownWork === undefined
        ? workOf(runtime, config)
        : { layer: ownWork, isReal: true };
    const identity = identityOf(runtime, config, args);
    return yield* serve(runtime, config, identity, work);
  }).pipe(
    Effect.provide(withSettings(runtime)),
    Effect.tapError((error) =>
      Console.error(`order-service: ${error.message}`),
    ),
  );
