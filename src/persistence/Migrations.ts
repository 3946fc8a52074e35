/** The migrations, in their order. `migrations/README.md` says how to add one. */
import { Migrator } from "effect/sql";
import orders from "../../migrations/0001_orders.ts";

export const migrations = Migrator.fromRecord({
  "0001_orders": orders,
});

/** The schema this code was written for. */
export const newestMigration = 1;

export const migrationsTable = "effect_sql_migrations";
