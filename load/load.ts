/**
 * `npm run load`: the reference system's load test. Places orders over many
 * connections, then asks every order answered 201 back. `--help` tells all.
 */
import { NodeHttpClient, NodeServices } from "@effect/platform-node";
import {
  Console,
  Duration,
  Effect,
  FileSystem,
  Layer,
  Option,
  Runtime,
} from "effect";
import { CliError, Command, Flag } from "effect/cli";
import { OrderClient } from "../src/client/OrderClient.ts";
import * as AskBack from "./AskBack.ts";
import * as LoadReport from "./LoadReport.ts";
import * as OrderLoad from "./OrderLoad.ts";
import * as Progress from "./Progress.ts";
import * as Service from "./Service.ts";

const count = (name: string) =>
  Flag.Int(name).pipe(
    Flag.filter(
      (given) => given >= 1,
      () => "a number from 1 on",
    ),
  );

const flags = {
  url: Service.url,
  key: Service.key,
  connections: count("connections").pipe(
    Flag.withDescription("Connections, each with one order under way (1000)"),
    Flag.withDefault(1000),
  ),
  duration: count("duration").pipe(
    Flag.withDescription("Seconds to place orders for (30)"),
    Flag.withDefault(30),
  ),
  rate: count("rate").pipe(
    Flag.withDescription("Orders a second; as fast as can be if not given"),
    Flag.map((rate): number | undefined => rate),
    Flag.withDefault(undefined),
  ),
  wait: Flag.Boolean("wait").pipe(
    Flag.withDescription("Wait until every order answered 201 is COMPLETED"),
    Flag.withDefault(false),
  ),
  waitLimit: count("wait-limit").pipe(
    Flag.withDescription("Seconds to wait for that at most (600)"),
    Flag.withDefault(600),
  ),
  json: Flag.File("json").pipe(
    Flag.withDescription("Write the result to this file as JSON"),
    Flag.optional,
  ),
  csv: Flag.File("csv").pipe(
    Flag.withDescription("Write the result to this file as CSV"),
    Flag.optional,
  ),
};

/**
 * Ctrl-C ends the load early, and a later one everything. What comes within a
 * second is the same one: npm passes it on to whom the terminal told already.
 */
const stopOnSignal = Effect.sync(() => {
  const stop = new AbortController();
  let first: number | undefined;
  process.on("SIGINT", () => {
    first ??= performance.now();
    if (performance.now() - first > 1000) process.exit(130);
    stop.abort();
  });
  return stop.signal;
});

const load = Command.make(
  "load",
  flags,
  Effect.fn(function* (given) {
    // A connection sends one order a second at the least.
    const connections = Math.min(given.connections, given.rate ?? Infinity);
    const options = { ...given, connections };
    yield* Service.ready(options.url);
    const stop = yield* stopOnSignal;
    const progress = Progress.make();

    const placed = yield* OrderLoad.run({
      ...options,
      durationSeconds: options.duration,
      stop,
      onSecond: secondsTeller(options.duration, progress),
    });
    progress.end();
    yield* Console.log(LoadReport.loadText(options, placed));

    const askedBack = yield* AskBack.run(placed.takenIn, {
      url: options.url,
      key: options.key,
      wait: options.wait ? Duration.seconds(options.waitLimit) : undefined,
      onProgress: (soFar) => progress.tell(askBackLine(soFar)),
    });
    progress.end();
    const report = LoadReport.make(options, placed, askedBack);
    yield* Console.log(LoadReport.askedBackText(report));

    yield* write(options.json, `${JSON.stringify(report, null, 2)}\n`);
    yield* write(options.csv, LoadReport.toCsv(report));
    if (report.faults.length > 0) {
      return yield* new CliError.UserError({
        cause: `The load test failed: ${report.faults.join("; ")}.`,
      });
    }
    yield* Console.log(
      `\nPassed: every order answered 201 is ${options.wait ? "COMPLETED" : "there"}.`,
    );
  }),
).pipe(
  Command.provide(({ key, url }) => OrderClient.layer({ baseUrl: url, key })),
  Command.withDescription(
    "Places orders over many connections, as the reference system's load test does, then asks every order answered 201 back from the service. Fails when one is missing, and when any order was answered otherwise or not at all. Ctrl-C ends the load early; the orders are asked back all the same.",
  ),
);

const secondsTeller = (duration: number, progress: Progress.Progress) => {
  let seconds = 0;
  let before = 0;
  return ({ answers, unanswered }: OrderLoad.OrderCounts) => {
    seconds += 1;
    const takenIn = answers[201] ?? 0;
    const others = Object.values(answers).reduce((a, b) => a + b, 0) - takenIn;
    progress.tell(
      `${seconds}/${duration} s: ${takenIn - before} orders/s, ${takenIn} taken in, ${others} answered otherwise, ${unanswered} not answered`,
    );
    before = takenIn;
  };
};

const askBackLine = ({ asked, findings }: AskBack.AskedBack) => {
  const settled = Object.values(findings).reduce((a, b) => a + b, 0);
  return `asked back: ${settled} of ${asked} settled, ${findings.COMPLETED} COMPLETED, ${findings.MISSING} missing, ${findings.UNKNOWN} not answered`;
};

const write = (file: Option.Option<string>, text: string) =>
  Effect.gen(function* () {
    if (Option.isNone(file)) return;
    const fs = yield* FileSystem.FileSystem;
    yield* fs.writeFileString(file.value, text);
  });

/** Runs without the signals of `NodeRuntime.runMain`, which would end it all. */
const runMain = Runtime.makeRunMain(({ fiber, teardown }) =>
  fiber.addObserver((exit) => teardown(exit, (code) => process.exit(code))),
);

Command.run(load, { version: "0.1.0" }).pipe(
  Effect.provide(
    Layer.mergeAll(NodeServices.layer, NodeHttpClient.layerUndici),
  ),
  runMain,
);
