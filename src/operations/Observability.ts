/** Logs as asked for; traces, metrics and logs by OTLP when there is a place. */
import {
  Console,
  Effect,
  Layer,
  Logger,
  type LogLevel,
  Metric,
  References,
  Schedule,
} from "effect";
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
  /** Where the log goes, and how many of its lines were dropped so far. */
  readonly logOutput:
    | {
        readonly console: Console.Console;
        readonly dropped: () => number;
        readonly isRead: () => boolean;
      }
    | undefined;
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

const droppedTotal = Metric.counter("log_lines_dropped_total", {
  description: "Log lines that nobody read: the reader was slow, or gone.",
  incremental: true,
});

/** Counts dropped lines, and logs their number once the log is read again. */
const droppedLines = ({
  dropped,
  isRead,
}: NonNullable<ObservabilityOptions["logOutput"]>) =>
  Effect.gen(function* () {
    let counted = 0;
    let logged = 0;
    yield* Effect.gen(function* () {
      const total = dropped();
      yield* Metric.update(droppedTotal, total - counted);
      counted = total;
      if (total === logged || !isRead()) return;
      yield* Effect.logWarning(
        "log lines were dropped, because nobody read the log in time: orders are not affected; see what reads the output",
        { lines: total - logged },
      );
      logged = total;
    }).pipe(Effect.repeat(Schedule.spaced("1 second")), Effect.forkScoped);
  });

export const layer = (options: ObservabilityOptions) => {
  const { instance, logLevel, logOutput, otlpEndpoint } = options;
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
  const logs = Layer.mergeAll(
    Logger.layer([loggerOf(options)]),
    Layer.succeed(References.MinimumLogLevel, logLevel),
  );
  if (logOutput === undefined) return Layer.provideMerge(otlp, logs);
  return Layer.merge(otlp, Layer.effectDiscard(droppedLines(logOutput))).pipe(
    Layer.provideMerge(logs),
    Layer.provideMerge(Layer.succeed(Console.Console, logOutput.console)),
  );
};
