/**
 * Answers batches as the service does, but only some of them until it is told
 * to: so that an import is certainly under way when something is done to it.
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

const linesOf = async (request: IncomingMessage) => {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return text.split("\n").filter((line) => line !== "");
};

export interface HeldService {
  readonly url: string;
  /** The ids of all orders that it was sent, in their order. */
  readonly sent: ReadonlyArray<string>;
  /** Resolves once a batch is held. */
  readonly held: Promise<void>;
  /** Answers what is held, and all that comes. */
  readonly release: () => void;
  readonly close: () => void;
}

/** @param batches so many are answered at once */
export const heldService = async (batches: number): Promise<HeldService> => {
  const sent: Array<string> = [];
  const released = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  let count = 0;
  const server = createServer(async (request, response) => {
    const ids = (await linesOf(request)).map(
      (line) => JSON.parse(line).order_id,
    );
    sent.push(...ids);
    count += 1;
    if (count > batches) {
      held.resolve();
      await released.promise;
    }
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify(ids.map((order_id) => ({ order_id, status: 201 }))),
    );
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    sent,
    held: held.promise,
    release: released.resolve,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
};
