import { once } from "node:events";
import { get } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { setImmediate as nextRound } from "node:timers/promises";
import { afterEach, assert, describe, it } from "vitest";
import { ManySocketServer } from "../../src/platform/ManySocketServer.ts";
import { freePort } from "../support/postgresServer.ts";

describe.runIf(process.platform === "linux")("a server of many sockets", () => {
  let server: ManySocketServer;
  const callers: Array<Socket> = [];

  const start = async () => {
    const listen = {
      host: "127.0.0.1",
      port: await freePort(),
      reusePort: true,
    };
    server = new ManySocketServer({ listen });
    server.on("request", (_, response) => response.end("here"));
    server.listen(listen);
    await once(server, "listening");
    // The further sockets listen a moment later.
    await nextRound();
    return server.address() as AddressInfo;
  };

  afterEach(() => {
    for (const caller of callers.splice(0)) caller.destroy();
    server.close();
  });

  it("accepts many connections each time round the event loop", async () => {
    const { address, port } = await start();
    let accepted = 0;
    server.on("connection", () => {
      accepted += 1;
    });
    const count = 200;
    const connected = Array.from({ length: count }, () => {
      const caller = connect(port, address);
      callers.push(caller);
      return once(caller, "connect");
    });
    let rounds = 0;
    while (accepted < count) {
      await nextRound();
      rounds += 1;
    }
    await Promise.all(connected);
    // One a round would take as many rounds as there are callers.
    assert.isBelow(rounds, count / 2);
  });

  it("answers on all of them, and closes when all are answered", async () => {
    const { port } = await start();
    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const request = get({ port, host: "127.0.0.1", agent: false });
        const [response] = await once(request, "response");
        response.resume();
        await once(response, "end");
        return response.statusCode as number;
      }),
    );
    assert.deepStrictEqual(new Set(answers), new Set([200]));
    await new Promise((closed) => server.close(closed));
    const late = connect(port, "127.0.0.1");
    const [error] = await once(late, "error");
    assert.strictEqual(error.code, "ECONNREFUSED");
  });
});
