/**
 * Deno, by what it has of Node: `node:http`, `node:net`, `node:sqlite`, files
 * and signals.
 *
 * `Deno.serve` was tried (2.9.5) and keeps the contract, too. But it never cuts
 * off who sends headers a byte at a time, and breaks off bodies that come in
 * chunks of a byte: of the two, only `node:http` passes the fuzz suite's slow
 * clients.
 */
import { NodeServices } from "@effect/platform-node";
import { Effect, Layer } from "effect";
import * as ConsoleFiles from "./ConsoleFiles.ts";
import * as Embedded from "./Embedded.ts";
import * as HttpListener from "./HttpListener.ts";
import * as NodeBodyChunks from "./NodeBodyChunks.ts";
import * as Postgres from "./Postgres.ts";
import * as PrivateAddresses from "./PrivateAddresses.ts";
import * as ReceiverClient from "./ReceiverClient.ts";
import {
  type HttpServerOptions,
  type PostgresOptions,
  type Runtime,
  StartFailed,
} from "./Runtime.ts";

/** What is used of Deno itself. */
declare const Deno: {
  readonly args: ReadonlyArray<string>;
  readonly pid: number;
  readonly hostname: () => string;
  readonly stdout: { readonly isTerminal: () => boolean };
  readonly permissions: {
    readonly querySync: (permission: {
      readonly name: "net";
      readonly host: string;
    }) => { readonly state: "granted" | "prompt" | "denied" };
  };
};

/** Without the permission to listen it would end with a stack trace. */
const httpServer = (options: HttpServerOptions) => {
  const host = `${options.host}:${options.port}`;
  return Deno.permissions.querySync({ name: "net", host }).state === "granted"
    ? HttpListener.layer(options)
    : Layer.effectContext(
        Effect.fail(
          new StartFailed({
            message: `Deno may not listen on ${host} (HOST, PORT): run it with --allow-net.`,
          }),
        ),
      );
};

/**
 * Statements do not share a connection here. The client (sql-pg 4.0.5) counts
 * on its microtasks being run before the next bytes are read, as on Node. On
 * Deno they may come after: a late one takes the answer to `BEGIN` away from
 * who waits for it, and that waits for ever (1 start in 40 on a busy machine).
 */
const postgres = (options: PostgresOptions) =>
  Postgres.layer(options, { multiplex: false });

/**
 * There is no `logOutput`: Deno's console outlives its reader. `process.stdout`
 * (2.9.5) fails with EAGAIN when a pipe is full, after a part of a line.
 */
export const deno: Runtime = {
  args: Deno.args,
  services: NodeServices.layer,
  httpServer,
  readChunks: NodeBodyChunks.read,
  postgres,
  embedded: Embedded.layer,
  httpClientTo: ReceiverClient.layer,
  isPrivateHost: PrivateAddresses.isPrivateHost,
  consoleFiles: ConsoleFiles.read,
  hostname: Deno.hostname,
  processId: Deno.pid,
  isTerminal: Deno.stdout.isTerminal(),
};
