/**
 * Clients that ask for a long list and read of the answer next to nothing: a
 * few bytes a second, so that none of them is idle.
 */
import { connect, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { given, tell } from "./processes.ts";

export interface SlowReaders {
  readonly url: string;
  readonly path: string;
  readonly clients: number;
  readonly seconds: number;
}

/** What the kernel takes for a client that reads nothing. */
const readAheadBytes = 4_096;

const { clients, path, seconds, url } = given<SlowReaders>();
const { hostname, port } = new URL(url);

const ask = () =>
  new Promise<Socket>((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.once("error", reject);
    // Read by hand, and no further than asked for.
    socket.once("readable", () => resolve(socket));
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  });

const sockets: Array<Socket> = [];
for (let client = 0; client < clients; client += 1) sockets.push(await ask());
for (let second = 0; second < seconds; second += 1) {
  await setTimeout(1_000);
  for (const socket of sockets) socket.read(readAheadBytes);
}
tell(sockets.filter((socket) => !socket.destroyed).length);
for (const socket of sockets) socket.destroy();
process.disconnect();
