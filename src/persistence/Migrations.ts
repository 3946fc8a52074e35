/** The migrations, in their order. `migrations/README.md` says how to add one. */
import { Migrator } from "effect/sql";
import orders from "../../migrations/0001_orders.ts";
import events from "../../migrations/0002_events.ts";
import access from "../../migrations/0003_access.ts";
import archive from "../../migrations/0004_archive.ts";
import processing from "../../migrations/0005_processing.ts";

export const migrations = Migrator.fromRecord({
  "0001_orders": orders,
  "0002_events": events,
  "0003_access": access,
  "0004_archive": archive,
  "0005_processing": processing,
});

/** The schema this code was written for. */
export const newestMigration = 5;

export const migrationsTable = "effect_sql_migrations";

/**
 * The migration that code must know to run on a database that a later one has
 * changed: the number at the end of the later one's name, as in
 * `0007_drop_notes_needs_0006`. The name is stored with the migration, so a
 * release can read it that was made before that migration was written. A
 * migration that only adds needs nothing.
 */
export const neededBy = (name: string): number =>
  Number(/_needs_(\d+)$/.exec(name)?.[1] ?? 0);
