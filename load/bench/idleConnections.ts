/**
 * Clients that keep their connections and say nothing: each has had one answer.
 * They come from several addresses, as one has not ports enough for many.
 */
import { connect, type Socket } from "node:net";
import { given, tell } from "./processes.ts";

export interface IdleConnections {
  readonly url: string;
  readonly connections: number;
}

/** Connections made at once, and connections from one address. */
const step = 200;
const perAddress = 5_000;

const { connections, url } = given<IdleConnections>();
const { hostname, port } = new URL(url);
const sockets: Array<Socket> = [];

const open = (index: number) =>
  new Promise<void>((resolve, reject) => {
    const socket = connect({
      host: hostname,
      port: Number(port),
      localAddress: `127.0.0.${2 + Math.floor(index / perAddress)}`,
    });
    sockets.push(socket);
    socket.once("error", reject);
    socket.once("data", () => resolve());
    socket.write("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  });

for (let from = 0; from < connections; from += step) {
  const until = Math.min(connections, from + step);
  await Promise.all(
    Array.from({ length: until - from }, (_, index) => open(from + index)),
  );
}
tell(sockets.filter((socket) => !socket.destroyed).length);
process.once("message", () => process.exit(0));
