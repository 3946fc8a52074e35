/**
 * Who may do what: the keys. Of a key there is its SHA-256, by which it is
 * found, and its first characters, by which a person tells it from others.
 *
 * A row is a key through all its rolling: `old_digest` is the one before,
 * which is good until `old_until`. That a name is unique among keys that are
 * good depends on the time, so no index can see to it: whoever adds a key
 * locks the table (`KeyStoreSql`).
 */
import { Effect } from "effect";
import { SqlClient } from "effect/sql";

export default Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient;

  yield* sql`
    CREATE TABLE access_keys (
      id text COLLATE "C" PRIMARY KEY,
      name text COLLATE "C" NOT NULL,
      scopes text[] COLLATE "C" NOT NULL,
      rate_limit text,
      digest text COLLATE "C" NOT NULL,
      start text NOT NULL,
      created_at timestamptz(3) NOT NULL DEFAULT now(),
      expires_at timestamptz(3),
      rolled_at timestamptz(3),
      old_digest text COLLATE "C",
      old_until timestamptz(3),
      revoked_at timestamptz(3),
      CONSTRAINT access_keys_digest UNIQUE (digest),
      CONSTRAINT access_keys_old_digest UNIQUE (old_digest)
    )`;
});
