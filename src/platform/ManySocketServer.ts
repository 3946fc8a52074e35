/**
 * Node's HTTP server behind several listening sockets on one port.
 *
 * Node accepts one connection a socket each time round its event loop, as libuv
 * does not accept in a loop. With a thousand busy connections once round takes a
 * tenth of a second, and who is new waits in line until they give up: 300 of a
 * thousand callers did, in 15 s of overload. The kernel spreads what comes in
 * over the sockets of a port, so each is one more a round.
 */
import { Server as HttpServer, type ServerOptions } from "node:http";
import { createServer, type ListenOptions, type Server } from "node:net";

/** Connections accepted each time round. */
const socketCount = 16;

export class ManySocketServer extends HttpServer {
  readonly #further: Array<Server> = [];

  /** @param options.listen how this server is going to be told to listen */
  constructor({
    listen,
    ...options
  }: ServerOptions & { readonly listen: ListenOptions }) {
    super(options);
    this.once("listening", () => {
      for (let socket = 1; socket < socketCount; socket += 1) {
        this.#listenToo(listen);
      }
    });
  }

  #listenToo(listen: ListenOptions) {
    const server = createServer(
      // As an HTTP server sets its own connections up.
      { allowHalfOpen: true, noDelay: true },
      (connection) => this.emit("connection", connection),
    );
    // Without it there is one connection a round less, and nothing else.
    server.on("error", () => server.close());
    server.listen(listen);
    this.#further.push(server);
  }

  /** Calls back when the last connection of any socket has ended. */
  override close(closed?: (error?: Error) => void): this {
    const further = this.#further
      .splice(0)
      .map(
        (server) =>
          new Promise<void>((resolve) => server.close(() => resolve())),
      );
    return super.close((error) => {
      void Promise.all(further).then(() => closed?.(error));
    });
  }
}
