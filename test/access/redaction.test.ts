/**
 * No key is anywhere but with whoever was given it: keys are shown in all ways,
 * good and bad, with the log at its most talkative, and then looked for.
 */
import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import pg from "pg";
import { keyOf } from "../../src/domain/ApiKey.ts";
import { type Answer, Api } from "../http/api.ts";
import { overSocket } from "../http/transports.ts";
import { startService } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { startTraceCollector } from "../support/traceCollector.ts";

const adminKey = "an-admin-key-of-more-than-32-characters";

/** All that is in a database, as text. */
const dumpOf = async (url: string): Promise<string> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const tables = await client.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
      WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
  );
  let dump = "";
  for (const { name } of tables.rows) {
    const { rows } = await client.query(
      `SELECT t::text AS row FROM ${name} AS t`,
    );
    dump += `${name}\n${rows.map(({ row }) => row).join("\n")}\n`;
  }
  await client.end();
  return dump;
};

describe("keys", () => {
  it.live(
    "stand in no log, no measurement, no trace, no table, no answer",
    () =>
      Effect.gen(function* () {
        const { url } = yield* TestDatabase;
        const collector = yield* Effect.acquireRelease(
          Effect.promise(() => startTraceCollector()),
          (collector) => Effect.promise(async () => collector.stop()),
        );
        const service = yield* Effect.acquireRelease(
          Effect.promise(() =>
            startService({
              DATABASE_URL: url,
              ACCESS: "keys",
              ADMIN_KEY: adminKey,
              LOG_LEVEL: "Trace",
              TRUSTED_PROXIES: "127.0.0.1",
              OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
            }),
          ),
          (service) => Effect.promise(() => service.stop("SIGKILL")),
        );
        yield* Effect.promise(async () => {
          const api = new Api(overSocket(service.url));
          const answers: Array<Answer> = [];
          let addresses = 0;
          const send = async (
            method: string,
            path: string,
            headers: Readonly<Record<string, string>>,
            body?: object,
          ) => {
            addresses += 1;
            const answer = await api.request(method, path, {
              headers: {
                "x-forwarded-for": `10.0.${addresses >> 8}.${addresses & 255}`,
                ...(body === undefined
                  ? {}
                  : { "content-type": "application/json" }),
                ...headers,
              },
              ...(body === undefined ? {} : { body: JSON.stringify(body) }),
            });
            return answer;
          };
          const admin = { authorization: `Bearer ${adminKey}` };
          const made = (
            await send("POST", "/api/keys/", admin, {
              name: "shop",
              scopes: ["orders:place", "orders:operate"],
            })
          ).json;
          const rolled = (
            await send("POST", `/api/keys/${made.id}/roll/`, admin, {
              grace: 60,
            })
          ).json;
          const revoked = (
            await send("POST", "/api/keys/", admin, {
              name: "gone",
              scopes: ["admin"],
            })
          ).json;
          await send("DELETE", `/api/keys/${revoked.id}/`, admin);
          const wrong = keyOf(crypto.getRandomValues(new Uint8Array(20)));
          const keys: ReadonlyArray<string> = [
            ...[adminKey, made.key, rolled.key, revoked.key, wrong],
            ...[`${made.key}x`, made.key.slice(0, -1), `x${adminKey}`],
          ];
          for (const key of keys) {
            for (const [path, headers] of [
              ["/api/orders/", { authorization: `Bearer ${key}` }],
              ["/api/keys/", { authorization: `bearer ${key}` }],
              ["/no/such/path", { authorization: `Bearer ${key}` }],
              ["/api/orders/", { authorization: `Basic ${key}` }],
              [`/api/orders/?key=${key}&access_token=${key}`, admin],
              [`/api/orders/?key=${key}`, {}],
              ["/api/orders/", { cookie: `key=${key}`, ...admin }],
              [
                "/api/orders/",
                { cookie: `orders_key=${key}`, host: "127.0.0.1" },
              ],
              ["/api/orders/", { "x-api-key": key, ...admin }],
              [`/api/orders/?limit=${key}`, admin],
            ] as const) {
              answers.push(await send("GET", path, headers));
            }
            // Its answer is what gives the key to the browser to keep.
            await send("POST", "/api/session/", {
              authorization: `Bearer ${key}`,
            });
            answers.push(
              await send(
                "POST",
                "/api/orders/",
                { authorization: `Bearer ${key}` },
                {
                  order_id: `o${addresses}`,
                  user_id: "u",
                  item_ids: [1],
                  total_amount: 1,
                },
              ),
              await send(
                "POST",
                "/api/orders/none/cancel/",
                { authorization: `Bearer ${key}`, host: "evil.example" },
                {},
              ),
            );
          }
          // In a path a key of ours is known by its shape.
          for (const key of [made.key, wrong]) {
            answers.push(
              await send("GET", `/nothing/${key}`, admin),
              await send("GET", `/nothing/${key}`, {}),
            );
          }
          answers.push(
            await send("GET", "/api/keys/", admin),
            await send("GET", "/metrics", admin),
            await send("GET", "/openapi.json", admin),
          );
          assert.isAbove(
            answers.filter(({ status }) => status === 201).length,
            2,
          );
          assert.isAbove(
            answers.filter(({ status }) => status === 401).length,
            20,
          );
          api.close();
          await service.stop();

          const places: Readonly<Record<string, string>> = {
            log: service.output(),
            database: await dumpOf(url),
            traces: JSON.stringify(collector.spans),
            answers: answers
              .map(({ headers, text }) => JSON.stringify(headers) + text)
              .join("\n"),
          };
          for (const [place, text] of Object.entries(places)) {
            assert.isAbove(text.length, 100, place);
            for (const key of keys) {
              const at = text.indexOf(key);
              assert.strictEqual(
                at,
                -1,
                `${place}: ${text.slice(Math.max(0, at - 200), at + 80)}`,
              );
            }
          }
          assert.include(places.log, `"key_id":"${revoked.id}"`);
          assert.include(places.log, '"refused":"key revoked"');
          assert.include(places.log, '"actor":"shop"');
          assert.include(places.database, made.id);
        });
      }).pipe(Effect.provide(TestDatabase.layer)),
  );
});
