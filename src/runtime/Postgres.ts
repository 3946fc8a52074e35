/**
 * The PostgreSQL clients, each with connections of its own, so that a stuck
 * statement of one kind holds up none of another (`Connections`).
 */
import { PgClient } from "@effect/sql-pg";
import { Context, Effect, Layer } from "effect";
import * as Reactivity from "effect/reactivity/Reactivity";
import { SqlClient } from "effect/sql";
import { Connections } from "../persistence/Connections.ts";
import { type PostgresOptions, StartFailed } from "./Runtime.ts";

/**
 * This service looks rows up by index, always. Told so, the planner makes no
 * other plan from the statistics of a table that was empty when it looked.
 * A statement that got lost on its way is over when its timeout is, and one
 * that waits for what somebody else holds, sooner.
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
  lock_timeout: "2000",
  idle_in_transaction_session_timeout: "60000",
} as const;

/** All who share the connection wait with it: it gives up sooner. */
const workingSettings = { ...sessionSettings, lock_timeout: "1000" };

/** A list that takes longer is ended, so that others can be read. */
const readingSettings = { ...sessionSettings, statement_timeout: "5000" };

/** How many connections there are of each kind; 0: they share another's. */
export interface Shares {
  /** The leases keep one to themselves, and need another beside it. */
  readonly leases: number;
  readonly working: number;
  readonly reading: number;
  readonly apart: number;
}

/**
 * Divides the connections. With fewer than five, what comes first has its own:
 * leases, then working, then reading.
 */
export const sharesOf = (poolSize: number): Shares => {
  const leases = 2;
  const rest = Math.max(0, poolSize - leases);
  if (rest < 3) {
    return {
      leases,
      working: Math.min(rest, 1),
      reading: Math.max(0, rest - 1),
      apart: 0,
    };
  }
  const reading = Math.max(1, Math.floor((rest * 3) / 8));
  const apart = Math.max(1, Math.floor(rest / 4));
  return { leases, working: rest - reading - apart, reading, apart };
};

export interface ClientOptions {
  /** Whether quick statements of many callers travel together on a connection. */
  readonly multiplex: boolean;
}

export const layer = (
  { poolSize, url }: PostgresOptions,
  { multiplex }: ClientOptions = { multiplex: true },
) => {
  const shares = sharesOf(poolSize);
  const client = (options: {
    readonly connections: number;
    readonly settings: Readonly<Record<string, string>>;
    readonly multiplex: boolean;
  }) =>
    PgClient.make({
      url,
      maxConnections: options.connections,
      multiplex: options.multiplex,
      applicationName: "order-service",
      keepAlive: "30 seconds",
      startupParameters: options.settings,
    });
  return Layer.effectContext(
    Effect.gen(function* () {
      const leases = yield* client({
        connections: shares.leases,
        settings: sessionSettings,
        multiplex: multiplex && shares.working === 0,
      });
      const working =
        shares.working === 0
          ? leases
          : yield* client({
              connections: shares.working,
              settings: workingSettings,
              multiplex,
            });
      const reading =
        shares.reading === 0
          ? working
          : yield* client({
              connections: shares.reading,
              settings: readingSettings,
              multiplex: false,
            });
      const apart =
        shares.apart === 0
          ? reading
          : yield* client({
              connections: shares.apart,
              settings: sessionSettings,
              multiplex: false,
            });
      const listsMax = Math.max(1, shares.reading - 1);
      return Context.make(SqlClient.SqlClient, leases).pipe(
        Context.add(Connections, { working, reading, apart, listsMax }),
      );
    }),
  ).pipe(
    Layer.provide(Reactivity.layer),
    Layer.catch((error) =>
      Layer.effectContext(
        Effect.fail(
          new StartFailed({ message: `DATABASE_URL: ${error.message}` }),
        ),
      ),
    ),
  );
};
