/**
 * The HTTP server of every runtime: `node:http`, which Deno has too. Whoever
 * sends slowly is cut off, and who does not read; what is no request is answered
 * with a problem.
 */
import {
  createServer,
  type IncomingMessage,
  maxHeaderSize,
  type ServerOptions,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { ListenOptions } from "node:net";
import type { Duplex } from "node:stream";
import { NodeHttpServer } from "@effect/platform-node";
import { Duration, Effect, Layer, Queue } from "effect";
import * as ConnectionLimits from "./ConnectionLimits.ts";
import { ManySocketServer } from "./ManySocketServer.ts";
import { cannotListen, type HttpServerOptions } from "./Runtime.ts";
import * as SharedPort from "./SharedPort.ts";

/** Clients that send more slowly are cut off. */
const headersSeconds = 10;
const requestSeconds = 30;

/** A connection at rest takes 12 KiB: together, a third of what a process has. */
export const connectionsMax = 12_000;

/**
 * Deno does not tell how much of an answer was taken, only when it was all: there
 * it takes longer to be sure that a reader has stalled, and is not only slow.
 */
const stallSeconds = process.versions.deno === undefined ? 15 : 60;

/** How often it is said that connections are refused. */
const refusedInterval = Duration.minutes(1);

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

/** What HTTP/1.1 forbids and Node accepts: its status, and what to do. */
const faultOf = ({
  headers,
  rawHeaders,
}: IncomingMessage): readonly [number, string] | undefined => {
  const encoding = headers["transfer-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "chunked") {
    return [
      501,
      `The body comes with "Transfer-Encoding: ${encoding}". Send it as it is, with "Transfer-Encoding: chunked" or a Content-Length.`,
    ];
  }
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === 4 && name.toLowerCase() === "host") hosts += 1;
  }
  return hosts > 1
    ? [400, "There is more than one Host header. Send one (RFC 9112, 3.2)."]
    : undefined;
};

const admits = (request: IncomingMessage, response: ServerResponse) => {
  const fault = faultOf(request);
  if (fault === undefined) return true;
  const [status, detail] = fault;
  response
    .writeHead(status, {
      connection: "close",
      "content-type": "application/problem+json",
      "x-content-type-options": "nosniff",
    })
    .end(
      JSON.stringify({
        type: "about:blank",
        status,
        title: STATUS_CODES[status],
        detail,
      }),
    );
  return false;
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

const make = (listen: ListenOptions, onRefused: () => void) =>
  ConnectionLimits.apply(
    canShare
      ? new ManySocketServer({ ...serverOptions, listen })
      : createServer(serverOptions),
    { connectionsMax, stallMillis: stallSeconds * 1000, admits, onRefused },
  ).on("clientError", refuse);

/** Says at once that connections are refused, and then once in a while. */
const makeRefusalLog = Effect.gen(function* () {
  const wake = yield* Queue.sliding<void>(1);
  let refused = 0;
  yield* Queue.take(wake).pipe(
    Effect.andThen(
      Effect.suspend(() => {
        const connections = refused;
        refused = 0;
        return Effect.logWarning(
          `connections are refused, as ${connectionsMax} are open`,
          { refused: connections },
        );
      }),
    ),
    Effect.andThen(Effect.sleep(refusedInterval)),
    Effect.forever,
    Effect.forkScoped,
  );
  return () => {
    refused += 1;
    Queue.offerUnsafe(wake, undefined);
  };
});

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
      const onRefused = yield* makeRefusalLog;
      return NodeHttpServer.layer(() => make(listen, onRefused), {
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
