/** The chaos suite itself, in the short form of some scenarios. */
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { type Judged, play } from "../../load/chaos/Play.ts";
import * as Postgres from "../../load/chaos/Postgres.ts";
import type { Scenario } from "../../load/chaos/Scenario.ts";
import { scenarios } from "../../load/chaos/Scenarios.ts";

let postgres: Postgres.Postgres;
beforeAll(async () => {
  postgres = await Postgres.open();
});
afterAll(() => postgres.stop());

const scenario = (name: string): Scenario => {
  const found = scenarios.find((_) => _.name === name);
  assert.isDefined(found);
  return found;
};

const playShort = (chosen: Scenario): Promise<Judged> =>
  play(chosen, { seed: 1, isShort: true, postgres, say: () => {} });

/** How fast it goes says nothing on a machine that runs other tests as well. */
const isOfTime =
  /^(orders are completed within|callers are answered within|no order stands still|no caller waits)/;

const assertHolds = ({ demands }: Judged) =>
  assert.deepStrictEqual(
    demands.filter(({ demand, isMet }) => !isMet && !isOfTime.test(demand)),
    [],
  );

describe("an answered order is never lost, never completed twice", () => {
  it("when the service is killed", { timeout: 60_000 }, async () => {
    const judged = await playShort(scenario("kill"));
    assertHolds(judged);
    assert.isAbove(judged.outcome.attempts?.max ?? 0, 1);
  });

  it("when a commit's answer is cut off", { timeout: 60_000 }, async () => {
    const judged = await playShort(scenario("commit-cut"));
    assertHolds(judged);
    assert.isAbove(judged.outcome.replayed, 0);
  });

  it("when the service is deployed", { timeout: 60_000 }, async () => {
    assertHolds(await playShort(scenario("deploy")));
  });

  it("when one of three instances is killed", {
    timeout: 120_000,
  }, async () => {
    assertHolds(await playShort(scenario("cluster-kill")));
  });
});
