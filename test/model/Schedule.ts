/**
 * What happens to the service, step by step: what callers ask, how the work
 * turns out, what breaks and what is put right. A schedule is data, so that a
 * failing one can be made smaller and played again.
 */
import { Arbitrary, Schema } from "effect";

/** Orders that a schedule knows: few, so that its steps meet. */
export const orderCount = 5;

const OrderNumber = Schema.Literals([0, 1, 2, 3, 4]);

/** So long something takes, in milliseconds. */
const Short = Schema.Literals([0, 100, 700, 2000]);

/** How one attempt at an order turns out. */
export const Outcome = Schema.Union([
  Schema.TaggedStruct("Succeed", { after: Short }),
  Schema.TaggedStruct("FailRetryably", {
    after: Short,
    retryAfter: Schema.Literals([0, 1500, 20_000]),
  }),
  Schema.TaggedStruct("FailFinally", { after: Short }),
  Schema.TaggedStruct("Defect", { after: Short }),
  /** Not as an effect, but when it is asked for one. */
  Schema.TaggedStruct("Throw", {}),
  Schema.TaggedStruct("InterruptItself", { after: Short }),
  Schema.TaggedStruct("Hang", {}),
  Schema.TaggedStruct("Unavailable", {
    after: Short,
    retryAfter: Schema.Literals([200, 3000]),
    isForAll: Schema.Boolean,
  }),
]);
export type Outcome = typeof Outcome.Type;

/** Changes that can be cut off from their answer. */
export const Change = Schema.Literals([
  "any change",
  "insert",
  "claim",
  "keepPlace",
  "begin",
  "complete",
  "fail",
  "release",
  "cancel",
  "retry",
]);
export type Change = typeof Change.Type;

const Place = Schema.TaggedStruct("Place", {
  order: OrderNumber,
  content: Schema.Literals(["same", "same", "other"]),
  /** How its attempts turn out, if this step is its first; then they succeed. */
  work: Schema.Array(Outcome).check(Schema.isMaxLength(3)),
});
const Pass = Schema.TaggedStruct("Pass", {
  ms: Schema.Literals([100, 500, 1000, 2500, 5000, 25_000]),
});
const Start = Schema.TaggedStruct("Start", {});
const Takeover = Schema.TaggedStruct("Takeover", {});
const Freeze = Schema.TaggedStruct("Freeze", {});
const Thaw = Schema.TaggedStruct("Thaw", {
  /** So long one that lost its partitions does not know. */
  unawareFor: Schema.Literals([0, 100, 1500]),
});
const Crash = Schema.TaggedStruct("Crash", {
  which: Schema.Literals(["owner", "former owner"]),
});
const LateCommits = Schema.TaggedStruct("LateCommits", {
  times: Schema.Literals([1, 2]),
  ms: Schema.Literals([100, 1500, 5000]),
});

export const Step = Schema.Union([
  // A kind of step is drawn as often as it stands here.
  Place,
  Place,
  Place,
  Place,
  Pass,
  Pass,
  Pass,
  Schema.TaggedStruct("Cancel", { order: OrderNumber }),
  Schema.TaggedStruct("Retry", { order: OrderNumber }),
  Schema.TaggedStruct("RetryMany", { limit: Schema.Literals([1, 2, 500]) }),
  Start,
  Start,
  Crash,
  Schema.TaggedStruct("Drain", {}),
  Schema.TaggedStruct("ActorCrash", {}),
  Freeze,
  Takeover,
  Takeover,
  Thaw,
  Schema.TaggedStruct("Outage", {
    ms: Schema.Literals([500, 3000, 25_000]),
  }),
  /** The next changes happen, and their answers are lost. */
  Schema.TaggedStruct("CutAnswers", {
    of: Change,
    times: Schema.Literals([1, 3]),
  }),
  /** The next changes are given up, and happen afterwards. */
  Schema.TaggedStruct("LateChanges", {
    of: Change,
    times: Schema.Literals([1, 2]),
    late: Schema.Literals([100, 1500, 5000]),
  }),
  /** The next orders get their numbers, and are committed so much later. */
  LateCommits,
  LateCommits,
  /** The next such call is a defect of the process itself. */
  Schema.TaggedStruct("BrokenCall", {
    of: Schema.Literals(["claim", "begin", "complete", "release"]),
  }),
  /** The next calls take so long, each way. */
  Schema.TaggedStruct("SlowCalls", {
    times: Schema.Literals([1, 4]),
    ms: Schema.Literals([50, 400, 2000]),
  }),
]);
export type Step =
  | typeof Step.Type
  // Not drawn, but asked for.
  /** So many orders at once, for one partition. */
  | { readonly _tag: "Backlog"; readonly orders: number }
  /** An order's row is locked: what would change it waits in the database. */
  | { readonly _tag: "LockRow"; readonly order: number; readonly ms: number };

export interface Schedule {
  /** What the random waits are drawn from. */
  readonly jitter: number;
  /** Whether a log is read in stretches of few orders. */
  readonly hasShortReads?: boolean;
  readonly steps: ReadonlyArray<Step>;
}

const Jitter = Schema.Int.check(
  Schema.isBetween({ minimum: 0, maximum: 0xffff }),
);

/** Any schedule of at most so many steps, the first of which starts it. */
export const schedules = (stepsMax: number): Arbitrary.Arbitrary<Schedule> =>
  Arbitrary.map(
    Arbitrary.all({
      jitter: Arbitrary.schema(Jitter),
      hasShortReads: Arbitrary.schema(Schema.Boolean),
      steps: Arbitrary.array(Arbitrary.schema(Step), { maxLength: stepsMax }),
    }),
    ({ steps, ...rest }) => ({
      ...rest,
      steps: [{ _tag: "Start" }, ...steps],
    }),
  );

/** The same, with so many orders placed at once somewhere in it. */
export const schedulesWithBacklog = (
  stepsMax: number,
  orders: number,
): Arbitrary.Arbitrary<Schedule> =>
  Arbitrary.map(
    Arbitrary.all([schedules(stepsMax / 2), schedules(stepsMax / 2)]),
    ([before, after]) => ({
      ...before,
      steps: [...before.steps, { _tag: "Backlog", orders }, ...after.steps],
    }),
  );

const seconds = (ms: number) => `${ms / 1000} s`;

const describeOutcome = (outcome: Outcome): string => {
  switch (outcome._tag) {
    case "Succeed":
      return `succeeds after ${seconds(outcome.after)}`;
    case "FailRetryably":
      return `fails after ${seconds(outcome.after)}${outcome.retryAfter === 0 ? "" : `, asks to wait ${seconds(outcome.retryAfter)}`}`;
    case "FailFinally":
      return `fails for good after ${seconds(outcome.after)}`;
    case "Throw":
      return "throws at once";
    case "Defect":
      return `dies after ${seconds(outcome.after)}`;
    case "InterruptItself":
      return `interrupts itself after ${seconds(outcome.after)}`;
    case "Hang":
      return "hangs";
    case "Unavailable":
      return `is unavailable${outcome.isForAll ? " for all" : ""} after ${seconds(outcome.after)}, for ${seconds(outcome.retryAfter)}`;
  }
};

export const describeStep = (step: Step): string => {
  switch (step._tag) {
    case "Place":
      return `place O${step.order}${step.content === "same" ? "" : " with other content"}${step.work.length === 0 ? "" : `; its work ${step.work.map(describeOutcome).join(", then ")}`}`;
    case "Cancel":
      return `cancel O${step.order}`;
    case "Retry":
      return `retry O${step.order}`;
    case "RetryMany":
      return `retry at most ${step.limit} of the failed`;
    case "Backlog":
      return `place ${step.orders} orders at once in one partition`;
    case "LockRow":
      return `the row of O${step.order} is locked for ${seconds(step.ms)}`;
    case "Pass":
      return `${seconds(step.ms)} pass`;
    case "Start":
      return "start a process, if there is no owner";
    case "Crash":
      return `the ${step.which} is killed`;
    case "Drain":
      return "the owner is told to stop, and drains";
    case "ActorCrash":
      return "the owner's actors crash at their next read";
    case "Freeze":
      return "the owner freezes";
    case "Takeover":
      return "the owner freezes, and another process takes over";
    case "Thaw":
      return `the frozen go on; a former owner learns of it after ${seconds(step.unawareFor)}`;
    case "Outage":
      return `the database is away for ${seconds(step.ms)}`;
    case "CutAnswers":
      return `the next ${step.times} answers to ${step.of} are lost`;
    case "LateChanges":
      return `the next ${step.times} of ${step.of} are given up and happen ${seconds(step.late)} later`;
    case "LateCommits":
      return `the next ${step.times} orders are committed ${seconds(step.ms)} after they are numbered`;
    case "BrokenCall":
      return `the next ${step.of} is a defect, and does not happen`;
    case "SlowCalls":
      return `the next ${step.times} calls of the database take ${seconds(step.ms)} each way`;
  }
};

/** A schedule as a list that can be read. */
export const describeSchedule = ({ hasShortReads, steps }: Schedule): string =>
  [
    ...(hasShortReads === true ? ["     (the log is read in pieces)"] : []),
    ...steps.map(
      (step, index) =>
        `${String(index + 1).padStart(3)}. ${describeStep(step)}`,
    ),
  ].join("\n");
