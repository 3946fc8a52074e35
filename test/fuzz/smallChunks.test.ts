/**
 * A body may come in chunks of a byte, each of them an object of the runtime:
 * what a body costs must be bounded by its bytes, not by its chunks.
 */
import { ManagedRuntime } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import {
  type ServiceProcess,
  startService,
} from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { Connection } from "./wire.ts";

/** Kept one by one, these would take some 400 MB. */
const bodies = 4;
const chunksInABody = 250_000;
/** What a JSON encoder writes token by token has fewer, and is read. */
const chunksOfAnOrder = 15_000;

const requestOf = (path: string, type: string, body: string, end = " ") => {
  const chunks = Array.from(body, (byte) => `1\r\n${byte}\r\n`).join("");
  return Buffer.from(
    [
      `POST ${path} HTTP/1.1`,
      "Host: localhost",
      `Content-Type: ${type}`,
      "Transfer-Encoding: chunked",
      "",
      `${chunks}1\r\n${end}\r\n0`,
      "",
      "",
    ].join("\r\n"),
  );
};

describe("bodies in chunks of a byte", () => {
  const database = ManagedRuntime.make(TestDatabase.layer);
  let service: ServiceProcess;

  beforeAll(async () => {
    const { url } = await database.runPromise(TestDatabase);
    service = await startService({
      DATABASE_URL: url,
      NODE_OPTIONS: "--max-old-space-size=192",
    });
  });

  afterAll(async () => {
    await service?.stop();
    await database.dispose();
  });

  const answerOf = async (request: Buffer) => {
    const connection = await Connection.open(service.url);
    const { answers } = await connection.exchange([request], ["POST"], 25);
    connection.close();
    return answers[0];
  };

  it("are read where they are as many as an encoder may write", async () => {
    const item = "x".repeat(chunksOfAnOrder - 70);
    const answer = await answerOf(
      requestOf(
        "/api/orders/",
        "application/json",
        `{"order_id":"chunks","user_id":"U","item_ids":["${item}"],"total_amount":1}`,
      ),
    );
    assert.strictEqual(answer?.status, 201);
  });

  it.each([
    ["an order", "/api/orders/", "application/json"],
    ["a batch of lines", "/api/orders/batch/", "application/x-ndjson"],
  ])("are refused beyond that, of %s", async (_, path, type) => {
    const request = requestOf(path, type, " ".repeat(chunksInABody));
    const answers = await Promise.all(
      Array.from({ length: bodies }, () => answerOf(request)),
    );
    assert.strictEqual(
      service.child.exitCode ?? service.child.signalCode,
      null,
    );
    for (const answer of answers) {
      assert.strictEqual(answer?.status, 400);
      assert.include(String(answer?.body), "chunks of less than 16 bytes");
    }
  });
});
