/**
 * What stays of orders that have left the table: their ids and a digest of
 * their content, so that none of them is placed again.
 *
 * An order leaves in one transaction: its row goes, and its id comes into
 * `archived_orders`. Whoever places it at that moment has to wait for the row,
 * which holds the id; then the id is free, but the statement's snapshot may be
 * older than all of this. So once it has inserted, it asks `none_archived`: a
 * volatile function sees what is committed when it is called. Whoever could
 * insert, could do so because the row was gone; the id was archived by then, and
 * is seen. The statement fails and is sent anew.
 *
 * Both looks are made only once `order_archive_claims` was ever called, which a
 * claim does before anything can leave: a sequence is seen as it is, whatever
 * the snapshot. Where nothing is archived, placing pays next to nothing.
 *
 * `order_archive` is one row. `epoch` counts who has taken the archive over, and
 * fences the one before. `batch` numbers what leaves together: the row is
 * locked, so batches come one after another. `archive_batches` says which
 * numbers of the log each had, so that a count of all orders, which takes many
 * snapshots, knows of what it has counted what has left since (`OrderCount`).
 *
 * `archive_files` are the files, and up to where each is true: what is behind
 * that in a file was written by somebody who died before the orders had left.
 */
import { Effect } from "effect";
import { SqlClient } from "effect/sql";

/** A code of ours: it was archived, or changed, meanwhile. Ask again. */
const meanwhile = "'OA001'";

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;

  yield* sql`
    CREATE TABLE archived_orders (
      order_id text COLLATE "C" NOT NULL,
      digest bytea NOT NULL,
      CONSTRAINT archived_orders_pkey PRIMARY KEY (order_id)
    )`;
  yield* sql`ALTER TABLE order_statistics
    ADD COLUMN archived bigint NOT NULL DEFAULT 0`;

  yield* sql`CREATE SEQUENCE order_archive_claims`;
  yield* sql`
    CREATE TABLE order_archive (
      one boolean PRIMARY KEY DEFAULT true CHECK (one),
      epoch integer NOT NULL DEFAULT 0,
      batch bigint NOT NULL DEFAULT 0
    ) WITH (
      fillfactor = 10,
      autovacuum_vacuum_scale_factor = 0,
      autovacuum_vacuum_threshold = 500
    )`;
  yield* sql`ALTER SEQUENCE order_archive_claims OWNED BY order_archive.epoch`;
  yield* sql`INSERT INTO order_archive DEFAULT VALUES`;
  yield* sql`
    CREATE TABLE archive_batches (
      no bigint NOT NULL,
      numbers int8multirange NOT NULL,
      CONSTRAINT archive_batches_pkey PRIMARY KEY (no)
    )`;
  yield* sql`
    CREATE TABLE archive_files (
      name text COLLATE "C" NOT NULL,
      epoch integer NOT NULL,
      opened_at timestamptz(3) NOT NULL DEFAULT now(),
      bytes bigint NOT NULL DEFAULT 0,
      orders bigint NOT NULL DEFAULT 0,
      CONSTRAINT archive_files_pkey PRIMARY KEY (name)
    ) WITH (fillfactor = 50)`;
  yield* sql`CREATE INDEX archive_files_epoch ON archive_files (epoch)`;

  // Of what makes two orders the same (domain/Order.ts, sameContent). As jsonb
  // the keys of an object have one order, and a number one form.
  yield* sql`
    CREATE FUNCTION order_digest(user_id text, total_amount numeric, item_ids json)
    RETURNS bytea LANGUAGE sql STABLE AS $$
      SELECT substring(sha256(convert_to(jsonb_build_array(
        user_id, total_amount::numeric(10, 2), item_ids::jsonb)::text, 'UTF8'))
        FROM 1 FOR 16)
    $$`;
  yield* sql`
    CREATE FUNCTION none_archived(ids text[]) RETURNS boolean
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
      IF EXISTS (SELECT FROM archived_orders WHERE order_id = ANY(ids)) THEN
        RAISE EXCEPTION 'an order was archived while it was placed again'
          USING ERRCODE = ${sql.literal(meanwhile)};
      END IF;
      RETURN true;
    END $$`;
  yield* sql`
    CREATE FUNCTION all_archived(asked bigint, gone bigint) RETURNS boolean
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
      IF gone <> asked THEN
        RAISE EXCEPTION 'an order was changed before it was archived'
          USING ERRCODE = ${sql.literal(meanwhile)};
      END IF;
      RETURN true;
    END $$`;
});
