/**
 * Limits on connections: their number, the unanswered requests of one, and how
 * long a caller may leave an answer unread. What a caller does not read stays
 * in memory here.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

export interface ConnectionLimits {
  /** Connections open at once, over all sockets the server listens on. */
  readonly connectionsMax: number;
  /**
   * An answer of which nothing is taken for so long, or up to twice as long, is
   * given up with its connection.
   */
  readonly stallMillis: number;
  /** Whether a request is passed on; if not, it has been answered. */
  readonly admits: (
    request: IncomingMessage,
    response: ServerResponse,
  ) => boolean;
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

/**
 * Requests of one connection that wait behind the one being answered. Node
 * parses all that a caller sends ahead (pipelining), and each request would be
 * worked on at once.
 */
const pipelinedMax = 16;

/** How many requests of a connection wait behind the one being answered. */
const pipelined = new WeakMap<Socket, number>();

/**
 * Whether to work on a request now. Beyond the limit the connection ends once
 * the requests before this one are answered. A caller has to send the others
 * again, as after any close (RFC 9112, 9.3.2).
 */
const isAdmitted = (
  { socket }: IncomingMessage,
  response: ServerResponse,
): boolean => {
  // A response has the socket when it is its turn, which is nearly always.
  if (response.socket !== null) return true;
  const waiting = pipelined.get(socket) ?? 0;
  if (waiting > pipelinedMax) return false;
  pipelined.set(socket, waiting + 1);
  if (waiting === pipelinedMax) {
    socket.pause();
    // Its turn comes when all answers before it are sent.
    response.once("socket", () => socket.destroySoon());
    return false;
  }
  response.once("close", () => {
    const left = pipelined.get(socket) ?? 0;
    if (left <= pipelinedMax) pipelined.set(socket, left - 1);
  });
  return true;
};

/** Passes on the requests that `admits` admits. */
const filterRequests = (
  server: Server,
  admits: (request: IncomingMessage, response: ServerResponse) => boolean,
) => {
  const emit = server.emit.bind(server) as (
    event: string,
    ...args: ReadonlyArray<unknown>
  ) => boolean;
  Object.assign(server, {
    emit: (event: string, ...args: ReadonlyArray<unknown>) => {
      const isRequest = event === "request" || event === "checkContinue";
      return isRequest &&
        !admits(args[0] as IncomingMessage, args[1] as ServerResponse)
        ? true
        : emit(event, ...args);
    },
  });
};

/**
 * Without a listener for `upgrade` Node reads a request with `Upgrade` like any
 * other, and all time limits hold for it. A server may ignore `Upgrade` (RFC
 * 9110, 7.8): this service speaks no other protocol. `shouldUpgradeCallback`
 * does the same, but only since Node 24.9.
 */
const ignoreUpgrades = (server: Server) => {
  const on = server.on.bind(server) as (
    event: string,
    listener: () => void,
  ) => Server;
  Object.assign(server, {
    on: (event: string, listener: () => void) =>
      event === "upgrade" ? server : on(event, listener),
  });
};

export const apply = <S extends Server>(
  server: S,
  limits: ConnectionLimits,
): S => {
  ignoreUpgrades(server);
  filterRequests(
    server,
    (request, response) =>
      isAdmitted(request, response) && limits.admits(request, response),
  );
  limitConnections(server, limits);
  cutOffStalled(server, limits);
  return server;
};
