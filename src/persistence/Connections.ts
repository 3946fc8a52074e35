/**
 * The connections to the database, kept apart by what they are used for, so
 * that a statement which waits or takes long holds up none of another kind.
 * `SqlClient` is the client beside them: it has the leases and the migrations.
 */
import { Context, Effect, Layer } from "effect";
import { SqlClient } from "effect/sql";

export class Connections extends Context.Service<
  Connections,
  {
    /**
     * For statements that many callers share, and that are quick. They travel
     * together on few connections, so none of them may wait for long.
     */
    readonly working: SqlClient.SqlClient;
    /** For reading: a statement ends sooner here, and has its connection alone. */
    readonly reading: SqlClient.SqlClient;
    /** For changes that may wait for a row; each has its connection alone. */
    readonly apart: SqlClient.SqlClient;
    /** How many lists may be read at once: finding has to go on beside them. */
    readonly listsMax: number;
    /** Says that the database takes no changes: there may be another that does. */
    readonly isReadOnly: Effect.Effect<void>;
    /** What may be wrong where the database refuses the login. */
    readonly loginHint?: string | undefined;
  }
>()("persistence/Connections") {
  /** For a database with a single session: there is nothing to keep apart. */
  static readonly layerShared = Layer.effect(
    Connections,
    Effect.map(SqlClient.SqlClient, (client) =>
      Connections.of({
        working: client,
        reading: client,
        apart: client,
        listsMax: 32,
        isReadOnly: Effect.void,
      }),
    ),
  );
}
