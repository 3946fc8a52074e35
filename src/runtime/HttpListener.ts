/**
 * The HTTP server of every runtime: `node:http`, which Deno has too. Whoever
 * sends slowly is cut off, and what is no request is answered with a problem.
 */
import { createServer, maxHeaderSize, type ServerOptions } from "node:http";
import type { ListenOptions } from "node:net";
import type { Duplex } from "node:stream";
import { NodeHttpServer } from "@effect/platform-node";
import { Effect, Layer } from "effect";
import { ManySocketServer } from "./ManySocketServer.ts";
import { cannotListen, type HttpServerOptions } from "./Runtime.ts";
import * as SharedPort from "./SharedPort.ts";

/** Clients that send more slowly are cut off. */
const headersSeconds = 10;
const requestSeconds = 30;

/** Says what the parser could not make a request of, as a problem too. */
const refuse = (error: NodeJS.ErrnoException, socket: Duplex) => {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const [status, title, detail] =
    error.code === "HPE_HEADER_OVERFLOW"
      ? [
          431,
          "Request Header Fields Too Large",
          `The request line and the headers may be ${maxHeaderSize} bytes together.`,
        ]
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? [
            408,
            "Request Timeout",
            `The headers must be here within ${headersSeconds} s, and the whole request within ${requestSeconds} s.`,
          ]
        : [400, "Bad Request", "This is not a request of HTTP/1.1."];
  const body = JSON.stringify({ type: "about:blank", status, title, detail });
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\nConnection: close\r\nContent-Type: application/problem+json\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
};

/** Where sockets can share a port, and the kernel spreads what comes in. */
const canShare =
  process.platform === "linux" && process.versions.deno === undefined;

const serverOptions: ServerOptions = {
  headersTimeout: headersSeconds * 1000,
  requestTimeout: requestSeconds * 1000,
  connectionsCheckingInterval: 5_000,
  keepAliveTimeout: 65_000,
};

const make = (listen: ListenOptions) =>
  (canShare
    ? new ManySocketServer({ ...serverOptions, listen })
    : createServer(serverOptions)
  ).on("clientError", refuse);

export const layer = (options: HttpServerOptions) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { host, isShared, shutdownTimeout } = options;
      const port =
        isShared || !canShare
          ? options.port
          : yield* SharedPort.choose(options);
      const listen = {
        host,
        port,
        reusePort: isShared || canShare,
        backlog: 4096,
      };
      return NodeHttpServer.layer(() => make(listen), {
        ...listen,
        gracefulShutdownTimeout: shutdownTimeout,
      }).pipe(
        Layer.catch((error) =>
          Layer.effectContext(
            Effect.fail(cannotListen({ host, port }, error.cause)),
          ),
        ),
      );
    }),
  );
