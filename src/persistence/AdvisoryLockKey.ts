/**
 * Keys of advisory locks. PostgreSQL keeps these locks for each database, so the
 * key has the schema in it: deployments in two schemas do not exclude each other.
 */

/**
 * The key as an SQL expression.
 *
 * @param seed tells the locks of this service apart
 * @param name an SQL expression for what is locked
 */
export const advisoryLockKey = (seed: number, name = "''"): string =>
  `hashtextextended(concat(current_schema(), '.', ${name}), ${seed})`;
