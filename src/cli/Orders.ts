/** The `orders` command: what it is made of, and how it ends. */
import {
  Cause,
  ConfigProvider,
  Effect,
  FileSystem,
  Layer,
  Path,
  Stdio,
  Terminal,
} from "effect";
import { CliConfig, CliOutput, Command, GlobalFlag } from "effect/cli";
import { ChildProcessSpawner } from "effect/process";
import { version } from "../domain/Version.ts";
import { events, watch } from "./EventsCommands.ts";
import { exportOrders } from "./ExportCommand.ts";
import { exitCodes, failureOf } from "./Failures.ts";
import { importOrders } from "./ImportCommand.ts";
import { keys } from "./KeysCommands.ts";
import { Machine } from "./Machine.ts";
import { cancel, retry } from "./OperateCommands.ts";
import { place } from "./PlaceCommand.ts";
import { processing } from "./ProcessingCommands.ts";
import { get, list, metrics } from "./ReadCommands.ts";
import { mayColour } from "./Results.ts";
import { safeText } from "./SafeText.ts";
import { globalFlags, urlDefault } from "./Settings.ts";

const command = Command.make("orders").pipe(
  Command.withDescription(
    "Places and follows orders, and does what their operators do. Exit codes: 0 done, 1 refused or failed, 2 used wrongly, 4 not allowed, 130 interrupted.",
  ),
  Command.withSubcommands([
    place,
    get,
    list,
    watch,
    cancel,
    retry,
    importOrders,
    exportOrders,
    metrics,
    events,
    keys,
    processing,
  ]),
  Command.withGlobalFlags(globalFlags),
  Command.withExamples([
    {
      command: "orders list --status FAILED",
      description: `Asks ${urlDefault}, or what ORDERS_URL says`,
    },
    {
      command: "orders list --url https://orders.example.com",
      description: "With the key in ORDERS_KEY",
    },
    {
      command: "source <(orders --completions bash)",
      description: "Completions, also for zsh and fish",
    },
  ]),
);

/** To standard output, as long as somebody reads it. */
const say = (machine: Machine["Service"], text: string) =>
  Effect.ignore(machine.write(`${text}\n`));

/** What was typed wrongly, in one line each, and where to read on. */
const presenter = (machine: Machine["Service"]): CliOutput.Presenter => ({
  present: (event) => {
    if (event._tag === "InvalidInvocation") {
      const faults = event.errors.map(({ message }) =>
        safeText(message.replace(/\s*\n\s*/g, " ")),
      );
      return machine.tell(
        `${faults.join("\n")}\nSee: ${event.commandPath.join(" ")} --help\n`,
      );
    }
    if (event._tag === "Version") {
      return say(machine, `${event.name} ${event.version}`);
    }
    // Which of its commands was not said: help, but nothing was done.
    const isAsked = event.reason === "Requested";
    const formatter = CliOutput.defaultFormatter({
      colors: isAsked && mayColour(machine),
    });
    const help = formatter.formatHelpDoc(event.helpDoc);
    return isAsked ? say(machine, help) : machine.tell(`${help}\n`);
  },
});

/**
 * What `effect/cli` asks for beside the machine. No flag of this command looks
 * at files while it is parsed, none is asked for by a prompt, and nothing is
 * started: what would do so is not there.
 */
const environment = (machine: Machine["Service"]) =>
  Layer.mergeAll(
    Layer.succeed(Machine, machine),
    CliConfig.layer({
      builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions],
    }),
    CliOutput.layerPresenter(presenter(machine)),
    ConfigProvider.layer(
      ConfigProvider.fromUnknown({
        ORDERS_URL: machine.env("ORDERS_URL"),
        ORDERS_KEY: machine.env("ORDERS_KEY"),
      }),
    ),
    FileSystem.layerNoop({}),
    Path.layer,
    Stdio.layerTest({
      args: Effect.succeed(machine.args),
      stdinIsTerminal: Effect.succeed(machine.stdinIsTerminal),
      stdoutIsTerminal: Effect.succeed(machine.stdoutIsTerminal),
      stderrIsTerminal: Effect.succeed(machine.stderrIsTerminal),
    }),
    Layer.succeed(
      Terminal.Terminal,
      Terminal.make({
        columns: machine.columns,
        rows: Effect.succeed(24),
        size: Effect.die("no prompts here"),
        readInput: Effect.die("no prompts here"),
        readLine: Effect.die("no prompts here"),
        display: machine.tell,
      }),
    ),
    Layer.succeed(
      ChildProcessSpawner.ChildProcessSpawner,
      ChildProcessSpawner.make(() => Effect.die("starts nothing")),
    ),
  );

/** Where the service was looked for, as far as that can be said afterwards. */
const urlOf = ({ args, env }: Machine["Service"]): string => {
  const index = args.findLastIndex((arg) => /^--url(=|$)/.test(arg));
  const given = args[index]?.startsWith("--url=")
    ? args[index].slice("--url=".length)
    : args[index + 1];
  return (index === -1 ? undefined : given) ?? env("ORDERS_URL") ?? urlDefault;
};

/** Does what the machine's arguments say; gives the exit code. */
export const orders = (machine: Machine["Service"]): Effect.Effect<number> =>
  Command.runWith(command, { version, renderErrors: true })(machine.args).pipe(
    Effect.as(exitCodes.done),
    Effect.catchCause((cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt;
      // Whoever read the output has seen enough.
      const error = Cause.squash(cause);
      if ((error as { _tag?: string } | null)?._tag === "OutputClosed") {
        return Effect.succeed(exitCodes.done);
      }
      const { exitCode, message } = failureOf(cause, urlOf(machine));
      return Effect.as(
        message === "" ? Effect.void : machine.tell(`${message}\n`),
        exitCode,
      );
    }),
    Effect.provide(environment(machine)),
  );
