/**
 * Events of a real process: its end while others listen, its settings, and a
 * database that was put in the place of another.
 */
import { PgClient } from "@effect/sql-pg";
import { Effect, ManagedRuntime, Redacted } from "effect";
import * as Reactivity from "effect/reactivity/Reactivity";
import type { SqlError } from "effect/sql";
import { afterAll, assert, beforeAll, describe, inject, it } from "vitest";
import {
  runtimes,
  type ServiceProcess,
  startService,
} from "../support/serviceProcess.ts";
import { framesOf } from "../support/sse.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { Api, assertProblem, nextOf } from "./api.ts";
import { overSocket } from "./transports.ts";

const database = ManagedRuntime.make(TestDatabase.layer);
let url = "";

beforeAll(async () => {
  ({ url } = await database.runPromise(TestDatabase));
});
afterAll(() => database.dispose());

/** Listens until the stream ends; what came, and how it ended. */
const listen = async (service: ServiceProcess, query = "") => {
  const response = await fetch(`${service.url}/api/events/stream/${query}`);
  const decoder = new TextDecoder();
  let text = "";
  const frames = () => framesOf(text);
  let changed = () => {};
  const ended = (async () => {
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      changed();
    }
  })();
  return {
    frames,
    ended,
    /** Waits until so many frames have come. */
    until: (count: number) =>
      new Promise<void>((resolve, reject) => {
        ended.catch(reject);
        changed = () => frames().length >= count && resolve();
        changed();
      }),
  };
};

describe.each(runtimes)("events of the service on %s", (runtime) => {
  it("ends streams and long polls in order at SIGTERM, and itself in time", async () => {
    const service = await startService(
      { DATABASE_URL: url, PROCESSING_TIME: "1 millis" },
      "ready",
      { runtime },
    );
    const api = new Api(overSocket(service.url));
    const streams = await Promise.all(
      Array.from({ length: 5 }, () => listen(service, "?after=latest")),
    );
    await Promise.all(streams.map(({ until }) => until(1)));
    // It waits: what happens first is read by both.
    const poll = api.get("/api/events/?after=latest&wait=30&user_id=nobody");
    await api.place();
    await Promise.all(streams.map(({ until }) => until(3)));
    const began = Date.now();
    const exit = service.stop("SIGTERM");
    const page = await poll;
    assert.strictEqual(page.status, 200);
    assert.deepStrictEqual(page.json, []);
    assert.isDefined(nextOf(page));
    // An end, not a connection that breaks off.
    await Promise.all(streams.map(({ ended }) => ended));
    assert.strictEqual(await exit, 0, service.output().slice(-2000));
    assert.isBelow(Date.now() - began, 10_000);
    for (const { frames } of streams) {
      assert.deepStrictEqual(
        frames().map(({ event }) => event),
        [undefined, "order.placed", "order.completed"],
      );
    }
    api.close();
  });
});

describe("events", () => {
  it("are answered to who waits for them, long before the time is over", async () => {
    const service = await startService({
      DATABASE_URL: url,
      PROCESSING_TIME: "1 hour",
    });
    const api = new Api(overSocket(service.url));
    const latest = nextOf(await api.get("/api/events/?after=latest"));
    const began = Date.now();
    const poll = api.get(`${latest}&wait=30`);
    await api.place({ order_id: '"awaited"' });
    const page = await poll;
    assert.deepStrictEqual(
      page.json.map(({ subject }: { subject: string }) => subject),
      ["awaited"],
    );
    assert.isBelow(Date.now() - began, 15_000);
    api.close();
    await service.stop("SIGKILL");
  });

  it("are off where the setting says so, and histories are not", async () => {
    const service = await startService({
      ...{ DATABASE_URL: url, EVENTS: "off", PROCESSING_TIME: "1 millis" },
    });
    const api = new Api(overSocket(service.url));
    const placed = await api.place({ order_id: '"without"' });
    await api.until(placed, "COMPLETED");
    for (const path of [
      "/api/events/",
      "/api/events/?after=latest&wait=30",
      "/api/events/stream/",
    ]) {
      const answer = await api.get(path);
      assertProblem(answer, 409, "urn:order-service:events-off");
      assert.match(answer.json.detail, /EVENTS/);
    }
    const history = await api.get("/api/orders/without/history/");
    assert.lengthOf(history.json, 2);
    api.close();
    await service.stop("SIGKILL");
  });

  it("are not passed over in silence where the database is a restored one", async () => {
    const settings = { PROCESSING_TIME: "1 millis" };
    const before = await startService({ DATABASE_URL: url, ...settings });
    const first = new Api(overSocket(before.url));
    const placed = await first.place({ order_id: '"dumped"' });
    await first.until(placed, "COMPLETED");
    const page = await first.get("/api/events/?limit=1&wait=20");
    const [{ id }] = page.json as [{ id: string }];
    first.close();
    await before.stop();

    const base = inject("postgresUrl");
    const restored = `${new URL(url).pathname.slice(1)}_restored`;
    const administer = (
      statement: (
        sql: PgClient.PgClient,
      ) => Effect.Effect<unknown, SqlError.SqlError>,
    ) =>
      PgClient.make({
        url: Redacted.make(`${base}/postgres`),
        maxConnections: 1,
      }).pipe(
        Effect.flatMap(statement),
        Effect.scoped,
        Effect.provide(Reactivity.layer),
        Effect.runPromise,
      );
    await administer((sql) =>
      sql.unsafe(
        `CREATE DATABASE ${restored} TEMPLATE ${new URL(url).pathname.slice(1)}`,
      ),
    );
    const service = await startService({
      ...{ DATABASE_URL: `${base}/${restored}`, ...settings },
    });
    const api = new Api(overSocket(service.url));
    const gone = await api.get(`/api/events/?after=${id}&wait=30`);
    assertProblem(gone, 410, "urn:order-service:events-gone");
    assert.match(gone.json.detail, /restored/);
    const { frames, until } = await listen(service, `?after=${id}`);
    await until(3);
    const [start, gap, event] = frames();
    assert.deepStrictEqual([start?.id, gap?.event], [undefined, "gap"] as Array<
      string | undefined
    >);
    assert.strictEqual(event?.event, "order.placed");
    // From there on it is as ever, after a break of the connection, too.
    const again = await api.listen(`/api/events/stream/?after=${gap?.id}`, 2);
    assert.strictEqual(framesOf(again.text)[1]?.id, event?.id);
    api.close();
    await service.stop("SIGKILL");
    await administer((sql) =>
      sql.unsafe(`DROP DATABASE ${restored} WITH (FORCE)`),
    );
  });
});
