/**
 * pgbouncer between the service and PostgreSQL, as `src/persistence/README.md`
 * says it is to be configured.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";
import { Context, Effect, Layer, Redacted } from "effect";
import { SqlClient } from "effect/sql";
import { Connections } from "../../src/persistence/Connections.ts";
import * as Postgres from "../../src/platform/Postgres.ts";
import { freePort } from "../support/postgresServer.ts";
import { startService, until } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";

const program = "/usr/sbin/pgbouncer";
const name = existsSync(program)
  ? "behind pgbouncer"
  : `behind pgbouncer (skipped: there is no ${program}, apt-get install pgbouncer)`;

/** The README's recipe for a database and a port, with other lines. */
const recipe = (
  database: URL,
  port: number,
  userlist: string,
  lines: Readonly<Record<string, string>>,
) => {
  const readme = readFileSync(
    new URL("../../src/persistence/README.md", import.meta.url),
    "utf8",
  );
  const [, ini] = /```ini\n(\[databases\][\s\S]*?)```/.exec(readme) ?? [];
  assert.isDefined(ini);
  const ours: Readonly<Record<string, string>> = {
    orders: `host=${database.hostname} port=${database.port} dbname=${database.pathname.slice(1)}`,
    listen_port: String(port),
    auth_file: userlist,
    ...lines,
  };
  const left = { ...ours };
  const changed = (ini ?? "").replace(/^(\w+) = .*$/gm, (line, key: string) => {
    delete left[key];
    return ours[key] === undefined ? line : `${key} = ${ours[key]}`;
  });
  const added = Object.entries(left).map((line) => line.join(" = "));
  return [
    changed,
    ...added,
    "unix_socket_dir =",
    ...(process.getuid?.() === 0 ? ["user = postgres"] : []),
    "",
  ].join("\n");
};

const pooler = Effect.fnUntraced(function* (
  lines: Readonly<Record<string, string>> = {},
) {
  const { url } = yield* TestDatabase;
  const port = yield* Effect.promise(freePort);
  yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const directory = await mkdtemp(join(tmpdir(), "orders-pooler-"));
      await chmod(directory, 0o755);
      const userlist = join(directory, "userlist.txt");
      const config = join(directory, "pgbouncer.ini");
      await writeFile(userlist, '"postgres" "password"\n');
      await writeFile(config, recipe(new URL(url), port, userlist, lines));
      let output = "";
      const child = spawn(program, [config]);
      for (const stream of [child.stdout, child.stderr]) {
        stream.on("data", (chunk) => {
          output += chunk;
        });
      }
      const ended = new Promise<void>((resolve) => {
        child.once("exit", () => resolve());
      });
      ended.then(() => {
        if (!isStopped) throw new Error(`pgbouncer ended: ${output}`);
      });
      let isStopped = false;
      await until(
        "pgbouncer listens",
        () =>
          new Promise<boolean>((resolve) => {
            const socket = connect(port, "127.0.0.1");
            socket.once("connect", () => resolve(true));
            socket.once("error", () => resolve(false));
            socket.once("connect", () => socket.destroy());
          }),
      );
      return async () => {
        isStopped = true;
        child.kill("SIGKILL");
        await ended;
        await rm(directory, { recursive: true });
      };
    }),
    (stop) => Effect.promise(stop),
  );
  return `postgres://postgres:password@127.0.0.1:${port}/orders`;
});

const connectionsOn = (url: string) =>
  Effect.map(
    Layer.build(Postgres.layer({ url: Redacted.make(url), poolSize: 10 })),
    (context) => ({
      leases: Context.get(context, SqlClient.SqlClient),
      ...Context.get(context, Connections),
    }),
  );

/** As a role may be set up: it waits for no disk, nor for a standby. */
const offByDefault = Effect.fnUntraced(function* () {
  const { url } = yield* TestDatabase;
  const { leases } = yield* connectionsOn(url);
  const database = leases(new URL(url).pathname.slice(1));
  yield* leases`ALTER DATABASE ${database} SET synchronous_commit = off`;
});

describe.skipIf(!existsSync(program))(name, () => {
  it.live(
    "every connection waits for the disk and the standby, whatever the pooler drops",
    () =>
      Effect.gen(function* () {
        yield* offByDefault();
        const dropped = Object.keys(Postgres.sessionSettings).join(", ");
        for (const lines of [{}, { ignore_startup_parameters: dropped }]) {
          const kinds = yield* connectionsOn(yield* pooler(lines));
          for (const kind of [
            "leases",
            "working",
            "reading",
            "apart",
          ] as const) {
            const sql = kinds[kind];
            const settings = sql<{ commit: string; scan: string }>`
              SELECT current_setting('synchronous_commit') AS commit,
                current_setting('enable_seqscan') AS scan`;
            const expected = [{ commit: "on", scan: "off" }];
            assert.deepStrictEqual(yield* settings, expected, kind);
            assert.deepStrictEqual(
              yield* sql.withTransaction(settings),
              expected,
              kind,
            );
          }
        }
      }).pipe(Effect.provide(TestDatabase.layer)),
    60_000,
  );

  it.live(
    "a pooler that shares sessions is refused, with words that say why",
    () =>
      Effect.gen(function* () {
        const kinds = yield* connectionsOn(
          yield* pooler({ pool_mode: "transaction" }),
        );
        yield* kinds.leases`SELECT 1`;
        const error = yield* Effect.flip(kinds.reading`SELECT 1`);
        assert.match(error.reason.message, /set its pool_mode to session/);
      }).pipe(Effect.provide(TestDatabase.layer)),
    60_000,
  );

  it.live(
    "the service works orders off, and has its name again at once after it was killed",
    () =>
      Effect.gen(function* () {
        const url = yield* pooler();
        const { port } = new URL(url);
        const env = {
          DATABASE_URL: url,
          RUNNER_HOST: "127.0.0.1",
          RUNNER_PORT: port,
        };
        yield* Effect.promise(async () => {
          const killed = await startService(env);
          await killed.stop("SIGKILL");
          const service = await startService(env);
          try {
            const body = JSON.stringify({
              order_id: "pooled",
              user_id: "USER001",
              item_ids: ["ITEM001"],
              total_amount: 12.5,
            });
            const placed = await fetch(`${service.url}/api/orders/`, {
              method: "POST",
              headers: { "content-type": "application/json" },
              body,
            });
            assert.strictEqual(placed.status, 201);
            await until("the order is completed", async () => {
              const answer = await fetch(`${service.url}/api/orders/pooled/`);
              return (await answer.text()).includes("COMPLETED");
            });
          } finally {
            assert.strictEqual(await service.stop(), 0);
          }
        });
      }).pipe(Effect.provide(TestDatabase.layer)),
    120_000,
  );
});
