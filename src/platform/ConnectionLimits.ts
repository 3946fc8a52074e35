/**
 * What connections may cost: there are only so many, and one whose answer is
 * not read is cut off. What a caller does not read stays in memory here.
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";

export interface ConnectionLimits {
  /** Connections open at once, over all sockets the server listens on. */
  readonly connectionsMax: number;
  /**
   * An answer of which nothing is taken for so long, or up to twice as long, is
   * given up with its connection.
   */
  readonly stallMillis: number;
  /** Told of each connection that is one too many. */
  readonly onRefused: () => void;
}

const retryAfterSeconds = 5;

/** In one piece and made once: it is sent when there is much else to do. */
const refusal = (() => {
  const body = JSON.stringify({
    type: "urn:order-service:unavailable",
    status: 503,
    title: "The service cannot answer now",
    detail: `There are as many connections as there may be: ask again in ${retryAfterSeconds} s.`,
    retry_after_seconds: retryAfterSeconds,
  });
  return `HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: ${retryAfterSeconds}\r\nContent-Type: application/problem+json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
})();

const refuse = (socket: Socket) => {
  socket.on("error", () => {});
  socket.end(refusal);
  socket.destroySoon();
};

/** Node's own `maxConnections` counts for each listening socket by itself. */
const limitConnections = (
  server: Server,
  { connectionsMax, onRefused }: ConnectionLimits,
) => {
  const accept = server.listeners("connection");
  server.removeAllListeners("connection");
  let open = 0;
  server.on("connection", (socket) => {
    if (open >= connectionsMax) {
      refuse(socket);
      onRefused();
      return;
    }
    open += 1;
    socket.once("close", () => {
      open -= 1;
    });
    for (const listener of accept) listener.call(server, socket);
  });
};

/**
 * Node tells of a socket on which nothing happened: nothing came, and of what
 * is under way the kernel took nothing. That is a caller who waits for an
 * answer, or a connection at rest (with a time of its own, `keepAliveTimeout`),
 * or a reader who has stalled.
 */
const cutOffStalled = (server: Server, { stallMillis }: ConnectionLimits) => {
  server.timeout = stallMillis;
  server.on("timeout", (socket) => {
    const isWaiting =
      socket.writableLength === 0 && socket.timeout === stallMillis;
    if (isWaiting) socket.setTimeout(stallMillis);
    else socket.destroy();
  });
};

export const apply = <S extends Server>(
  server: S,
  limits: ConnectionLimits,
): S => {
  limitConnections(server, limits);
  cutOffStalled(server, limits);
  return server;
};
