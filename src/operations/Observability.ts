/** Logs as asked for; traces, metrics and logs by OTLP when there is a place. */
import { Layer, Logger, type LogLevel, References } from "effect";
import { FetchHttpClient } from "effect/http";
import { Otlp } from "effect/observability";
import * as JsonLog from "./JsonLog.ts";

export interface ObservabilityOptions {
  /** Whose logs and measurements these are. */
  readonly instance: string;
  /** Whether others write to the same place. */
  readonly isOneOfMany: boolean;
  readonly logFormat: "pretty" | "json";
  readonly logLevel: LogLevel.LogLevel;
  readonly otlpEndpoint: URL | undefined;
}

/**
 * Names the instance at the start of each line. Not by annotating: effect/cluster
 * runs its singletons, and so all actors, without the annotations around them.
 */
const prettyLogger = (instance: string) => {
  const pretty = Logger.consolePretty();
  return Logger.make<unknown, void>((options) => {
    const { message } = options;
    const [first, ...rest] = Array.isArray(message) ? message : [message];
    const named =
      typeof first === "string"
        ? [`${instance} ${first}`, ...rest]
        : [instance, first, ...rest];
    return pretty.log({ ...options, message: named });
  });
};

const loggerOf = ({
  instance,
  isOneOfMany,
  logFormat,
}: ObservabilityOptions) => {
  if (logFormat === "json") return JsonLog.logger(instance);
  return isOneOfMany ? prettyLogger(instance) : Logger.consolePretty();
};

export const layer = (options: ObservabilityOptions) => {
  const { instance, logLevel, otlpEndpoint } = options;
  const otlp =
    otlpEndpoint === undefined
      ? // Spans that nobody would see cost as much as others.
        Layer.succeed(References.TracerEnabled, false)
      : Otlp.layerJson({
          baseUrl: otlpEndpoint.toString(),
          resource: {
            serviceName: "order-service",
            attributes: { "service.instance.id": instance },
          },
          loggerMergeWithExisting: true,
        }).pipe(Layer.provide(FetchHttpClient.layer));
  return otlp.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        Logger.layer([loggerOf(options)]),
        Layer.succeed(References.MinimumLogLevel, logLevel),
      ),
    ),
  );
};
