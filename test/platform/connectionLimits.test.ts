import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, assert, describe, it } from "vitest";
import * as ConnectionLimits from "../../src/platform/ConnectionLimits.ts";
import { ManySocketServer } from "../../src/platform/ManySocketServer.ts";
import { freePort } from "../support/postgresServer.ts";

/** More than a kernel takes for a reader who reads nothing. */
const large = Buffer.alloc(32 * 2 ** 20, "x");

const stallMillis = 200;

const kinds = ["one socket", "many sockets"].filter(
  (kind) => kind === "one socket" || process.platform === "linux",
);

describe.each(kinds)("a server of %s with limits on connections", (kind) => {
  let server: Server;
  let refused = 0;
  /** Requests that were worked on. */
  let worked = 0;
  const callers: Array<Socket> = [];
  /** Answers that are not given until a test says so. */
  let answerNow: () => void = () => {};

  const start = async (
    limits: Partial<ConnectionLimits.ConnectionLimits> = {},
  ) => {
    const listen = {
      host: "127.0.0.1",
      port: await freePort(),
      reusePort: kind === "many sockets",
    };
    const options = { keepAliveTimeout: 60_000 };
    server = ConnectionLimits.apply(
      kind === "many sockets"
        ? new ManySocketServer({ ...options, listen })
        : createServer(options),
      {
        connectionsMax: 100,
        stallMillis,
        admits: () => true,
        onRefused: () => {
          refused += 1;
        },
        ...limits,
      },
    );
    server.on("request", (request, response) => {
      const { url } = request;
      if (url === "/echo") {
        request.pipe(response);
        return;
      }
      worked += 1;
      if (url === "/later") answerNow = () => response.end("at last");
      else response.end(url === "/large" ? large : "here");
    });
    server.listen(listen);
    await once(server, "listening");
    return server.address() as AddressInfo;
  };

  const open = async ({ address, port }: AddressInfo) => {
    const caller = connect(port, address);
    callers.push(caller);
    caller.on("error", () => {});
    await once(caller, "connect");
    return caller;
  };

  const ask = (caller: Socket, path: string, times = 1) =>
    caller.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(times));

  const accepted = () =>
    once(server, "connection") as Promise<[connection: Socket]>;

  afterEach(() => {
    refused = 0;
    worked = 0;
    for (const caller of callers.splice(0)) caller.destroy();
    server.close();
  });

  it("cuts off who asks for much and reads nothing", async () => {
    const at = await start();
    const connected = accepted();
    const caller = await open(at);
    caller.pause();
    ask(caller, "/large", 5);
    const [connection] = await connected;
    // Given what it was written, it would stay open for ever.
    await once(connection, "close");
    assert.isTrue(connection.destroyed);
  });

  /** A caller who waits for an answer, while nothing happens for some times. */
  const waitOut = async (at: AddressInfo, times: number) => {
    const late = await open(at);
    ask(late, "/later");
    for (let time = 0; time < times; time += 1) await once(server, "timeout");
    return late;
  };

  it("goes on with who reads slowly, and answers late", async () => {
    const at = await start();
    const slow = await open(at);
    ask(slow, "/large");
    let read = 0;
    slow.on("readable", () => {});
    // A few reads in the time that nothing may happen, over some such times.
    const timer = setInterval(() => {
      read += slow.read(512 * 1024)?.length ?? 0;
    }, stallMillis / 8);
    const late = await waitOut(at, 5);
    clearInterval(timer);
    assert.isFalse(slow.destroyed);
    assert.isAbove(read, 1024 * 1024);
    answerNow();
    const [answer] = await once(late, "data");
    assert.include(String(answer), "at last");
  });

  it("keeps connections at rest", async () => {
    const at = await start();
    const caller = await open(at);
    ask(caller, "/");
    await once(caller, "data");
    await waitOut(at, 3);
    ask(caller, "/");
    const [answer] = await once(caller, "data");
    assert.include(String(answer), "200 OK");
  });

  it("answers one connection too many with a problem, and the next when one is gone", async () => {
    const at = await start({ connectionsMax: 3 });
    const first = await open(at);
    for (const caller of [first, await open(at), await open(at)]) {
      ask(caller, "/");
      await once(caller, "data");
    }
    const refusal = await open(at);
    const [answer] = await once(refusal, "data");
    const [head, body] = String(answer).split("\r\n\r\n");
    assert.match(head ?? "", /^HTTP\/1\.1 503 /);
    assert.match(head ?? "", /Retry-After: 5/);
    assert.strictEqual(JSON.parse(body ?? "").status, 503);
    assert.strictEqual(refused, 1);
    first.destroy();
    let last = "";
    while (!last.includes("200 OK")) {
      const caller = await open(at);
      ask(caller, "/");
      const [text] = await once(caller, "data");
      last = String(text);
    }
  });

  it("works on 17 requests that a caller sends ahead, answers them, and ends the connection", async () => {
    const at = await start();
    const caller = await open(at);
    let received = "";
    caller.on("data", (bytes) => {
      received += bytes;
    });
    ask(caller, "/later");
    ask(caller, "/", 24_999);
    // The first chunk has been parsed when another caller's request is answered.
    const other = await open(at);
    ask(other, "/");
    await once(other, "data");
    assert.strictEqual(worked, 1 + 16 + 1);
    answerNow();
    await once(caller, "close");
    assert.lengthOf(received.match(/200 OK/g) ?? [], 17);
  });

  it("answers as many requests of a connection as come one after another", async () => {
    const at = await start();
    const caller = await open(at);
    for (let request = 0; request < 40; request += 1) {
      ask(caller, "/", 2);
      let answers = 0;
      while (answers < 2) {
        const [bytes] = await once(caller, "data");
        answers += String(bytes).match(/200 OK/g)?.length ?? 0;
      }
    }
    assert.isFalse(caller.destroyed);
  });

  it.each(["websocket", "h2c", "x"])(
    "reads the body of a request that asks for an upgrade to %s",
    async (protocol) => {
      const at = await start();
      // As the effect library does.
      server.on("upgrade", (_, socket) => socket.destroy());
      const caller = await open(at);
      caller.write(
        `POST /echo HTTP/1.1\r\nHost: x\r\nUpgrade: ${protocol}\r\nConnection: Upgrade\r\nContent-Length: 4\r\n\r\nbody`,
      );
      const [answer] = await once(caller, "data");
      assert.include(String(answer), "body");
      // The connection is an ordinary one afterwards.
      ask(caller, "/");
      const [next] = await once(caller, "data");
      assert.include(String(next), "200 OK");
    },
  );
});
