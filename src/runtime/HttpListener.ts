/**
 * The HTTP server of every runtime: `node:http`, which Deno has too. Whoever
 * sends slowly is cut off, and what is no request is answered with a problem.
 */
import { createServer, maxHeaderSize } from "node:http";
import type { Duplex } from "node:stream";
import { NodeHttpServer } from "@effect/platform-node";
import { Effect, Layer } from "effect";
import { cannotListen, type HttpServerOptions } from "./Runtime.ts";

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
    `HTTP/1.1 ${status} ${title}\r\nConnection: close\r\nContent-Type: application/problem+json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
};

export const layer = ({
  host,
  isShared,
  port,
  shutdownTimeout,
}: HttpServerOptions) =>
  NodeHttpServer.layer(
    () =>
      createServer({
        headersTimeout: headersSeconds * 1000,
        requestTimeout: requestSeconds * 1000,
        connectionsCheckingInterval: 5_000,
        keepAliveTimeout: 65_000,
      }).on("clientError", refuse),
    {
      host,
      port,
      reusePort: isShared,
      gracefulShutdownTimeout: shutdownTimeout,
      backlog: 4096,
    },
  ).pipe(
    Layer.catch((error) =>
      Layer.effectContext(
        Effect.fail(cannotListen({ host, port }, error.cause)),
      ),
    ),
  );
