/** What a scenario is: the harm it does, and what must hold then. */
import type { OrderStatus } from "../../src/domain/OrderStatus.ts";
import type { Demand } from "./Demands.ts";
import type { Outcome } from "./Outcome.ts";
import type { Stage } from "./Stage.ts";

export interface Scenario {
  readonly name: string;
  /** The fault, in one line. */
  readonly about: string;
  /** Orders a second. */
  readonly rate: number;
  /** Settings of the service. */
  readonly settings?: Readonly<Record<string, string>>;
  /** How many instances share the database and the load; 1 if not given. */
  readonly instances?: number;
  /** Whether each instance reaches its database through a proxy. */
  readonly isProxied?: boolean;
  /** How orders are marked for the receiver, while the stage is marking. */
  readonly mark?: (number: number) => string | undefined;
  /** How an order must end; COMPLETED if not given. */
  readonly endOf?: (order_id: string) => OrderStatus;
  /** Whether the short form can be played beside other scenarios. */
  readonly isMostlyWaiting?: boolean;
  /** How soon work must go on after a fault; see `Recovery`. */
  readonly recoveryMaxSeconds: number;
  /** The same for callers and their answers; if not given, as for orders. */
  readonly callerMaxSeconds?: number;
  /** Whether events are read all the while, in every way there is. */
  readonly readsEvents?: boolean;
  /** Whether orders leave the table soon, into files. */
  readonly archives?: boolean;
  /** Does the harm, under load. */
  readonly run: (stage: Stage) => Promise<void>;
  /** What must hold beside what must always hold. */
  readonly demands?: (outcome: Outcome, stage: Stage) => Iterable<Demand>;
}

/** The load of most scenarios: what two busy cores can take with ease. */
export const ordersASecond = 350;

/** So many orders at least go through a scenario. */
export const ordersMin = (isShort: boolean): number => (isShort ? 300 : 10_000);

/** The least share of the throughput before that comes back. */
export const throughputShare = 0.9;
