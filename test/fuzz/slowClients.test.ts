/**
 * Clients that are slow, or do nothing at all, are no trouble for the others,
 * and are cut off (`platform/HttpListener.ts`: 10 s for the headers, looked at every 5 s).
 */
import { ManagedRuntime } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import {
  runtimes,
  type ServiceProcess,
  startService,
  until,
} from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { Connection } from "./wire.ts";

/** Fewer than there are slow clients: none of them may count as a request. */
const maxInFlight = 20;

const latin1 = (text: string) => Buffer.from(text, "latin1");

const order = (id: string) =>
  `{"order_id":"${id}","user_id":"slow","item_ids":[1],"total_amount":1}`;

describe.each(runtimes)("slow clients of the service on %s", (runtime) => {
  const database = ManagedRuntime.make(TestDatabase.layer);
  const connections: Array<Connection> = [];
  let service: ServiceProcess;

  const open = async (count: number) => {
    const opened = await Promise.all(
      Array.from({ length: count }, () => Connection.open(service.url)),
    );
    connections.push(...opened);
    return opened;
  };

  /** Sends a byte, and another one every quarter of a second. */
  const trickle = (connection: Connection, bytes: Buffer) => {
    let at = 0;
    const timer = setInterval(() => {
      if (connection.isClosed || at >= bytes.length) clearInterval(timer);
      else connection.socket.write(bytes.subarray(at, ++at));
    }, 250);
    connection.socket.on("close", () => clearInterval(timer));
  };

  /** Orders from somebody else are taken in, none of them late. */
  const assertServesOthers = async (name: string) => {
    // Half as many at once as may be worked on; more could rightly be refused.
    for (let batch = 0; batch < 4; batch += 1) {
      const placed = Array.from({ length: maxInFlight / 2 }, async (_, n) => {
        const sent = performance.now();
        const { status } = await fetch(`${service.url}/api/orders/`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: order(`${name}-${batch}-${n}`),
          signal: AbortSignal.timeout(5000),
        });
        return { status, seconds: (performance.now() - sent) / 1000 };
      });
      for (const { seconds, status } of await Promise.all(placed)) {
        assert.strictEqual(status, 201, name);
        assert.isBelow(seconds, 3, name);
      }
    }
  };

  beforeAll(async () => {
    const { url } = await database.runPromise(TestDatabase);
    service = await startService(
      {
        DATABASE_URL: url,
        PROCESSING_TIME: "10 millis",
        MAX_IN_FLIGHT: String(maxInFlight),
        MAX_BODIES: "8 MiB",
      },
      "ready",
      { runtime },
    );
  });

  afterAll(async () => {
    for (const connection of connections) connection.close();
    await service?.stop();
    await database.dispose();
  });

  it("that send nothing, a thousand of them, hinder nobody", {
    timeout: 60_000,
  }, async () => {
    await open(1000);
    await assertServesOthers("beside-idle");
  });

  it("that send bodies a byte at a time hinder nobody", {
    timeout: 60_000,
  }, async () => {
    const body = order("slow-body");
    for (const connection of await open(2 * maxInFlight)) {
      connection.socket.write(
        latin1(
          `POST /api/orders/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length * 10}\r\n\r\n`,
        ),
      );
      trickle(connection, latin1(body));
    }
    await assertServesOthers("beside-slow-bodies");
    const found = await fetch(`${service.url}/api/orders/slow-body/`);
    assert.strictEqual(found.status, 404);
  });

  it("that do not finish large bodies take no more memory than MAX_BODIES", {
    timeout: 60_000,
  }, async () => {
    const large = (id: string) => {
      const items = JSON.stringify(["x".repeat(900_000)]);
      return `{"order_id":"${id}","user_id":"slow","item_ids":${items},"total_amount":1}`;
    };
    const place = (id: string) =>
      fetch(`${service.url}/api/orders/`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: large(id),
        signal: AbortSignal.timeout(20_000),
      });
    const body = large("unfinished");
    const slow = await open(12);
    for (const connection of slow) {
      connection.socket.write(
        latin1(
          `POST /api/orders/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, -1)}`,
        ),
      );
    }
    await assertServesOthers("beside-large-bodies");
    const refused = await place("no-room");
    assert.strictEqual(refused.status, 503);
    assert.strictEqual(refused.headers.get("retry-after"), "5");
    assert.match((await refused.json()).detail, /bodies of other requests/);
    for (const connection of slow) connection.close();
    await until("room again", async () => (await place("room")).status === 201);
  });

  it("that send lines one by one have each placed at once, and hinder nobody", {
    timeout: 60_000,
  }, async () => {
    const chunk = (text: string) =>
      latin1(`${text.length.toString(16)}\r\n${text}\r\n`);
    // Their lines may come at the same moment: no more than are worked on.
    const slow = await open(maxInFlight / 2);
    for (const [index, { socket }] of slow.entries()) {
      socket.write(
        latin1(
          "POST /api/orders/batch/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
      );
      // A line, and half of the next: the request has not ended.
      const [line, next] = [order(`line-${index}-1`), order(`line-${index}-2`)];
      socket.write(chunk(`${line}\n${next.slice(0, 20)}`));
    }
    for (const [index] of slow.entries()) {
      const found = async (n: number) =>
        (await fetch(`${service.url}/api/orders/line-${index}-${n}/`)).status;
      await until("the line is placed", async () => (await found(1)) === 200);
      assert.strictEqual(await found(2), 404);
    }
    await assertServesOthers("beside-slow-lines");
    for (const [index, { socket }] of slow.entries()) {
      const next = order(`line-${index}-2`);
      socket.write(chunk(next.slice(20)));
      socket.write(latin1("0\r\n\r\n"));
    }
    const outcomes = await Promise.all(
      slow.map((connection) => connection.exchange([], ["POST"], 10)),
    );
    for (const [index, { answers }] of outcomes.entries()) {
      const entries = JSON.parse(answers[0]?.body.toString("utf8") ?? "");
      assert.deepStrictEqual(
        entries.map((entry: { order_id: string; status: number }) => [
          entry.order_id,
          entry.status,
        ]),
        [
          [`line-${index}-1`, 201],
          [`line-${index}-2`, 201],
        ],
      );
    }
  });

  it("that do not finish large lines take no more memory than MAX_BODIES", {
    timeout: 60_000,
  }, async () => {
    const half = "x".repeat(900_000);
    const slow = await open(12);
    for (const { socket } of slow) {
      socket.write(
        latin1(
          `POST /api/orders/batch/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n${half.length.toString(16)}\r\n${half}\r\n`,
        ),
      );
    }
    await assertServesOthers("beside-large-lines");
    const placeLine = (text: string) =>
      fetch(`${service.url}/api/orders/batch/`, {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body: text,
        signal: AbortSignal.timeout(20_000),
      });
    const refused = await placeLine(`${half}\n`);
    assert.strictEqual(refused.status, 503);
    assert.match((await refused.json()).detail, /bodies of other requests/);
    for (const connection of slow) connection.close();
    await until(
      "room again",
      async () => (await placeLine(order("line-room"))).status === 200,
    );
  });

  it("that send headers a byte at a time are cut off within 16 s, and hinder nobody", {
    timeout: 60_000,
  }, async () => {
    const started = performance.now();
    const slow = await open(2 * maxInFlight);
    const head = latin1(
      `GET /health/live HTTP/1.1\r\nHost: localhost\r\n${"X-Slow: y\r\n".repeat(100)}`,
    );
    for (const connection of slow) trickle(connection, head);
    await assertServesOthers("beside-slow-headers");
    const outcomes = await Promise.all(
      slow.map((connection) => connection.exchange([], ["GET"], 20)),
    );
    const seconds = (performance.now() - started) / 1000;
    for (const { answers } of outcomes) {
      assert.deepStrictEqual(
        answers.map(({ status }) => status),
        [408],
      );
    }
    for (const connection of slow) assert.isTrue(await connection.closed(2));
    assert.isAbove(seconds, 9);
    assert.isBelow(seconds, 18);
  });
});
