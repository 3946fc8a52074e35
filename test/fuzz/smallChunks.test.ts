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

const request = Buffer.from(
  [
    "POST /api/orders/ HTTP/1.1",
    "Host: localhost",
    "Content-Type: application/json",
    "Transfer-Encoding: chunked",
    "",
    `${"1\r\n \r\n".repeat(chunksInABody)}0`,
    "",
    "",
  ].join("\r\n"),
);

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

  it("cost no more memory than their bytes", async () => {
    const outcomes = await Promise.all(
      Array.from({ length: bodies }, async () => {
        const connection = await Connection.open(service.url);
        const outcome = await connection.exchange([request], ["POST"], 25);
        connection.close();
        return outcome.answers.map(({ status }) => status);
      }),
    );
    assert.strictEqual(
      service.child.exitCode ?? service.child.signalCode,
      null,
    );
    assert.deepStrictEqual(outcomes, Array(bodies).fill([400]));
  });
});
