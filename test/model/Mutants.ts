/**
 * How a process may be broken, to see whether it is noticed: what an actor's
 * parts are given is changed on the way to them. `model.test.ts` puts this
 * between the actor and its parts.
 */
import { Context, identity } from "effect";
import type { Intake } from "../../src/processor/Intake.ts";
import type { TakingBackOptions } from "../../src/processor/TakingBack.ts";

type IntakeRepository = Parameters<
  typeof import("../../src/processor/Intake.ts")["make"]
>[1];

export interface Mutants {
  readonly takingBack: (options: TakingBackOptions) => TakingBackOptions;
  /** What it reads with, and what comes of it. */
  readonly intake: (repository: IntakeRepository) => {
    readonly repository: IntakeRepository;
    readonly mutate: (intake: Intake) => Intake;
  };
}

export const noMutants: Mutants = {
  takingBack: identity,
  intake: (repository) => ({ repository, mutate: identity }),
};

export const ProcessMutants = Context.Reference<Mutants>(
  "test/model/ProcessMutants",
  { defaultValue: () => noMutants },
);
