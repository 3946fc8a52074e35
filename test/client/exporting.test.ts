/** Exports through the client, of a service on a table that is large enough. */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { PgClient } from "@effect/sql-pg";
import {
  DateTime,
  Effect,
  Exit,
  ManagedRuntime,
  Redacted,
  Schema,
  Stream,
} from "effect";
import * as Reactivity from "effect/reactivity/Reactivity";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import * as PgProxy from "../../load/chaos/PgProxy.ts";
import {
  ExportCut,
  type ExportFilter,
  OrderClient,
} from "../../src/client/OrderClient.ts";
import { Order, UserId } from "../../src/domain/Order.ts";
import { OrderStatus } from "../../src/domain/OrderStatus.ts";
import { Dice } from "../fuzz/Dice.ts";
import { ordersIn } from "../support/csv.ts";
import {
  type ServiceProcess,
  startService,
  until,
} from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

const orderCount = 60_000;

/** Ids as they may be, some of them formulas to a spreadsheet. */
const users = ["U1", "=2+3", "Zoë, Ltd.", '"quoted"', "'apostrophe", "東京"];

/** Of each page of time some orders are in each status; nothing is worked off. */
const fill = (sql: PgClient.PgClient) =>
  Effect.gen(function* () {
    yield* sql`INSERT INTO orders (order_id, user_id, item_ids, total_amount,
        partition, created_at, updated_at, status, ended, due_at, attempts,
        begun, last_error, processing_started_at, processing_completed_at)
      SELECT 'O' || n, (${users}::text[])[1 + n * 7 % 6],
        json_build_array(n, '=x' || n, json_build_object('k', 'a;b"c')),
        1 + n % 9999 / 100.0, n % 32, at, at, state,
        CASE WHEN state IN ('FAILED', 'CANCELLED') THEN state END,
        CASE WHEN state = 'PENDING' THEN now() + interval '1 day' END,
        1, 1, CASE WHEN state = 'FAILED' THEN E'-no\r\n"way"' END,
        at, CASE WHEN state = 'COMPLETED' THEN at END
      FROM generate_series(1, ${orderCount}::integer) AS n,
        LATERAL (SELECT now() - (${orderCount} - n) * interval '1 second' AS at,
          (ARRAY['COMPLETED', 'COMPLETED', 'COMPLETED', 'PENDING', 'FAILED',
            'CANCELLED', 'COMPLETED'])[1 + n % 7] AS state) AS stated
      ORDER BY n`;
    yield* sql`UPDATE partition_owners SET place = (SELECT max(seq) FROM orders)`;
  });

const withSql = <A, E>(
  url: string,
  use: (sql: PgClient.PgClient) => Effect.Effect<A, E>,
) =>
  PgClient.make({ url: Redacted.make(url), maxConnections: 1 }).pipe(
    Effect.flatMap(use),
    Effect.scoped,
    Effect.provide(Reactivity.layer),
    Effect.runPromise,
  );

const database = ManagedRuntime.make(TestDatabase.layer);
let databaseUrl = "";
let service: ServiceProcess;
const started: Array<ServiceProcess> = [];

const start = async (url = databaseUrl) => {
  const process = await startService({ DATABASE_URL: url });
  started.push(process);
  return process;
};

beforeAll(async () => {
  databaseUrl = (await database.runPromise(TestDatabase)).url;
  service = await start();
  await withSql(databaseUrl, fill);
}, 60_000);

afterAll(async () => {
  for (const process of started) await process.stop("SIGKILL");
  await database.dispose();
});

const ask = <A, E>(
  url: string,
  use: (client: OrderClient["Service"]) => Effect.Effect<A, E>,
) =>
  Effect.flatMap(OrderClient, use).pipe(
    Effect.provide(OrderClient.layerFetch({ baseUrl: url })),
    Effect.runPromise,
  );

const encode = Schema.encodeSync(Schema.Array(Order));

const idsOf = (orders: ReadonlyArray<Order>) =>
  orders.map(({ order_id }) => order_id);

/** Some filter, often of two or three parts. */
const filterOf = (dice: Dice, newest: number): ExportFilter => {
  // Orders came a second apart: now and then there are several pages.
  const seconds = dice.weighted([
    [8, 800],
    [1, 6_000],
  ]);
  const at = () => DateTime.makeUnsafe(newest - dice.int(-60, seconds) * 1000);
  const [from, to] = [at(), at()].sort(
    (a, b) => a.epochMilliseconds - b.epochMilliseconds,
  ) as [DateTime.Utc, DateTime.Utc];
  return {
    ...(dice.chance(0.5)
      ? { user_id: UserId.make(dice.pick([...users, "nobody"])) }
      : {}),
    ...(dice.chance(0.6)
      ? {
          status: dice
            .shuffle(OrderStatus.literals)
            .slice(0, dice.pick([1, 1, 2, 4])),
        }
      : {}),
    created_after: from,
    ...(dice.chance(0.5) ? { created_before: to } : {}),
  };
};

describe("an export through the client", () => {
  it("gives, as NDJSON and CSV, what the list gives, for a hundred filters", {
    timeout: 180_000,
  }, async () => {
    const seed = Date.now();
    const dice = new Dice(seed, "filters");
    let some = 0;
    await ask(service.url, (client) =>
      Effect.gen(function* () {
        const { body } = yield* client.orders.list({ query: { limit: 1 } });
        const newest = body[0]?.created_at.epochMilliseconds ?? 0;
        for (let round = 0; round < 100; round += 1) {
          const filter = filterOf(dice, newest);
          const what = `seed ${seed}, ${round}: ${JSON.stringify(filter)}`;
          const listed = yield* Stream.runCollect(client.allOrders(filter));
          const exported = yield* Stream.runCollect(
            client.exportOrders(filter),
          );
          assert.deepStrictEqual(encode(exported), encode(listed), what);
          if (listed.length > 0) some += 1;
          const csv = yield* Stream.runCollect(
            client.exportText({ format: "csv", ...filter }),
          );
          assert.deepStrictEqual(
            // With its byte order mark, which a decoder would take off.
            ordersIn(Buffer.concat(csv).toString("utf8")),
            encode(listed),
            what,
          );
        }
      }),
    );
    assert.isAbove(some, 30, `seed ${seed}: the filters match something`);
  });

  it("gives the bytes of the service, to the closing line", async () => {
    const text = await ask(service.url, (client) =>
      client
        .exportText({ format: "ndjson", status: ["FAILED"] })
        .pipe(Stream.decodeText, Stream.mkString),
    );
    const answer = await fetch(
      `${service.url}/api/orders/export/?status=FAILED`,
    );
    assert.strictEqual(text, await answer.text());
  });

  it("gives each order once, though orders are placed and cancelled meanwhile", async () => {
    const place = (order_id: string) =>
      fetch(`${service.url}/api/orders/`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          ...{ order_id, user_id: "meanwhile", item_ids: [1] },
          total_amount: 1,
        }),
      });
    let seen = 0;
    const ids = await ask(service.url, (client) =>
      client.exportOrders().pipe(
        Stream.tap(() => {
          seen += 1;
          return seen % 10_000 === 0
            ? Effect.promise(async () => {
                await place(`meanwhile-${seen}`);
                await fetch(
                  `${service.url}/api/orders/cancel/?all=true&limit=50`,
                  {
                    method: "POST",
                  },
                );
              })
            : Effect.void;
        }),
        Stream.runCollect,
        Effect.map(idsOf),
      ),
    );
    const before = ids.filter((order_id) => order_id.startsWith("O"));
    assert.lengthOf(before, orderCount);
    assert.lengthOf(new Set(ids), ids.length);
  });

  it("ends a reader who stalls, and is refused until then where there are four", {
    timeout: 90_000,
  }, async () => {
    const { hostname, port } = new URL(service.url);
    const stalled = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const socket = connect(Number(port), hostname);
        socket.write(
          "GET /api/orders/export/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        );
        // Its first bytes are there, and are not read.
        await once(socket, "readable");
        socket.on("error", () => {});
        return socket;
      }),
    );
    const refused = await fetch(`${service.url}/api/orders/export/`);
    assert.strictEqual(refused.status, 503);
    assert.isNotNull(refused.headers.get("retry-after"));
    assert.match((await refused.json()).detail, /4 exports are under way/);
    // Lists are read all the same.
    const list = await fetch(`${service.url}/api/orders/?limit=1`);
    assert.strictEqual(list.status, 200);
    const open = () =>
      fetch(`${service.url}/metrics`)
        .then((answer) => answer.text())
        .then((text) => /^order_exports(\{.*\})? (\d+)/m.exec(text)?.[2]);
    assert.strictEqual(await open(), "4");
    await until("all are ended", async () => (await open()) === "0", 60);
    for (const socket of stalled) {
      const bytes: Array<Buffer> = [];
      socket.on("data", (chunk) => bytes.push(chunk));
      if (!socket.destroyed) await once(socket, "close");
      const text = Buffer.concat(bytes).toString("latin1");
      assert.notInclude(text, '{"exported"');
      assert.isFalse(text.endsWith("0\r\n\r\n"), "it looks whole");
    }
    const again = await fetch(`${service.url}/api/orders/export/?user_id=x`);
    assert.strictEqual(await again.text(), '{"exported":0}\n');
  });
});

/** Reads some orders, then does `cut`, and reads on to the end. */
const readCut = (url: string, cut: () => Promise<unknown>) =>
  ask(url, (client) => {
    let seen = 0;
    return client.exportOrders().pipe(
      Stream.tap(() => {
        seen += 1;
        return seen === 1_000 ? Effect.promise(cut) : Effect.void;
      }),
      Stream.runDrain,
      Effect.exit,
      Effect.map((exit) => ({ exit, seen: () => seen })),
    );
  });

const assertCut = (exit: Exit.Exit<unknown, unknown>, seen: number) => {
  const error = Exit.isFailure(exit)
    ? (exit.cause.reasons[0] as { readonly error?: unknown }).error
    : undefined;
  assert.instanceOf(error, ExportCut, String(error));
  assert.strictEqual(error.exported, seen);
  assert.isBelow(seen, orderCount);
};

const assertAll = (url: string) =>
  ask(url, (client) =>
    Effect.map(
      Stream.runCollect(
        client.exportOrders({
          created_before: DateTime.makeUnsafe(Date.now() + 1e6),
        }),
      ),
      (orders) => {
        const ids = idsOf(orders).filter((order_id) =>
          order_id.startsWith("O"),
        );
        assert.lengthOf(ids, orderCount);
        assert.lengthOf(new Set(ids), orderCount);
      },
    ),
  );

describe("an export that is cut", () => {
  it("says so when the service is killed; run again, nothing is lost and nothing comes twice", {
    timeout: 90_000,
  }, async () => {
    const killed = await start();
    const { exit, seen } = await readCut(killed.url, () =>
      killed.stop("SIGKILL"),
    );
    assertCut(exit, seen());
    await assertAll((await start()).url);
  });

  it("says so when the database is away for longer than a few tries", {
    timeout: 90_000,
  }, async () => {
    const proxy = await PgProxy.open(Number(new URL(databaseUrl).port));
    try {
      const url = new URL(databaseUrl);
      url.port = String(proxy.port);
      const proxied = await start(url.href);
      const { exit, seen } = await readCut(proxied.url, async () =>
        proxy.shut(true),
      );
      assertCut(exit, seen());
      proxy.shut(false);
      await until("it is ready again", async () =>
        fetch(`${proxied.url}/health/ready`).then((answer) => answer.ok),
      );
      await assertAll(proxied.url);
    } finally {
      await proxy.close();
    }
  });

  const line = JSON.stringify({
    ...{ order_id: "A", user_id: "U", item_ids: [1], total_amount: 1 },
    ...{ status: "PENDING", attempts: 0, next_attempt_at: null },
    ...{ created_at: "2026-01-31T12:00:00Z", last_error: null },
    updated_at: "2026-01-31T12:00:00Z",
    ...{ processing_started_at: null, processing_completed_at: null },
  });

  /** What the client makes of an answer that arrives whole. */
  const read = async (type: string, body: string, format: "ndjson" | "csv") => {
    const server = createServer((socket) => {
      socket.once("data", () =>
        socket.end(
          `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: ${type}\r\n\r\n${body}`,
        ),
      );
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { readonly port: number };
    try {
      return await ask(`http://127.0.0.1:${port}`, (client) =>
        Effect.map(
          Effect.all([
            Effect.exit(Stream.runDrain(client.exportText({ format }))),
            Effect.exit(Stream.runDrain(client.exportOrders())),
          ]),
          (exits) =>
            exits.map((exit) => {
              if (Exit.isSuccess(exit)) return "whole";
              const [reason] = exit.cause.reasons;
              return (reason as { error?: { _tag?: string } }).error?._tag;
            }),
        ),
      );
    } finally {
      server.close();
    }
  };

  it.each([
    [`${line}\n{"exported":1}\n`, ["whole", "whole"]],
    ['{"exported":0}\n', ["whole", "whole"]],
    [`${line}\n`, ["ExportCut", "ExportCut"]],
    ["", ["ExportCut", "ExportCut"]],
    [`${line}\n{"exported":2}\n`, ["whole", "ExportCut"]],
    [`{"exported":0}\n${line}\n`, ["ExportCut", "ExportCut"]],
    [line.slice(0, 50), ["ExportCut", "SchemaError"]],
  ])(
    "is known by its end, though a proxy made it look whole: %s",
    async (body, expected) => {
      assert.deepStrictEqual(
        await read("application/x-ndjson", body, "ndjson"),
        expected,
      );
    },
  );

  it("is known by the last row of CSV; and another answer is none", async () => {
    const [whole] = await read(
      "text/csv; charset=utf-8",
      "\ufefforder_id\r\n# exported,0,,,,,,,,,,\r\n",
      "csv",
    );
    assert.strictEqual(whole, "whole");
    const [cut] = await read("text/csv", "\ufefforder_id\r\n", "csv");
    assert.strictEqual(cut, "ExportCut");
    const others = await read("text/html", "<p>Welcome", "csv");
    assert.deepStrictEqual(others, ["HttpClientError", "HttpClientError"]);
  });
});
