/**
 * Remembers whether orders are worked on, what instances say of themselves, and
 * samples of the counts. The database's clock is the one for all of it.
 */
import {
  Context,
  type DateTime,
  type Duration,
  type Effect,
  type Option,
} from "effect";
import type { StepTotals, Totals } from "../domain/MetricsHistory.ts";
import type {
  InstanceReport,
  ProcessingChange,
  ProcessingControl,
  ProcessingState,
} from "../domain/Processing.ts";
import type { OrderTally, RepositoryUnavailable } from "./OrderRepository.ts";

/** How long orders waited, and took, that an instance has not told of yet. */
export type Times = Pick<
  Totals,
  "waited_orders" | "waited_seconds" | "whole_orders" | "whole_seconds"
>;

type Answer<A> = Effect.Effect<A, RepositoryUnavailable>;

export class ProcessingStore extends Context.Service<
  ProcessingStore,
  {
    readonly control: Answer<ProcessingControl>;
    /**
     * Pauses or resumes. What is so already stays as it is, with who did it.
     *
     * @returns what is in force then, and whether this changed it
     */
    change(
      state: ProcessingState,
      actor: string | undefined,
    ): Answer<{
      readonly isChanged: boolean;
      readonly control: ProcessingControl;
    }>;
    /** The latest changes, newest first: `changesShown` of them at most. */
    readonly changes: Answer<ReadonlyArray<ProcessingChange>>;

    /**
     * An instance's sign of life.
     *
     * @param grown what is added to the times of all instances
     * @returns what is in force
     */
    report(report: InstanceReport, grown: Times): Answer<ProcessingControl>;
    /** It says no more: it stops. */
    withdraw(name: string): Answer<void>;
    /** Those that have reported within `reportSeconds`, by name. */
    readonly instances: Answer<ReadonlyArray<InstanceReport>>;

    /**
     * Keeps the sample of the ten seconds there are now, unless somebody has
     * done so; thins what is old, and forgets what is older.
     *
     * @returns how long it is until the next ten seconds begin
     */
    keepSample(tally: OrderTally): Answer<Duration.Duration>;
    /** The oldest sample of the last minute, and how old it is. */
    readonly minuteAgo: Answer<
      Option.Option<{ readonly totals: Totals; readonly ageSeconds: number }>
    >;
    /**
     * The last sample of each step, oldest first, from one step before `since`
     * on. Steps begin at multiples of their length since 1970.
     */
    history(
      since: DateTime.Utc,
      stepSeconds: number,
    ): Answer<ReadonlyArray<StepTotals>>;
  }
>()("persistence/ProcessingStore") {}

/** A sample may be taken a little late, and is of the last minute all the same. */
export const minuteSeconds = 65;
