/**
 * Bad input where access is closed: with a key each answer is the one it would
 * be without, and without one there is none but a refusal.
 */
import { ManagedRuntime } from "effect";
import { OpenApi } from "effect/http-api";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { Api } from "../../src/api/Api.ts";
import {
  type ServiceProcess,
  startService,
} from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { Contract, type Document } from "./document.ts";
import { FuzzRun } from "./FuzzRun.ts";
import { RequestMaker } from "./RequestMaker.ts";
import { bytesOf, Connection } from "./wire.ts";

const seed = Number(process.env.FUZZ_SEED ?? 1);
const key = "an-admin-key-of-more-than-32-characters";
const contract = new Contract(OpenApi.fromApi(Api) as unknown as Document);

describe(`bad input where access is closed (FUZZ_SEED=${seed})`, () => {
  const database = ManagedRuntime.make(TestDatabase.layer);
  let service: ServiceProcess;

  beforeAll(async () => {
    const { url } = await database.runPromise(TestDatabase);
    service = await startService({
      DATABASE_URL: url,
      PROCESSING_TIME: "1 millis",
      ACCESS: "keys",
      ADMIN_KEY: key,
    });
  });

  afterAll(async () => {
    await service?.stop();
    await database.dispose();
  });

  it("is answered as the document says, to whoever has a key", {
    timeout: 120_000,
  }, async () => {
    const requests = 4_000;
    const run = new FuzzRun({
      url: service.url,
      contract,
      seed,
      requests,
      connections: 8,
      key,
    });
    await run.upTo(requests);
    assert.strictEqual(run.report(), "", `FUZZ_SEED=${seed}`);
    assert.isAbove(run.book.accepted.size, requests / 15);
    assert.notProperty(Object.fromEntries(run.book.statuses), "401");
  });

  it("is refused to whoever has none", { timeout: 120_000 }, async () => {
    const maker = new RequestMaker(contract, seed);
    const statuses = new Map<number, number>();
    for (let index = 0; index < 2_000; index += 1) {
      const sent = maker.make(index, []);
      const connection = await Connection.open(service.url);
      const { answers } = await connection.exchange(
        [bytesOf(sent)],
        [sent.method],
        10,
      );
      connection.close();
      const status = answers[0]?.status ?? 0;
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      // Probes, the page to sign in with, and signing out.
      const isOpen =
        /^(\/health\/(live|ready)\/?|\/)([?#]|$)/.test(sent.target) ||
        (sent.method === "DELETE" &&
          /^\/api\/session\/?([?#]|$)/.test(sent.target));
      assert.isTrue(
        status === 401 || isOpen || (status >= 400 && status < 500),
        `${status} ${sent.method} ${sent.target}`,
      );
      if (!isOpen && status !== 401) {
        // By the HTTP layer, or to a browser: no order was looked at.
        assert.include([400, 403, 408, 413, 414, 417, 421, 431], status);
      }
    }
    assert.isAbove(statuses.get(401) ?? 0, 1_500);
  });
});
