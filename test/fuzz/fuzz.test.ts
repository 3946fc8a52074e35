/**
 * Tens of thousands of requests, made from the service's own OpenAPI document:
 * right ones, nearly right ones and hostile ones. Each answer is held against
 * the document, and every order that was accepted against what was sent.
 *
 * `FUZZ_SEED=$RANDOM` makes others than usual, `FUZZ_REQUESTS` is how many.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { ManagedRuntime } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import {
  type ServiceProcess,
  startService,
  until,
} from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { Contract } from "./document.ts";
import { FuzzRun } from "./FuzzRun.ts";
import { type Content, contentKey } from "./orderJudge.ts";

/** The same each time, so that what fails is due to what was changed. */
const seed = Number(process.env.FUZZ_SEED ?? 1);
const requests = Number(process.env.FUZZ_REQUESTS ?? 20_000);

/** What it may grow by once it is warm; a leak of a few KB a request is more. */
const growthMaxMebibytes = 120;

interface Listed extends Content {
  readonly status: string;
}

/** Fulfils what it is sent, refuses some for good, and some the first time. */
const startReceiver = async () => {
  const received = new Map<string, string>();
  const server = createServer((request, response) => {
    const pieces: Array<Buffer> = [];
    request.on("data", (piece) => pieces.push(piece));
    request.on("end", () => {
      const order = JSON.parse(Buffer.concat(pieces).toString("utf8"));
      const isFirst = !received.has(order.order_id);
      received.set(order.order_id, contentKey(order));
      const kind = Math.round(order.total_amount * 100) % 40;
      if (kind === 0) response.writeHead(422).end("no \0 \ufffd such");
      else if (kind === 1 && isFirst) response.writeHead(503).end();
      else response.writeHead(200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    received,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
};

/** Resident memory, as Linux tells it: the image has no `ps`. Elsewhere 0. */
const memoryMebibytes = (pid: number): number => {
  if (process.platform !== "linux") return 0;
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
};

/** Every order there is. */
const allOrders = async (url: string) => {
  const orders: Array<Listed> = [];
  for (
    let next: string | undefined = "/api/orders/?limit=500";
    next !== undefined;
  ) {
    const page: Response = await fetch(`${url}${next}`);
    assert.strictEqual(page.status, 200);
    orders.push(...((await page.json()) as ReadonlyArray<Listed>));
    next = /^<([^>]+)>/.exec(page.headers.get("link") ?? "")?.[1];
  }
  return orders;
};

describe(`bad input (FUZZ_SEED=${seed} FUZZ_REQUESTS=${requests})`, () => {
  const database = ManagedRuntime.make(TestDatabase.layer);
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  let service: ServiceProcess;
  let run: FuzzRun;
  let orders: ReadonlyArray<Listed> = [];

  beforeAll(async () => {
    const { url } = await database.runPromise(TestDatabase);
    receiver = await startReceiver();
    service = await startService({
      DATABASE_URL: url,
      FULFILLMENT_URL: receiver.url,
      RETRY_BASE: "100 millis",
      // So that what is not collected is what is still held.
      NODE_OPTIONS: "--max-old-space-size=192",
    });
    run = new FuzzRun({
      url: service.url,
      contract: await Contract.of(service.url),
      seed,
      requests,
      connections: 16,
    });
  });

  afterAll(async () => {
    await service?.stop();
    receiver?.stop();
    await database.dispose();
  });

  it("is answered as the document says, without a fault or a hang", {
    timeout: 300_000,
  }, async () => {
    const gone = service.ended.then((exit) =>
      assert.fail(
        `the service ended with ${exit}, FUZZ_SEED=${seed}: ${service.output().slice(-3000)}`,
      ),
    );
    gone.catch(() => {});
    await Promise.race([gone, run.upTo(Math.floor(requests / 2))]);
    const warm = memoryMebibytes(service.child.pid as number);
    await Promise.race([gone, run.upTo(requests)]);
    const grown = memoryMebibytes(service.child.pid as number) - warm;
    const { accepted, statuses } = run.book;
    console.log(
      `FUZZ_SEED=${seed}: ${run.sent} requests, ${accepted.size} orders accepted, ${Math.round(warm)} MiB and ${Math.round(grown)} more`,
      Object.fromEntries(Array.from(statuses).sort()),
    );
    assert.strictEqual(
      run.report(),
      "",
      `FUZZ_SEED=${seed} FUZZ_REQUESTS=${requests}`,
    );
    assert.strictEqual(run.sent, requests);
    assert.isBelow(grown, growthMaxMebibytes, "memory grows");
    // A generator that only makes bad requests would find nothing, too.
    assert.isAbove(accepted.size, requests / 15);
  });

  it("leaves every order it was accepted with, worked on, and no other", {
    timeout: 120_000,
  }, async () => {
    // Some request may have paused it.
    await fetch(`${service.url}/api/processing/resume/`, { method: "POST" });
    const metrics = await until(
      "no order is in work",
      async () => {
        const answer = await fetch(`${service.url}/api/orders/metrics/`);
        const { status_counts } = (await answer.json()) as {
          status_counts: Record<string, number>;
        };
        const { PENDING = 1, PROCESSING = 1 } = status_counts;
        return PENDING + PROCESSING === 0 && status_counts;
      },
      100,
    );
    orders = await allOrders(service.url);
    const { accepted, cancelled, unanswered } = run.book;
    const byId = new Map(orders.map((order) => [order.order_id, order]));
    assert.strictEqual(byId.size, orders.length, "an order is there twice");
    for (const [order_id, content] of accepted) {
      const order = byId.get(order_id);
      if (order === undefined) assert.fail(`${order_id} is lost`);
      assert.strictEqual(contentKey(order), content);
    }
    for (const { order_id, status } of orders) {
      assert.isTrue(
        accepted.has(order_id) || unanswered.has(order_id),
        `nobody placed ${JSON.stringify(order_id)}`,
      );
      if (cancelled.has(order_id)) assert.strictEqual(status, "CANCELLED");
    }
    const sum = Object.values(metrics).reduce((one, other) => one + other, 0);
    assert.strictEqual(sum, orders.length, "metrics count other orders");
  });

  it("reaches the receiver as it was sent", () => {
    const { received } = receiver;
    for (const order of orders) {
      if (order.status !== "COMPLETED") continue;
      assert.strictEqual(received.get(order.order_id), contentKey(order));
    }
    assert.isAbove(received.size, run.book.accepted.size / 2);
  });

  it("can be found by its Location, whatever it is called", async () => {
    const odd = Array.from(run.book.locations).filter(
      ([order_id]) => !/^[\w-]+$/.test(order_id),
    );
    assert.isAbove(odd.length, 0);
    for (const [order_id, location] of odd) {
      const answer = await fetch(`${service.url}${location}`);
      assert.strictEqual(answer.status, 200, location);
      const order = (await answer.json()) as Content;
      assert.strictEqual(contentKey(order), run.book.accepted.get(order_id));
    }
  });

  it("has harmed nothing: the service is ready and has logged no fault", async () => {
    const ready = await fetch(`${service.url}/health/ready`);
    assert.strictEqual(ready.status, 200);
    const faults = service
      .output()
      .split("\n")
      // A dead letter is logged as an error: the receiver refused it.
      .filter((line) => !line.includes('"order failed"'))
      .filter((line) =>
        /"level":"(ERROR|FATAL)"|unhandled|^\s+at /i.test(line),
      );
    assert.deepStrictEqual(faults.slice(0, 3), []);
  });
});
