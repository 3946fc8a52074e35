/** Node.js. */
import { hostname } from "node:os";
import { NodeServices } from "@effect/platform-node";
import * as ConsoleFiles from "./ConsoleFiles.ts";
import * as Embedded from "./Embedded.ts";
import * as HttpListener from "./HttpListener.ts";
import { logOutput } from "./LogOutput.ts";
import * as NodeBodyChunks from "./NodeBodyChunks.ts";
import * as NodeInstances from "./NodeInstances.ts";
import * as Postgres from "./Postgres.ts";
import * as PrivateAddresses from "./PrivateAddresses.ts";
import * as ReceiverClient from "./ReceiverClient.ts";
import type { Runtime } from "./Runtime.ts";

export const node: Runtime = {
  args: process.argv.slice(2),
  instances: NodeInstances.instances,
  services: NodeServices.layer,
  httpServer: HttpListener.layer,
  readChunks: NodeBodyChunks.read,
  postgres: Postgres.layer,
  embedded: Embedded.layer,
  httpClientTo: ReceiverClient.layer,
  isPrivateHost: PrivateAddresses.isPrivateHost,
  consoleFiles: ConsoleFiles.read,
  hostname,
  processId: process.pid,
  logOutput,
  isTerminal: process.stdout.isTTY === true,
};
