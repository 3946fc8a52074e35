/**
 * Keeps each sequence ahead of the numbers that are stored, and of the
 * positions that readers have stored.
 *
 * Logical replication copies rows and no sequences, and so does a dump of rows
 * alone. A sequence that starts again gives numbers below the stored positions:
 * nobody reads those orders and events, and no error says so.
 *
 * A sequence is never lowered, also where instances start together and place
 * orders meanwhile: it is raised under a lock that `nextval` waits for.
 */
import { Effect } from "effect";
import { SqlClient, type SqlError } from "effect/sql";

interface Counter {
  readonly sequence: string;
  /** The highest number that is stored or trusted; each is found by an index. */
  readonly stored: string;
}

/** All sequences of our tables; a test looks for one that is missing here. */
export const counters: ReadonlyArray<Counter> = [
  {
    sequence: "orders_seq",
    stored: `greatest((SELECT max(seq) FROM orders),
      (SELECT max(place) FROM partition_owners),
      (SELECT max(upper(numbers)) - 1 FROM archive_batches))`,
  },
  {
    sequence: "order_events_seq",
    stored: `greatest((SELECT max(no) FROM order_events),
      (SELECT max(dropped_to) FROM event_log),
      (SELECT max(place) FROM subscriptions))`,
  },
  {
    sequence: "order_history_seq",
    stored: "(SELECT max(no) FROM order_history)",
  },
  // Says whether the archive was ever claimed, by having been called.
  {
    sequence: "order_archive_claims",
    stored: "(SELECT max(epoch) FROM order_archive)",
  },
  {
    sequence: "processing_changes_no_seq",
    stored: "(SELECT max(no) FROM processing_changes)",
  },
];

/** Made by `effect/cluster`, once an instance has started. */
const ofCluster: Counter = {
  sequence: "cluster_runners_machine_id_seq",
  stored: "(SELECT max(machine_id) FROM cluster_runners)",
};

export interface Raised {
  readonly sequence: string;
  /** The last number that the sequence had given. */
  readonly last: bigint;
  readonly stored: bigint;
}

/** Selects those that are behind; `last` is read after what is stored. */
const behind = (counters: ReadonlyArray<Counter>) => `
  SELECT sequence, last, stored FROM (${counters
    .map(
      ({ sequence, stored }) => `
        SELECT '${sequence}' AS sequence, coalesce(${stored}, 0)::bigint AS stored,
          CASE WHEN is_called THEN last_value ELSE last_value - 1 END AS last
        FROM ${sequence}`,
    )
    .join(" UNION ALL ")}) AS counters
  WHERE last < stored`;

const raiseOne = (sql: SqlClient.SqlClient, counter: Counter) =>
  sql.withTransaction(
    Effect.gen(function* () {
      const name = sql.literal(counter.sequence);
      // Changes nothing, and waits for all who have taken a number.
      yield* sql`ALTER SEQUENCE ${name} NO CYCLE`;
      return yield* sql<Raised>`
        SELECT sequence, last, stored,
          setval(${counter.sequence}::regclass, stored) AS now
        FROM (${sql.literal(behind([counter]))}) AS counter`;
    }),
  );

/** Raises those that are behind, and says which. */
export const raise: Effect.Effect<
  ReadonlyArray<Raised>,
  SqlError.SqlError,
  SqlClient.SqlClient
> = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;
  const [cluster] = yield* sql<{ is_there: boolean }>`
    SELECT to_regclass(${ofCluster.sequence}) IS NOT NULL AS is_there`;
  const all = cluster?.is_there ? [...counters, ofCluster] : counters;
  const found = yield* sql<Raised>`${sql.literal(behind(all))}`;
  const raised = yield* Effect.forEach(
    all.filter(({ sequence }) => found.some((_) => _.sequence === sequence)),
    (counter) => raiseOne(sql, counter),
  );
  const first = raised.flat();
  for (const { last, sequence, stored } of first) {
    yield* Effect.logWarning(
      `the sequence ${sequence} had given numbers up to ${last} and numbers up to ${stored} are stored, as after a move by logical replication: it was raised to ${stored}. Nothing is lost. Stop every instance on the former database, if one still runs.`,
    );
  }
  return first;
});
