/**
 * A receiver of the fulfilment webhook that does with an order what its first
 * item says, so that a test can bring an order into any status.
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What becomes of an order; any other item is fulfilled at once. */
export type Outcome =
  /** The attempt does not end before the receiver stops. */
  | "hold"
  /** The attempt fails, and another is due in an hour. */
  | "later"
  /** The first attempt is refused for good; the next one succeeds. */
  | "refuse-once";

/** The settings of a service that works with the receiver. */
export const receiverSettings = { RETRY_BASE: "2 hours", RETRY_CAP: "2 hours" };

export const startReceiver = async () => {
  const held = new Set<ServerResponse>();
  const refused = new Set<string>();
  // Not every runtime gives a connection up when it is no longer used.
  const server = createServer(
    { keepAliveTimeout: 1000 },
    (request, response) => {
      const chunks: Array<Buffer> = [];
      request.on("data", (chunk) => chunks.push(chunk));
      request.on("end", () => {
        const order = JSON.parse(Buffer.concat(chunks).toString("utf8"));
        const outcome = order.item_ids[0] as Outcome;
        if (outcome === "hold") return void held.add(response);
        if (outcome === "later") return void response.writeHead(500).end();
        if (outcome === "refuse-once" && !refused.has(order.order_id)) {
          refused.add(order.order_id);
          return void response.writeHead(422).end("not deliverable");
        }
        response.writeHead(200).end();
      });
    },
  );
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve()),
  );
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    stop: async () => {
      for (const response of held) {
        response.writeHead(200, { connection: "close" }).end();
      }
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
};
