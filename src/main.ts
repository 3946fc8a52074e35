import { NodeRuntime } from "@effect/platform-node";
import { Cause, Exit } from "effect";
import { run } from "./App.ts";
import { node } from "./runtime/node.ts";

NodeRuntime.runMain(run(node), {
  disableErrorReporting: true,
  // Being told to stop, and having stopped in order, is no failure.
  teardown: (exit, onExit) =>
    onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1),
});
