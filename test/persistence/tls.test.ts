/** TLS to a real PostgreSQL, as its `sslmode` asks for. */
import { assert, layer } from "@effect/vitest";
import { Context, Effect, Exit, Layer, Logger, Redacted } from "effect";
import { SqlClient } from "effect/sql";
import * as Postgres from "../../src/platform/Postgres.ts";
import { startTlsPostgres, type TlsPostgres } from "../support/certificate.ts";
import { startPostgres } from "../support/postgresServer.ts";
import { until } from "../support/serviceProcess.ts";

class Server extends Context.Service<Server, TlsPostgres>()("test/Server") {}

const server = Layer.effect(
  Server,
  Effect.acquireRelease(
    Effect.promise(async () => {
      const postgres = await startTlsPostgres();
      await until("it speaks TLS", async () => {
        const client = postgres.server.getPgClient("postgres", "127.0.0.1");
        await client.connect();
        const { rows } = await client.query("SHOW ssl");
        await client.end();
        return rows[0].ssl === "on";
      });
      return postgres;
    }),
    (postgres) => Effect.promise(() => postgres.stop()),
  ),
);

/** Whether a session asked for so is encrypted; fails if there is none. */
const isEncrypted = (url: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const context = yield* Layer.build(
        Postgres.layer({ url: Redacted.make(url), poolSize: 10 }),
      );
      const sql = Context.get(context, SqlClient.SqlClient);
      const [row] = yield* sql<{ ssl: boolean }>`
        SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`;
      return row?.ssl;
    }),
  );

layer(server, { excludeTestServices: true })("a session by TLS", (it) => {
  const address = Effect.map(Server, ({ rootCertificate, url, ...rest }) => ({
    ...rest,
    root: `sslrootcert=${rootCertificate}`,
    byName: `${url.replace("127.0.0.1", "localhost")}/postgres`,
    byAddress: `${url}/postgres`,
  }));

  it.effect("is there where it is asked for, and where it is offered", () =>
    Effect.gen(function* () {
      const { byAddress, byName, root } = yield* address;
      for (const [url, expected] of [
        [`${byAddress}`, false],
        [`${byAddress}?sslmode=disable`, false],
        [`${byAddress}?sslmode=prefer`, true],
        [`${byAddress}?sslmode=require`, true],
        [`${byAddress}?sslmode=require&${root}`, true],
        [`${byAddress}?sslmode=verify-ca&${root}`, true],
        [`${byName}?sslmode=verify-full&${root}`, true],
      ] as const) {
        assert.strictEqual(yield* isEncrypted(url), expected, url);
      }
    }),
  );

  it.effect("is refused where the server cannot prove who it is", () =>
    Effect.gen(function* () {
      const { byAddress, byName, otherCertificate, root } = yield* address;
      const other = `sslrootcert=${otherCertificate}`;
      for (const url of [
        // The certificate is not for this name.
        `${byAddress}?sslmode=verify-full&${root}`,
        // Nobody who is trusted has signed it.
        `${byName}?sslmode=verify-full`,
        `${byName}?sslmode=verify-ca`,
        `${byName}?sslmode=verify-full&${other}`,
        `${byName}?sslmode=verify-ca&${other}`,
        `${byName}?sslmode=require&${other}`,
        `${byName}?sslrootcert=system`,
      ]) {
        assert.isTrue(
          Exit.isFailure(yield* Effect.exit(isEncrypted(url))),
          url,
        );
      }
    }),
  );

  it.effect("is not given up for plain text", () =>
    Effect.gen(function* () {
      const plain = yield* Effect.acquireRelease(
        Effect.promise(() => startPostgres()),
        (postgres) => Effect.promise(() => postgres.stop()),
      );
      const url = `${plain.url}/postgres`;
      assert.isFalse(yield* isEncrypted(`${url}?sslmode=prefer`));
      assert.isTrue(
        Exit.isFailure(
          yield* Effect.exit(isEncrypted(`${url}?sslmode=require`)),
        ),
      );
    }),
  );

  it.effect("is missed at the start where the database is elsewhere", () =>
    Effect.gen(function* () {
      const warnings = Effect.fnUntraced(function* (url: string) {
        const lines: Array<string> = [];
        yield* Effect.scoped(
          Layer.build(
            Postgres.layer({ url: Redacted.make(url), poolSize: 10 }),
          ),
        ).pipe(
          Effect.provide(
            Logger.layer([
              Logger.make(({ message }) => lines.push(String(message))),
            ]),
          ),
        );
        return lines.filter((line) => /plain text/.test(line)).length;
      });
      const { byAddress } = yield* address;
      const elsewhere = "postgres://u:secret@database.invalid/orders";
      assert.strictEqual(yield* warnings(`${elsewhere}?sslmode=disable`), 1);
      assert.strictEqual(yield* warnings(`${elsewhere}?sslmode=require`), 0);
      assert.strictEqual(yield* warnings(byAddress), 0);
    }),
  );
});
