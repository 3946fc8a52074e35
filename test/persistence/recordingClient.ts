/** A client that writes down every statement on its way to the database. */
import { PgClient } from "@effect/sql-pg";
import { Context, Effect, Layer } from "effect";
import * as Reactivity from "effect/reactivity/Reactivity";
import { SqlClient, type SqlConnection } from "effect/sql";
import { Connections } from "../../src/persistence/Connections.ts";

export interface Recorded {
  readonly text: string;
  readonly params: ReadonlyArray<unknown>;
}

export class Recorder extends Context.Service<
  Recorder,
  {
    /** The statements of an effect, as they were sent, in their order. */
    readonly during: <A, E, R>(
      effect: Effect.Effect<A, E, R>,
    ) => Effect.Effect<ReadonlyArray<Recorded>, E, R>;
    /** The client below, whose statements are not written down. */
    readonly unrecorded: SqlClient.SqlClient;
  }
>()("test/Recorder") {}

/** In place of the client it is given. */
export const layer = Layer.effectContext(
  Effect.gen(function* () {
    const unrecorded = yield* SqlClient.SqlClient;
    let recorded: Array<Recorded> = [];
    const recording = (
      connection: SqlConnection.Connection,
    ): SqlConnection.Connection =>
      Object.assign(Object.create(connection) as typeof connection, {
        execute: (
          text: string,
          params: ReadonlyArray<unknown>,
          transform: undefined,
        ) => {
          recorded.push({ text, params });
          return connection.execute(text, params, transform);
        },
      });
    const client = yield* SqlClient.make({
      driver: "recording",
      acquirer: Effect.map(unrecorded.reserve, recording),
      compiler: PgClient.makeCompiler(),
      spanAttributes: [],
    });
    return Context.make(SqlClient.SqlClient, client).pipe(
      Context.add(Connections, {
        working: client,
        reading: client,
        apart: client,
        listsMax: 1,
        isReadOnly: Effect.void,
      }),
      Context.add(Recorder, {
        unrecorded,
        during: (effect) =>
          Effect.suspend(() => {
            recorded = [];
            return Effect.map(effect, () => recorded);
          }),
      }),
    );
  }),
).pipe(Layer.provide(Reactivity.layer));
