/**
 * Clients that send what they are told to, and then nothing more; they read
 * nothing either. Says how many were still connected after a time.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { given, tell } from "./processes.ts";

export interface RawClients {
  readonly url: string;
  readonly clients: number;
  /** What each sends, and so many bytes of filling behind it. */
  readonly text: string;
  readonly fillBytes: number;
  readonly seconds: number;
}

const { clients, fillBytes, seconds, text, url } = given<RawClients>();
const { hostname, port } = new URL(url);
const filling = Buffer.alloc(fillBytes, "x");

const sockets: Array<Socket> = [];
let open = 0;
for (let client = 0; client < clients; client += 1) {
  const socket = connect({ host: hostname, port: Number(port) });
  sockets.push(socket);
  // Told of an end by the next write alone, as long as it reads nothing.
  socket.on("error", () => {});
  await once(socket, "connect");
  open += 1;
  socket.once("close", () => {
    open -= 1;
  });
  socket.pause();
  socket.write(text);
  socket.write(filling);
}
await setTimeout(seconds * 1000);
// What was cut off has an end behind what is there to be read.
for (const socket of sockets) socket.resume();
await setTimeout(1_000);
tell(open);
for (const socket of sockets) socket.destroy();
process.disconnect();
