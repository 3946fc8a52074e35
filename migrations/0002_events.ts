/**
 * What happened to orders: for others (events), and for whoever asks after one
 * order (its history).
 *
 * `order_events` is a log. A row is a record: all events of one type that one
 * statement made, in arrays. A row for each event would take ten times the WAL
 * and five times the CPU. `no` is taken once the statement has changed its
 * orders, so it is known below which number nothing can appear (`LogHorizon`),
 * and the events of one order have their numbers in their order.
 *
 * It is partitioned by day (UTC), so that what is old is dropped and not
 * deleted. The days are made ahead (`EventDays`); what comes on another day,
 * as clocks may be wrong, is in `order_events_other`. `event_log` says up to
 * which number records were dropped.
 *
 * Every table has a primary key, also `event_log` with its one row. Without one
 * PostgreSQL refuses to change or delete rows of a table that is published.
 *
 * `order_history` has what an order's row does not say: attempts that failed,
 * were lost or given back, and what somebody did. The happy path writes none.
 *
 * `subscriptions` are those who get events posted, and where each stands:
 * after event `place_index` of record `place`. `slot` bounds how many there
 * are, and says whose they are: the owner of a partition has those of its
 * slots. `epoch` fences dispatchers; `resumed` counts how often somebody had
 * one resumed, so that a dispatcher which waits begins anew.
 */
import { Effect } from "effect";
import { SqlClient } from "effect/sql";

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;

  yield* sql`CREATE SEQUENCE order_events_seq`;
  yield* sql`
    CREATE TABLE order_events (
      no bigint NOT NULL DEFAULT nextval('order_events_seq'),
      at timestamptz(3) NOT NULL DEFAULT now(),
      event text COLLATE "C" NOT NULL,
      size integer NOT NULL,
      order_ids text[] COLLATE "C" NOT NULL,
      user_ids text[] COLLATE "C" NOT NULL,
      attempts integer[],
      details json,
      CONSTRAINT order_events_pkey PRIMARY KEY (no, at)
    ) PARTITION BY RANGE (at)`;
  yield* sql`ALTER SEQUENCE order_events_seq OWNED BY order_events.no`;
  yield* sql`CREATE TABLE order_events_other
    PARTITION OF order_events DEFAULT`;

  yield* sql`
    CREATE TABLE event_log (
      one boolean PRIMARY KEY DEFAULT true CHECK (one),
      dropped_to bigint NOT NULL
    )`;
  yield* sql`INSERT INTO event_log (dropped_to) VALUES (0)`;

  yield* sql`CREATE SEQUENCE order_history_seq`;
  yield* sql`
    CREATE TABLE order_history (
      order_id text COLLATE "C" NOT NULL,
      no bigint NOT NULL DEFAULT nextval('order_history_seq'),
      at timestamptz(3) NOT NULL DEFAULT now(),
      entry text COLLATE "C" NOT NULL,
      attempt integer,
      began_at timestamptz(3),
      epoch integer,
      outcome text COLLATE "C",
      error text,
      actor text,
      CONSTRAINT order_history_pkey PRIMARY KEY (order_id, no)
    )`;
  yield* sql`ALTER SEQUENCE order_history_seq OWNED BY order_history.no`;
  // Finds the highest number (\`Sequences\`). The happy path writes no entry.
  yield* sql`CREATE INDEX order_history_no ON order_history (no)`;

  yield* sql`
    CREATE TABLE subscriptions (
      id text COLLATE "C" PRIMARY KEY,
      slot integer NOT NULL UNIQUE CHECK (slot BETWEEN 0 AND 99),
      url text NOT NULL,
      types text[] NOT NULL,
      secret text NOT NULL,
      status text COLLATE "C" NOT NULL DEFAULT 'ACTIVE'
        CHECK (status IN ('ACTIVE', 'PAUSED', 'DISABLED')),
      reason text,
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      place bigint NOT NULL,
      place_index integer NOT NULL,
      place_at bigint,
      epoch integer NOT NULL DEFAULT 0,
      resumed integer NOT NULL DEFAULT 0,
      delivered bigint NOT NULL DEFAULT 0,
      delivered_at timestamptz(3),
      failures integer NOT NULL DEFAULT 0,
      failing_since timestamptz(3),
      next_attempt_at timestamptz(3),
      last_error text
    ) WITH (fillfactor = 50)`;
});
