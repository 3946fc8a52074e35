/**
 * The PostgreSQL clients, each with connections of its own, so that a stuck
 * statement of one kind holds up none of another (`Connections`).
 */
import { Context, Effect, Layer, Redacted, Result } from "effect";
import * as Reactivity from "effect/reactivity/Reactivity";
import { SqlClient } from "effect/sql";
import { Connections } from "../persistence/Connections.ts";
import * as DatabaseUrl from "./DatabaseUrl.ts";
import * as PostgresClient from "./PostgresClient.ts";
import * as PostgresHosts from "./PostgresHosts.ts";
import * as Primary from "./Primary.ts";
import { type PostgresOptions, StartFailed } from "./Runtime.ts";

/**
 * This service looks rows up by index, always. Told so, the planner makes no
 * other plan from the statistics of a table that was empty when it looked. Nor
 * does it start helpers to find one row, which takes 8 ms where the row takes
 * none.
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
  max_parallel_workers_per_gather: "0",
  synchronous_commit: "on",
  // A statement sees what was committed when it began: much is built on that.
  default_transaction_isolation: "read committed",
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

type Client = (options: {
  readonly connections: number;
  readonly settings: PostgresClient.Settings;
  readonly multiplex: boolean;
}) => ReturnType<typeof PostgresClient.make>;

/** Makes clients of whichever host is the primary when they connect. */
const clientOf = (
  primary: Primary.Primary,
  { tls }: PostgresHosts.PostgresHosts,
): Client => {
  const sessions: PostgresClient.Sessions = new Map();
  return ({ connections, multiplex, settings }) =>
    PostgresClient.make({
      pool: {
        get url() {
          return primary.host().url;
        },
        get ssl() {
          return tls(primary.host());
        },
        stream: primary.connect,
        maxConnections: connections,
        multiplex,
        applicationName: "order-service",
      },
      settings,
      sessions,
    });
};

/**
 * The leases' client. A connection that is reserved comes from a pool of its
 * own, because the cluster reserves one and never returns it. In one pool with
 * the statements it could take the last live connection: the pool (effect
 * 4.1.0) counts a connection that could not be made, while statements wait.
 */
const leasesOf = Effect.fnUntraced(function* (
  client: Client,
  statements: PostgresClient.PostgresClient,
) {
  const { reserve } = yield* client({
    connections: 1,
    settings: sessionSettings,
    multiplex: false,
  });
  return new Proxy(statements, {
    get: (target, key) =>
      key === "reserve" ? reserve : Reflect.get(target, key),
  });
});

/** The clients of each kind, as many as there are connections for. */
const clientsOf = Effect.fnUntraced(function* (
  client: Client,
  shares: Shares,
  { multiplex }: ClientOptions,
) {
  const statements = yield* client({
    connections: shares.leases - 1,
    settings: sessionSettings,
    multiplex: multiplex && shares.working === 0,
  });
  const leases = yield* leasesOf(client, statements);
  const working =
    shares.working === 0
      ? statements
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
  return {
    leases,
    // A statement that shares its connection is not cancelled anyway.
    working: multiplex ? working : working.uncancelled,
    reading,
    apart: apart.uncancelled,
  };
});

const startFailed = (message: string) =>
  new StartFailed({ message: `DATABASE_URL: ${message}` });

export const layer = (
  { poolSize, url }: PostgresOptions,
  options: ClientOptions = { multiplex: true },
) =>
  Layer.effectContext(
    Effect.gen(function* () {
      const address = yield* Effect.fromResult(
        Result.mapError(DatabaseUrl.parse(Redacted.value(url)), startFailed),
      );
      const hosts = yield* PostgresHosts.make(address);
      const primary = yield* Primary.make({
        hosts: address.hosts,
        isLookedForFirst:
          address.hosts.length > 1 ||
          address.hosts.some(
            (host) => address.encryption(host)._tag === "IfOffered",
          ),
        ask: hosts.ask,
        isAtWork: hosts.isAtWork,
      });
      const shares = sharesOf(poolSize);
      const { leases, ...clients } = yield* Effect.mapError(
        clientsOf(clientOf(primary, hosts), shares, options),
        ({ message }) => startFailed(message),
      );
      return Context.make(SqlClient.SqlClient, leases).pipe(
        Context.add(Connections, {
          ...clients,
          listsMax: Math.max(1, shares.reading - 1),
          isReadOnly: primary.isReadOnly,
          loginHint: DatabaseUrl.loginHint(Redacted.value(url)),
        }),
      );
    }),
  ).pipe(Layer.provide(Reactivity.layer));
