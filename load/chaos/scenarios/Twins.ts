/** A second process by the name of the first, started by mistake. */
import { setTimeout as wait } from "node:timers/promises";
import { partitions } from "../../../src/domain/Partition.ts";
import { spawnService } from "../../../test/support/serviceProcess.ts";
import { type Demand, nothingFails, nothingIsSpent } from "../Demands.ts";
import { ordersASecond, type Scenario } from "../Scenario.ts";
import type { Stage } from "../Stage.ts";

/** How a second process ended. */
interface Twin {
  readonly exit: number | string;
  /** What it said it ended for. */
  readonly words: ReadonlyArray<string>;
}

const seenIn = new WeakMap<Stage, Array<Twin>>();

const endMaxSeconds = 40;

const start = async (stage: Stage): Promise<Twin> => {
  const { child, ended, output } = spawnService({
    DATABASE_URL: `${stage.postgres.url}/${stage.database}`,
    FULFILLMENT_URL: stage.receiver.url,
    FULFILLMENT_SECRET: stage.receiver.secret,
    LOG_LEVEL: "Warn",
    ...stage.settings,
  });
  const exit = await Promise.race([
    ended,
    wait(endMaxSeconds * 1000, "it goes on"),
  ]);
  child.kill("SIGKILL");
  const words = output()
    .split("\n")
    .filter((line) => line.startsWith("order-service: "));
  return { exit, words };
};

/** The partitions that the first says it works on. */
const owned = async ({ service }: Stage): Promise<number> => {
  const answer = await fetch(`${service.url}/health/ready`);
  const said = (await answer.json()) as {
    readonly partitions?: ReadonlyArray<number>;
  };
  return said.partitions?.length ?? 0;
};

export const twins: Scenario = {
  name: "twins",
  about: "a second process with the RUNNER_HOST and RUNNER_PORT of the first",
  rate: ordersASecond,
  settings: { RUNNER_HOST: "twin", RUNNER_PORT: "7001" },
  isMostlyWaiting: true,
  recoveryMaxSeconds: 2,
  run: async (stage) => {
    const seen: Array<Twin> = [];
    const times = stage.amount(2, 1);
    for (let time = 0; time < times; time += 1) {
      // While it starts, attempts are under way that it could take away.
      stage.receiver.hold();
      const twin = start(stage);
      stage.fault("a second process starts");
      await wait(4000);
      stage.receiver.release(() => 200);
      seen.push(await twin);
      stage.faultOver();
      const partitionsLeft = await owned(stage);
      if (partitionsLeft < partitions.length) {
        seen.push({
          exit: `the first has ${partitionsLeft} partitions left`,
          words: [],
        });
      }
    }
    seenIn.set(stage, seen);
  },
  *demands(outcome, stage): Iterable<Demand> {
    const seen = seenIn.get(stage) ?? [];
    yield {
      demand: "the second ends with 1, and says why in one line",
      isMet:
        seen.length > 0 &&
        seen.every(
          ({ exit, words }) =>
            exit === 1 &&
            words.length === 1 &&
            words[0]?.includes("RUNNER_HOST or RUNNER_PORT") === true,
        ),
      found: seen
        .map(({ exit, words }) => `${exit}: ${words.join(" / ")}`)
        .join(", "),
    };
    yield nothingFails(outcome);
    yield nothingIsSpent(outcome);
  },
};
