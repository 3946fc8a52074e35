/** What became of an order, from its placing on. */
import type { DateTime } from "effect";

/** How an attempt ended. */
export type HistoryOutcome = "completed" | "failed" | "lost" | "given_back";

export interface AttemptInHistory {
  readonly type: "attempt";
  /** When it began. */
  readonly time: DateTime.Utc;
  /** Its number among all that were begun, from 1. */
  readonly attempt: number;
  /** The instance that made it; null where that is not known. */
  readonly instance: string | null;
  readonly began_at: DateTime.Utc;
  /** Null while it is under way. */
  readonly ended_at: DateTime.Utc | null;
  readonly outcome: HistoryOutcome | null;
  readonly error: string | null;
}

export interface ChangeInHistory {
  readonly type: "cancelled" | "retried";
  readonly time: DateTime.Utc;
  /** Who asked for it; null where nobody said. */
  readonly actor: string | null;
}

export type HistoryEntry =
  | { readonly type: "placed"; readonly time: DateTime.Utc }
  | AttemptInHistory
  | ChangeInHistory;
