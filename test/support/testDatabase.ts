/** An empty database of its own for whoever asks, dropped afterwards. */
import { randomBytes } from "node:crypto";
import { PgClient } from "@effect/sql-pg";
import { Context, Effect, Layer, Redacted } from "effect";
import * as ReactivityModule from "effect/reactivity/Reactivity";
import type { SqlClient, SqlError } from "effect/sql";
import { inject } from "vitest";
import type { Connections } from "../../src/persistence/Connections.ts";
import * as Postgres from "../../src/platform/Postgres.ts";

export class TestDatabase extends Context.Service<
  TestDatabase,
  { readonly url: string }
>()("test/TestDatabase") {
  static readonly layer = Layer.effect(
    TestDatabase,
    Effect.gen(function* () {
      const base = inject("postgresUrl");
      // A client for each of the two statements: one kept for the whole file
      // would sit idle in between, and its pool would have closed it by then.
      const administer = (
        statement: (
          sql: PgClient.PgClient,
        ) => Effect.Effect<unknown, SqlError.SqlError>,
      ) =>
        Effect.scoped(
          Effect.flatMap(
            PgClient.make({
              url: Redacted.make(`${base}/postgres`),
              maxConnections: 1,
            }),
            statement,
          ),
        ).pipe(Effect.provide(ReactivityModule.layer));
      const name = `orders_${randomBytes(6).toString("hex")}`;
      yield* Effect.acquireRelease(
        administer((sql) => sql`CREATE DATABASE ${sql(name)}`),
        () =>
          Effect.ignore(
            administer((sql) => sql`DROP DATABASE ${sql(name)} WITH (FORCE)`),
          ),
      );
      return { url: `${base}/${name}` };
    }),
  );
}

/** A client on a database of its own, with the settings of the service. */
export const layerSql: Layer.Layer<
  SqlClient.SqlClient | Connections | TestDatabase,
  unknown
> = Layer.unwrap(
  Effect.map(TestDatabase, ({ url }) =>
    Postgres.layer({ url: Redacted.make(url), poolSize: 5 }),
  ),
).pipe(Layer.provideMerge(TestDatabase.layer));
