import { NodeRuntime } from "@effect/platform-node";
import { run } from "./App.ts";
import { node } from "./runtime/node.ts";

NodeRuntime.runMain(run(node), { disableErrorReporting: true });
