/**
 * The wiring, on one page: edge on top, database at the bottom. A room's
 * layers say what they need; only here are the needs met.
 */
import {
  type Config,
  ConfigProvider,
  Console,
  Duration,
  Effect,
  Layer,
  Logger,
  References,
  Schema,
  SchemaIssue,
} from "effect";
import { FetchHttpClient, HttpServer } from "effect/http";
import { NetAddress } from "effect/net";
import { Otlp } from "effect/observability";
import { AppConfig } from "./AppConfig.ts";
import * as HttpApp from "./http/HttpApp.ts";
import { Orders } from "./orders/Orders.ts";
import { Readiness } from "./orders/Readiness.ts";
import * as SampleOrders from "./orders/SampleOrders.ts";
import { Database } from "./persistence/Database.ts";
import { OrderRepository } from "./persistence/OrderRepository.ts";
import * as OrderRepositorySql from "./persistence/OrderRepositorySql.ts";
import * as Conservation from "./processor/Conservation.ts";
import type { Fulfilment } from "./processor/Fulfilment.ts";
import * as FulfilmentSimulated from "./processor/FulfilmentSimulated.ts";
import * as FulfilmentWebhook from "./processor/FulfilmentWebhook.ts";
import { OrderProcessor } from "./processor/OrderProcessor.ts";
import * as PartitionsCluster from "./processor/PartitionsCluster.ts";
import * as PartitionsLocal from "./processor/PartitionsLocal.ts";
import * as JsonLog from "./runtime/JsonLog.ts";
import { type Runtime, StartFailed } from "./runtime/Runtime.ts";
import { stopWithin } from "./runtime/StopLimit.ts";

/** The service, as its settings ask for it, on a runtime. */
const layer = <E>(
  runtime: Runtime,
  config: AppConfig,
  work: Layer.Layer<Fulfilment, E>,
) => {
  const http = HttpApp.layer({
    maxBodySize: config.maxBodySize,
    maxInFlight: config.maxInFlight,
  }).pipe(
    Layer.provideMerge(
      runtime.httpServer({
        host: config.host,
        port: config.port,
        // Requests had as long as the orders in work; these are the last.
        shutdownTimeout: Duration.min(
          config.shutdownTimeout,
          Duration.seconds(3),
        ),
      }),
    ),
  );

  const useCases = Layer.mergeAll(Orders.layer, Readiness.layer);

  const processor = OrderProcessor.layer({
    concurrency: config.processingConcurrency,
    attemptTimeout: config.processingTimeout,
    drainTimeout: config.shutdownTimeout,
    retryPolicy: {
      maxAttempts: config.maxAttempts,
      base: config.retryBase,
      cap: config.retryCap,
    },
  }).pipe(Layer.provide(work));

  const repository = OrderRepositorySql.layer.pipe(
    Layer.provideMerge(Database.layer),
  );

  const database =
    config.databaseUrl === undefined
      ? runtime.embedded({ dataDir: config.dataDir })
      : runtime.postgres({
          url: config.databaseUrl,
          poolSize: config.databasePoolSize,
        });

  // The last to start is the first to stop: processing drains while HTTP
  // still answers, HTTP closes, and the database goes last.
  return Layer.mergeAll(
    announce(config),
    sampleOrders(config),
    drainNotice,
  ).pipe(
    Layer.provideMerge(
      Layer.mergeAll(partitions(runtime, config), Conservation.layer),
    ),
    Layer.provideMerge(http),
    Layer.provideMerge(useCases),
    Layer.provideMerge(processor),
    Layer.provideMerge(repository),
    Layer.provideMerge(database),
    Layer.provideMerge(observability(runtime, config)),
  );
};

/**
 * Which partitions are worked on here: all of them on the embedded database;
 * on PostgreSQL, those that fall to this instance of the cluster.
 */
const partitions = (runtime: Runtime, config: AppConfig) =>
  config.databaseUrl === undefined
    ? PartitionsLocal.layer
    : PartitionsCluster.layer({
        host: config.runnerHost ?? runtime.hostname(),
        port: config.runnerPort ?? (config.port || runtime.processId),
      });

/** The work that the settings ask for: the webhook's, or only time. */
const workOf = (config: AppConfig) =>
  config.fulfillmentUrl === undefined
    ? FulfilmentSimulated.layer(config.processingTime)
    : FulfilmentWebhook.layer({
        url: config.fulfillmentUrl,
        secret: config.fulfillmentSecret,
        timeout: Duration.times(config.processingTimeout, 0.95),
      });

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

/** Says where everything is, once it is there. */
const announce = (config: AppConfig) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const { address } = yield* HttpServer.HttpServer;
      const database = yield* Database;
      const data =
        config.databaseUrl === undefined
          ? `embedded database in ${config.dataDir}`
          : "PostgreSQL at DATABASE_URL";
      // Served by somebody else's server (`FetchService.ts`), it knows no URL.
      const base = NetAddress.isUnixPathAddress(address)
        ? undefined
        : HttpServer.formatAddress(address).replace(
            /0\.0\.0\.0|\[::\]/,
            "localhost",
          );
      if (base !== undefined) yield* Effect.logInfo(`listening on ${base}`);
      yield* database.migrated.pipe(
        Effect.andThen(
          Effect.logInfo(
            base === undefined
              ? `ready\n  Data  ${data}`
              : `ready
  API   ${base}/api/orders/
  Docs  ${base}/docs
  Data  ${data}
  Try   curl -i ${base}/api/orders/ -H 'content-type: application/json' -d '{"order_id":"ORD001","user_id":"USER001","item_ids":["ITEM001"],"total_amount":99.99}'`,
          ),
        ),
        Effect.forkScoped,
      );
    }),
  );

/** `SAMPLE_ORDERS` orders, if there are no orders at all. */
const sampleOrders = (config: AppConfig) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      if (config.sampleOrders === 0) return;
      const database = yield* Database;
      const repository = yield* OrderRepository;
      const orders = yield* Orders;
      yield* Effect.gen(function* () {
        yield* database.migrated;
        if (!(yield* repository.isEmpty)) return;
        const place = Effect.flatMap(SampleOrders.random, orders.place);
        yield* Effect.forEach(
          Array.from({ length: config.sampleOrders }),
          () => place,
          { concurrency: 50, discard: true },
        );
        yield* Effect.logInfo(`placed ${config.sampleOrders} sample orders`);
      }).pipe(
        Effect.catchCause((cause) =>
          Effect.logWarning("no sample orders were placed", cause),
        ),
        Effect.forkScoped,
      );
    }),
  );

/** Logs as asked for; traces, metrics and logs by OTLP when there is a place. */
const observability = (runtime: Runtime, config: AppConfig) => {
  const format = config.logFormat ?? (runtime.isTerminal ? "pretty" : "json");
  const logger = Logger.layer([
    format === "pretty" ? Logger.consolePretty() : JsonLog.logger,
  ]);
  const otlp =
    config.otlpEndpoint === undefined
      ? // Spans that nobody would see cost as much as others.
        Layer.succeed(References.TracerEnabled, false)
      : Otlp.layerJson({
          baseUrl: config.otlpEndpoint.toString(),
          resource: { serviceName: "order-service" },
          loggerMergeWithExisting: true,
        }).pipe(Layer.provide(FetchHttpClient.layer));
  return otlp.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        logger,
        Layer.succeed(References.MinimumLogLevel, config.logLevel),
      ),
    ),
  );
};

/** Names the setting and what is wrong with it. */
const configFailed = ({ cause }: Config.ConfigError) => {
  const faults = Schema.isSchemaError(cause)
    ? formatIssues(cause.issue).issues.map(
        ({ message, path }) => `${path?.map(String).join(".")}: ${message}`,
      )
    : [cause.message];
  return new StartFailed({ message: `setting ${faults.join("; ")}` });
};

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1();

/** Settings come from the environment, and for the rest from `.env`. */
const withSettings = (runtime: Runtime) =>
  ConfigProvider.layerAdd(
    Effect.orElseSucceed(ConfigProvider.fromDotEnv(), () =>
      ConfigProvider.fromUnknown({}),
    ),
  ).pipe(Layer.provide(runtime.services));

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
    const config = yield* Effect.mapError(AppConfig, configFailed);
    const untilItFails = Effect.gen(function* () {
      const database = yield* Database;
      const processor = yield* OrderProcessor;
      return yield* Effect.raceFirst(database.refused, processor.collapsed);
    });
    const work: Layer.Layer<Fulfilment, E | FulfilmentWebhook.BadSecret> =
      ownWork ?? workOf(config);
    return yield* untilItFails.pipe(
      Effect.provide(layer(runtime, config, work)),
      // Orders in work have the first part of that time, the rest the second.
      stopWithin(Duration.sum(config.shutdownTimeout, Duration.seconds(10))),
    );
  }).pipe(
    Effect.provide(withSettings(runtime)),
    Effect.tapError((error) =>
      Console.error(`order-service: ${error.message}`),
    ),
  );
