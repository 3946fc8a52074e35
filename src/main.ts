import { NodeRuntime } from "@effect/platform-node";
import { Cause, Exit } from "effect";
import { run } from "./App.ts";

const runtime =
  "Deno" in globalThis
    ? (await import("./platform/deno.ts")).deno
    : (await import("./platform/node.ts")).node;

// Deno has Node's signals, too.
NodeRuntime.runMain(run(runtime), {
  disableErrorReporting: true,
  // Being told to stop, and having stopped in order, is no failure.
  teardown: (exit, onExit) =>
    onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1),
});
