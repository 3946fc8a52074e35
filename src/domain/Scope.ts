/** What a key may do. */
import { Schema } from "effect";

/**
 * - `orders:place`: place orders
 * - `orders:read`: read orders, their history, events, metrics, the docs
 * - `orders:operate`: cancel, retry, and all else that operators do
 * - `admin`: make, list, roll and revoke keys
 *
 * None contains another.
 */
export const Scope = Schema.Literals([
  "orders:place",
  "orders:read",
  "orders:operate",
  "admin",
]);
export type Scope = typeof Scope.Type;

export const allScopes: ReadonlyArray<Scope> = Scope.literals;
