/** What must hold of the outcome of every scenario. */
import type { Outcome } from "./Outcome.ts";
import { ordersMin, type Scenario, throughputShare } from "./Scenario.ts";

/** Something that must hold; `found` says what was seen. */
export interface Demand {
  readonly demand: string;
  readonly isMet: boolean;
  readonly found: string;
}

/** A list as a demand's finding: how many, and the first of them. */
const some = (list: ReadonlyArray<string>) =>
  list.length === 0 ? "0" : `${list.length}: ${list.slice(0, 3).join(", ")}`;

const none = (demand: string, list: ReadonlyArray<string>): Demand => ({
  demand,
  isMet: list.length === 0,
  found: some(list),
});

/** How soon it goes on after a fault: for orders, and for callers. */
function* recovered(
  {
    instances = 1,
    recoveryMaxSeconds: orderMax,
    callerMaxSeconds: callerMax = orderMax,
  }: Scenario,
  { recovery: { answered, worked } }: Outcome,
): Iterable<Demand> {
  const within = (
    demand: string,
    mostSeconds: number,
    seconds: number | undefined,
  ): Demand => ({
    demand,
    isMet: seconds !== undefined && seconds <= mostSeconds,
    found: seconds === undefined ? "no fault ended" : `${seconds.toFixed(2)} s`,
  });
  if (instances === 1) {
    yield within(
      `orders are completed within ${orderMax} s of a fault's end`,
      orderMax,
      worked,
    );
    yield within(
      `callers are answered within ${callerMax} s of a fault's end`,
      callerMax,
      answered,
    );
    return;
  }
  yield within(
    `no order stands still longer than ${orderMax} s, from a fault on`,
    orderMax,
    worked,
  );
  yield within(
    `no caller waits longer than ${callerMax} s, from a fault on`,
    callerMax,
    answered,
  );
}

/** What must hold in every scenario. */
export function* always(
  scenario: Scenario,
  outcome: Outcome,
): Iterable<Demand> {
  yield none("no answered order is lost", outcome.lost);
  yield none("no order is completed twice", outcome.completedTwice);
  yield none("no order moves as none may", outcome.regressed);
  yield none("no attempt is ended by who had not begun it", outcome.stolen);
  yield none("every order ends as it must", outcome.endedWrong);
  yield none("a completed order has had its effect", outcome.withoutEffect);
  yield none("accepted is the sum of its parts", outcome.unconserved);
  yield none("the service does not die by itself", outcome.deaths);
  yield none(
    "no answer tells of a fault: only 503 with Retry-After, and 408",
    Object.keys(outcome.misses).filter((miss) =>
      /status (?!408)|without/.test(miss),
    ),
  );
  yield {
    demand: "every order is answered in the end",
    isMet: outcome.unanswered === 0,
    found: `${outcome.unanswered} were not`,
  };
  yield {
    demand: "every call of the receiver is signed",
    isMet: outcome.badSignatures === 0,
    found: `${outcome.badSignatures} were not`,
  };
  yield {
    demand: "the service stops in order",
    isMet: outcome.exits.every((exit) => exit === 0),
    found: `exit ${outcome.exits.join(", ")}`,
  };
  yield {
    demand: "the fault was done",
    isMet: outcome.faults > 0,
    found: `${outcome.faults} times`,
  };
  const orders = ordersMin(outcome.isShort);
  yield {
    demand: `at least ${orders} orders are answered`,
    isMet: outcome.answered >= orders,
    found: String(outcome.answered),
  };
  yield* recovered(scenario, outcome);
  // The short form's windows are too short to measure by.
  if (outcome.isShort) return;
  const { after = 0, before = 0 } = outcome.throughput;
  yield {
    demand: `throughput afterwards is ${throughputShare * 100} % of before or more`,
    isMet: before > 0 && after >= throughputShare * before,
    found: `${before.toFixed(0)}/s before, ${after.toFixed(0)}/s after`,
  };
}

/** Misses of callers who found nobody there, which no instance caused. */
const harmless: ReadonlySet<string> = new Set(["refused", "stale connection"]);

export const nothingFails = ({ misses }: Outcome): Demand => {
  const harmful = Object.entries(misses).filter(([_]) => !harmless.has(_));
  return {
    demand: "no request fails while somebody listens",
    isMet: harmful.length === 0,
    found: harmful.map((_) => _.join(": ")).join(", "),
  };
};

export const nothingIsSpent = ({ attempts }: Outcome): Demand => ({
  demand: "no attempt is spent",
  isMet: attempts?.min === 1 && attempts.max === 1,
  found: `${attempts?.min}-${attempts?.max} attempts an order`,
});
