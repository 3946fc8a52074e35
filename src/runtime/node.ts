/** Node.js. */
import { createServer } from "node:http";
import { hostname } from "node:os";
import { NodeHttpServer, NodeServices } from "@effect/platform-node";
import { Effect, Layer } from "effect";
import * as Embedded from "./Embedded.ts";
import * as Postgres from "./Postgres.ts";
import { type Runtime, StartFailed } from "./Runtime.ts";

export const node: Runtime = {
  services: NodeServices.layer,
  httpServer: ({ host, port, shutdownTimeout }) =>
    NodeHttpServer.layer(
      () =>
        createServer({
          // Slow clients are cut off: 10 s for the headers, 30 s for it all.
          headersTimeout: 10_000,
          requestTimeout: 30_000,
          connectionsCheckingInterval: 5_000,
          keepAliveTimeout: 65_000,
        }),
      { host, port, gracefulShutdownTimeout: shutdownTimeout, backlog: 4096 },
    ).pipe(
      Layer.catch((error) =>
        Layer.effectContext(
          Effect.fail(
            new StartFailed({
              message: `Cannot listen on ${host}:${port} (HOST, PORT): ${
                error.cause instanceof Error
                  ? error.cause.message
                  : String(error.cause)
              }`,
            }),
          ),
        ),
      ),
    ),
  postgres: Postgres.layer,
  embedded: Embedded.layer,
  hostname: hostname(),
  processId: process.pid,
  isTerminal: process.stdout.isTTY === true,
};
