/**
 * `docker-compose.yml`, as far as it can be judged without Docker: who may
 * reach the service, what it may do in the database, and what it is told.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { parse } from "yaml";
import {
  type PostgresServer,
  startPostgres,
} from "./support/postgresServer.ts";
import { startService, until } from "./support/serviceProcess.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");

interface ComposeService {
  readonly mem_limit?: string;
  readonly ports?: ReadonlyArray<string>;
  readonly environment?: Readonly<Record<string, string | null>>;
}

const text = read("docker-compose.yml");
const compose = parse(text) as {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly configs: Readonly<Record<string, { readonly content: string }>>;
};
const services = Object.entries(compose.services);

/** The settings that .env.example tells of, the last of them only Compose's. */
const [ofService, ofCompose] = read(".env.example")
  .split("--- Only for Compose")
  .map((part) =>
    Array.from(part.matchAll(/^# ([A-Z_]+)=/gm), ([, name = ""]) => name),
  ) as [Array<string>, Array<string>];

describe("docker-compose.yml", () => {
  it("lets in callers from this machine alone, unless told otherwise", () => {
    const ports = services.flatMap(([, { ports }]) => ports ?? []);
    assert.deepStrictEqual(ports, [
      // biome-ignore lint/suspicious/noTemplateCurlyInString: Compose's own
      "${HOST:-127.0.0.1}:${PORT:-8000}:8000",
    ]);
  });

  it("bounds the memory of each container", () => {
    assert.deepStrictEqual(
      services.filter(([, { mem_limit }]) => mem_limit === undefined),
      [],
    );
  });

  it("reads no variable of which .env.example does not tell", () => {
    const told = new Set([...ofService, ...ofCompose]);
    const used = Array.from(
      text.matchAll(/\$\{(\w+)/g),
      ([, name = ""]) => name,
    );
    const handedOn = Object.keys(compose.services.app?.environment ?? {});
    assert.deepStrictEqual(
      [...used, ...handedOn].filter((name) => !told.has(name)),
      [],
    );
    assert.deepStrictEqual(
      ofCompose.filter((name) => !used.includes(name)),
      [],
    );
  });

  it("hands every setting on, but for those that are its own affair", () => {
    const own = ["HOST", "PORT", "DATA_DIR", "RUNNER_HOST", "RUNNER_PORT"];
    const handedOn = Object.keys(compose.services.app?.environment ?? {});
    assert.deepStrictEqual(
      ofService.filter((name) => !handedOn.includes(name)),
      own,
    );
  });
});

/** Sends statements over a connection of their own, and gives the last rows. */
const query = async (
  connectionString: string,
  ...statements: ReadonlyArray<string>
) => {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    let rows: ReadonlyArray<unknown> = [];
    for (const statement of statements) {
      ({ rows } = await client.query(statement));
    }
    return rows;
  } finally {
    await client.end();
  }
};

describe("the database of docker-compose.yml", () => {
  let postgres: PostgresServer;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.stop());

  it("is all the service needs, without a superuser", async () => {
    const statements = (compose.configs["db-role"]?.content ?? "")
      .replace(/^\\getenv .*$/m, "")
      .replaceAll(":'password'", "'orders'")
      .split(";\n")
      .filter((statement) => statement.trim() !== "");
    await query(`${postgres.url}/postgres`, ...statements);
    const { host } = new URL(postgres.url);
    const url = `postgres://orders:orders@${host}/orders`;
    assert.deepStrictEqual(
      await query(
        url,
        "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user",
      ),
      [{ rolsuper: false, rolcreatedb: false, rolcreaterole: false }],
    );
    const service = await startService(
      { DATABASE_URL: url, PROCESSING_TIME: "0 millis", SAMPLE_ORDERS: "3" },
      "ready",
    );
    try {
      await until("the sample orders are completed", async () => {
        const answer = await fetch(`${service.url}/api/orders/metrics/`);
        const metrics = (await answer.json()) as {
          readonly total_orders_processed: number;
        };
        return metrics.total_orders_processed === 3;
      });
    } finally {
      await service.stop();
    }
    // Nobody is the superuser over the network.
    const refused = await query(`${postgres.url}/postgres`, "SELECT 1").then(
      () => undefined,
      ({ code }) => code,
    );
    assert.strictEqual(refused, "28P01");
  });
});
