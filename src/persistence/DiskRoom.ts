/**
 * Whether PostgreSQL's disk takes writes, once a statement has failed for it.
 *
 * The session of readiness only reads, and a full disk does not keep it from
 * that. So as long as the disk is suspect each check has PostgreSQL write a few
 * megabytes: a sort that does not fit into `work_mem` writes a temporary file,
 * and no log, no catalog and no table.
 */
import { Clock, Duration, Effect } from "effect";
import type { SqlError } from "effect/sql";
import { Connections } from "./Connections.ts";
import { describe } from "./DatabaseFault.ts";
import { RepositoryUnavailable } from "./OrderRepository.ts";

/**
 * After a statement that found the disk full, it is full for at least as long:
 * temporary files may be on another disk.
 */
const fullFor = Duration.seconds(10);

/** Rows of 1 kB: more than PostgreSQL takes at once for a table that grows. */
const probeRows = 4000;

const isOfDisk = (error: unknown) => {
  const { kind } = describe(error);
  return kind === "full" || kind === "disk";
};

export interface DiskRoom {
  /** A statement failed; whether for the disk is seen here. */
  readonly failed: (error: unknown) => Effect.Effect<void>;
  /** Fails while the disk takes no writes; costs nothing while none has failed. */
  readonly check: Effect.Effect<
    void,
    RepositoryUnavailable | SqlError.SqlError
  >;
}

export const make = Effect.map(Connections, ({ apart: sql }): DiskRoom => {
  let suspect: { readonly error: unknown; readonly at: number } | undefined;

  const probe = sql.withTransaction(
    Effect.andThen(
      sql`SET LOCAL work_mem = '64kB'`,
      sql`
        SELECT count(*) FROM (
          SELECT repeat(md5(n::text), 32) AS filler
          FROM generate_series(1, ${probeRows}::integer) AS n
          ORDER BY filler OFFSET 1
        ) AS sorted`,
    ),
  );

  const seconds = Effect.map(
    Clock.monotonicTimeNanos,
    (nanos) => Number(nanos) / 1e9,
  );

  return {
    failed: (error) =>
      Effect.suspend(() => {
        if (!isOfDisk(error)) return Effect.void;
        return Effect.map(seconds, (at) => {
          suspect = { error, at };
        });
      }),
    check: Effect.suspend(() => {
      if (suspect === undefined) return Effect.void;
      const { at, error } = suspect;
      const { kind, reason } = describe(error);
      return Effect.gen(function* () {
        yield* Effect.catchIf(
          probe,
          // Others say nothing of the disk: a limit of temporary files, say.
          (failed) => !isOfDisk(failed),
          () => Effect.void,
        );
        const age = (yield* seconds) - at;
        if (kind === "full" && age < Duration.toSeconds(fullFor)) {
          return yield* new RepositoryUnavailable({ reason });
        }
        suspect = undefined;
      });
    }),
  };
});
