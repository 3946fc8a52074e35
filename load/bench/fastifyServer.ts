/**
 * What one would build instead: Fastify, `pg`, one INSERT a request. With
 * `QUEUE=graphile-worker` the order and the job that works it are written in
 * one transaction, as that order is lost otherwise. No log, as is Fastify's
 * default.
 */
import Fastify from "fastify";
import { runMigrations } from "graphile-worker";
import pg from "pg";

const connectionString = process.env.DATABASE_URL as string;
const pool = new pg.Pool({ connectionString, max: 10 });

await pool.query(`
  CREATE TABLE IF NOT EXISTS orders (
    order_id varchar(50) PRIMARY KEY,
    user_id varchar(50) NOT NULL,
    item_ids jsonb NOT NULL,
    total_amount numeric(10, 2) NOT NULL,
    status text NOT NULL DEFAULT 'PENDING',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    processing_started_at timestamptz,
    processing_completed_at timestamptz
  )`);
await pool.query(
  "CREATE INDEX IF NOT EXISTS orders_newest ON orders (created_at)",
);

interface PlaceOrder {
  readonly order_id: string;
  readonly user_id: string;
  readonly item_ids: ReadonlyArray<unknown>;
  readonly total_amount: number;
}

const insert = `
  INSERT INTO orders (order_id, user_id, item_ids, total_amount)
  VALUES ($1, $2, $3, $4) RETURNING *`;
const valuesOf = (order: PlaceOrder) => [
  order.order_id,
  order.user_id,
  JSON.stringify(order.item_ids),
  order.total_amount,
];

const place = async (order: PlaceOrder) =>
  (await pool.query(insert, valuesOf(order))).rows[0];

const placeWithJob = async (order: PlaceOrder) => {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const { rows } = await client.query(insert, valuesOf(order));
    await client.query("SELECT graphile_worker.add_job('work', $1)", [
      JSON.stringify({ order_id: order.order_id }),
    ]);
    await client.query("COMMIT");
    return rows[0];
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
};

const withQueue = process.env.QUEUE === "graphile-worker";
if (withQueue) await runMigrations({ connectionString });
const placeOrder = withQueue ? placeWithJob : place;

const text = { type: "string", minLength: 1, maxLength: 50 } as const;
const time = { type: "string", nullable: true } as const;
const app = Fastify({ routerOptions: { ignoreTrailingSlash: true } });
app.get("/health/ready", async () => ({ status: "ok" }));
app.post<{ Body: PlaceOrder }>(
  "/api/orders",
  {
    schema: {
      body: {
        type: "object",
        required: ["order_id", "user_id", "item_ids", "total_amount"],
        properties: {
          order_id: text,
          user_id: text,
          item_ids: { type: "array", minItems: 1, maxItems: 1000 },
          total_amount: {
            type: "number",
            exclusiveMinimum: 0,
            maximum: 99_999_999.99,
          },
        },
      },
      response: {
        201: {
          type: "object",
          properties: {
            order_id: text,
            user_id: text,
            item_ids: { type: "array" },
            total_amount: { type: "number" },
            status: { type: "string" },
            created_at: time,
            updated_at: time,
            processing_started_at: time,
            processing_completed_at: time,
          },
        },
      },
    },
  },
  async (request, reply) => {
    reply.code(201);
    return placeOrder(request.body);
  },
);
await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
