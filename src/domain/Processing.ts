/**
 * Whether orders are worked on, by whom, and how fast.
 *
 *     RUNNING  -- pause -->  PAUSED     orders are taken in, none begins
 *        ^---- resume ---------'
 *
 * It is one state for all instances of a database.
 */
import { type DateTime, Schema } from "effect";
import type { Partition } from "./Partition.ts";

export const ProcessingState = Schema.Literals(["RUNNING", "PAUSED"]);
export type ProcessingState = typeof ProcessingState.Type;

/** What was asked for last, and by whom. */
export interface ProcessingControl {
  readonly state: ProcessingState;
  /** Null while RUNNING. */
  readonly paused_at: DateTime.Utc | null;
  /** The name of the key; null while RUNNING, and where it is not known. */
  readonly paused_by: string | null;
}

export const running: ProcessingControl = {
  state: "RUNNING",
  paused_at: null,
  paused_by: null,
};

/** One pause or resume. */
export interface ProcessingChange {
  readonly state: ProcessingState;
  readonly at: DateTime.Utc;
  readonly actor: string | null;
}

/** So many changes are told, and so many are kept. */
export const changesShown = 20;
export const changesKept = 100;

/** From the best to the worst. */
export const CircuitState = Schema.Literals(["CLOSED", "HALF_OPEN", "OPEN"]);
export type CircuitState = typeof CircuitState.Type;

/** How it is with the receiver of the fulfilment webhook. */
export interface Receiver {
  readonly circuit: CircuitState;
  /** Since when the circuit has been in this state. */
  readonly since: DateTime.Utc;
  /** Of the last call that failed, in fixed words. */
  readonly last_error: string | null;
  readonly last_error_at: DateTime.Utc | null;
}

/** What an instance says of itself, once a second. */
export interface InstanceReport {
  readonly name: string;
  readonly version: string;
  readonly started_at: DateTime.Utc;
  /** What is in force there. */
  readonly state: ProcessingState;
  /** Those owned. */
  readonly partitions: ReadonlyArray<Partition>;
  /** Orders. */
  readonly in_work: number;
  /** Orders. */
  readonly mailbox_depth: number;
  /** Null where orders are not fulfilled by a receiver. */
  readonly receiver: Receiver | null;
  /** Of its upkeep, what has not succeeded for long, in words. */
  readonly upkeep: ReadonlyArray<string>;
}

/** An instance that has said nothing for so long is not told of any more. */
export const reportSeconds = 10;

/** The receiver as all instances together see it: as the worst of them does. */
export const worstReceiver = (
  receivers: ReadonlyArray<Receiver | null>,
): Receiver | null => {
  const known = receivers.filter((receiver) => receiver !== null);
  const [first, ...rest] = known;
  if (first === undefined) return null;
  const rank = ({ circuit }: Receiver) =>
    CircuitState.literals.indexOf(circuit);
  const worst = rest.reduce((one, other) => {
    const by = rank(other) - rank(one);
    if (by !== 0) return by > 0 ? other : one;
    return millisOf(other.since) < millisOf(one.since) ? other : one;
  }, first);
  const latest = known.reduce((one, other) =>
    millisOf(other.last_error_at) > millisOf(one.last_error_at) ? other : one,
  );
  return {
    circuit: worst.circuit,
    since: worst.since,
    last_error: latest.last_error,
    last_error_at: latest.last_error_at,
  };
};

const millisOf = (time: DateTime.Utc | null): number =>
  time?.epochMilliseconds ?? Number.NEGATIVE_INFINITY;

/** Orders a second; null where nobody counted. */
export interface Rates {
  readonly placed_per_second: number | null;
  readonly completed_per_second: number | null;
  readonly failed_per_second: number | null;
}

export const unknownRates: Rates = {
  placed_per_second: null,
  completed_per_second: null,
  failed_per_second: null,
};
