/** The PostgreSQL client, for a server and for the embedded database alike. */
import { PgClient } from "@effect/sql-pg";
import { Effect, Layer } from "effect";
import { type PostgresOptions, StartFailed } from "./Runtime.ts";

/**
 * This service looks rows up by index, always. Told so, the planner makes no
 * other plan from the statistics of a table that was empty when it looked.
 * A statement that got lost on its way is over when its timeout is.
 */
export const sessionSettings = {
  enable_seqscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  enable_bitmapscan: "off",
  enable_sort: "off",
  jit: "off",
  synchronous_commit: "on",
  statement_timeout: "15000",
  idle_in_transaction_session_timeout: "60000",
} as const;

export interface ClientOptions {
  /** Whether statements of many callers travel together on one connection. */
  readonly multiplex: boolean;
}

export const layer = (
  { poolSize, url }: PostgresOptions,
  { multiplex }: ClientOptions = { multiplex: true },
) =>
  PgClient.layer({
    url,
    maxConnections: poolSize,
    multiplex,
    applicationName: "order-service",
    keepAlive: "30 seconds",
    startupParameters: sessionSettings,
  }).pipe(
    Layer.catch((error) =>
      Layer.effectContext(
        Effect.fail(
          new StartFailed({ message: `DATABASE_URL: ${error.message}` }),
        ),
      ),
    ),
  );
