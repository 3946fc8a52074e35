/**
 * Transactions that write events and stay open, on connections of their own: as
 * statements of other instances that take their time.
 */
import { PgClient } from "@effect/sql-pg";
import { Effect, Redacted } from "effect";
import * as Reactivity from "effect/reactivity/Reactivity";
import type { SqlConnection } from "effect/sql";
import { TestDatabase } from "../support/testDatabase.ts";

export interface OpenWrites {
  /** Writes a record with these events; begins a transaction, if none is open. */
  readonly write: (order_ids: ReadonlyArray<string>) => Effect.Effect<void>;
  readonly commit: Effect.Effect<void>;
  readonly rollBack: Effect.Effect<void>;
}

/** So many of them. */
export const make = Effect.fnUntraced(function* (count: number) {
  const { url } = yield* TestDatabase;
  const sql = yield* PgClient.make({
    url: Redacted.make(url),
    maxConnections: count,
  }).pipe(Effect.provide(Reactivity.layer));
  const first = yield* Effect.flatMap(sql.reserve, writesOn);
  const more = yield* Effect.all(
    Array.from({ length: count - 1 }, () =>
      Effect.flatMap(sql.reserve, writesOn),
    ),
  );
  return [first, ...more] as const;
});

const writesOn = Effect.fnUntraced(function* (
  connection: SqlConnection.Connection,
) {
  let isOpen = false;
  const run = (text: string, params: ReadonlyArray<unknown> = []) =>
    Effect.asVoid(connection.execute(text, params, undefined)).pipe(
      Effect.orDie,
    );
  const end = (how: "COMMIT" | "ROLLBACK") =>
    Effect.suspend(() => {
      if (!isOpen) return Effect.void;
      isOpen = false;
      return run(how);
    });
  yield* Effect.addFinalizer(() => end("ROLLBACK"));
  return {
    write: Effect.fnUntraced(function* (order_ids) {
      if (!isOpen) {
        isOpen = true;
        yield* run("BEGIN");
        // Before a number is taken, as in all statements that change orders.
        yield* run("SELECT pg_current_xact_id()::text");
      }
      yield* run(
        `INSERT INTO order_events (event, size, order_ids, user_ids)
          SELECT 'order.placed', count(*), array_agg(id), array_agg('U'::text)
          FROM json_array_elements_text($1::text::json) AS id`,
        [JSON.stringify(order_ids)],
      );
    }),
    commit: end("COMMIT"),
    rollBack: end("ROLLBACK"),
  } satisfies OpenWrites as OpenWrites;
});
