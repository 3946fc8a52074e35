/**
 * What really happened to every order, told by the database itself: a trigger
 * writes down each change of status or attempts, in the same transaction, and
 * who made it: instances are told apart by the user they connect as. The
 * service knows nothing of it.
 */
import type { Transition } from "./Checks.ts";
import type { Client } from "./Postgres.ts";

const statements = [
  `CREATE TABLE chaos_transitions (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    order_id text NOT NULL,
    was text NOT NULL,
    became text NOT NULL,
    attempts_was integer NOT NULL,
    attempts integer NOT NULL,
    error text,
    who text NOT NULL
  )`,
  `CREATE FUNCTION chaos_audit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO chaos_transitions
        (order_id, was, became, attempts_was, attempts, error, who)
      VALUES (OLD.order_id, OLD.status, NEW.status, OLD.attempts, NEW.attempts,
        NEW.last_error,
        current_setting('application_name') || ' as ' || session_user);
      RETURN NULL;
    END
  $$`,
  `CREATE TRIGGER chaos_audit AFTER UPDATE ON orders FOR EACH ROW
    WHEN (OLD.status <> NEW.status OR OLD.attempts <> NEW.attempts)
    EXECUTE FUNCTION chaos_audit()`,
];

/** Begins to write down. The table `orders` must be there. */
export const install = async (client: Client): Promise<void> => {
  for (const statement of statements) await client.query(statement);
};

/** Everything written down, in its order. */
export const read = async (
  client: Client,
): Promise<ReadonlyArray<Transition>> => {
  const { rows } = await client.query(`
    SELECT order_id, was, became, attempts_was, attempts, error, who,
      (extract(epoch FROM at) * 1000)::float8 AS at
    FROM chaos_transitions ORDER BY seq`);
  return rows as ReadonlyArray<Transition>;
};
