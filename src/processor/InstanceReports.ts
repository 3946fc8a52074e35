/**
 * What this instance says of itself, once a second; the answer is whether
 * processing is paused. So a pause is in force on every instance within two
 * seconds, and while the database is away what it said last is.
 */
import { DateTime, Duration, Effect, Layer, Metric, Schedule } from "effect";
import type {
  InstanceReport,
  ProcessingControl,
} from "../domain/Processing.ts";
import { version } from "../domain/Version.ts";
import { Database } from "../persistence/Database.ts";
import { ThisInstance } from "../persistence/EventLog.ts";
import { InstanceName } from "../persistence/InstanceName.ts";
import { ProcessingStore, type Times } from "../persistence/ProcessingStore.ts";
import { OrderProcessor } from "./OrderProcessor.ts";
import { Pause } from "./Pause.ts";
import * as ProcessorMetrics from "./ProcessorMetrics.ts";
import { ReceiverState } from "./ReceiverState.ts";
import { type Overdue, Upkeep } from "./Upkeep.ts";

export const reportInterval = Duration.seconds(1);

/** How soon it is asked again what is in force, where nobody could say. */
const retryInterval = Duration.millis(250);

/** So long a stop waits to say that it is one. */
const withdrawTimeout = Duration.seconds(1);

/** All times measured in this process. */
const measured = Effect.gen(function* (): Effect.fn.Return<Times> {
  const waited = yield* Metric.value(ProcessorMetrics.waitSeconds);
  const whole = yield* Metric.value(ProcessorMetrics.wholeSeconds);
  return {
    waited_orders: waited.count,
    waited_seconds: waited.sum,
    whole_orders: whole.count,
    whole_seconds: whole.sum,
  };
});

const grownSince = (before: Times, now: Times): Times => ({
  waited_orders: now.waited_orders - before.waited_orders,
  waited_seconds: now.waited_seconds - before.waited_seconds,
  whole_orders: now.whole_orders - before.whole_orders,
  whole_seconds: now.whole_seconds - before.whole_seconds,
});

const make = Effect.gen(function* () {
  const store = yield* ProcessingStore;
  const database = yield* Database;
  const { held } = yield* InstanceName;
  const processor = yield* OrderProcessor;
  const pause = yield* Pause;
  const receiver = yield* ReceiverState;
  const upkeep = yield* Upkeep;
  const name = yield* ThisInstance;
  const started_at = yield* DateTime.now;
  /** Whether the database has said what is in force. */
  let isKnown = false;
  /** What others know of. */
  let told = yield* measured;

  const ownReport = (overdue: ReadonlyArray<Overdue>): InstanceReport => {
    const { inWork, mailboxDepth, owned } = processor.status();
    return {
      name,
      version,
      started_at,
      state: pause.isPaused() ? "PAUSED" : "RUNNING",
      partitions: owned,
      in_work: inWork,
      mailbox_depth: mailboxDepth,
      receiver: receiver.now(),
      upkeep: overdue.map(({ text }) => text),
    };
  };

  const setPause = Effect.fnUntraced(function* (
    { paused_by, state }: ProcessingControl,
    asOf: number,
  ) {
    // Set meanwhile, by somebody who knew more than this.
    if (pause.timesSet() !== asOf) return;
    const isPaused = state === "PAUSED";
    const isNews = isKnown ? pause.isPaused() !== isPaused : isPaused;
    isKnown = true;
    pause.set(isPaused);
    yield* Metric.update(ProcessorMetrics.paused, isPaused ? 1 : 0);
    if (isPaused && isNews) {
      yield* Effect.logWarning("processing is paused: no order begins here", {
        actor: paused_by,
      });
    } else if (isNews) {
      yield* Effect.logInfo("processing goes on");
    }
  });

  const learn = Effect.suspend(() => {
    const asOf = pause.timesSet();
    return Effect.flatMap(store.control, (control) => setPause(control, asOf));
  });

  const report = Effect.gen(function* () {
    const asOf = pause.timesSet();
    const times = yield* measured;
    const control = yield* store.report(
      ownReport(yield* upkeep.overdue),
      grownSince(told, times),
    );
    told = times;
    yield* setPause(control, asOf);
  });

  /** Once; what was known before goes on where the database is away. */
  const attempt = <E>(ask: Effect.Effect<void, E>) =>
    Effect.as(ask, true).pipe(
      Effect.catchCause((cause) =>
        Effect.as(Effect.logDebug("no report was taken", cause), false),
      ),
    );

  yield* Effect.addFinalizer(() =>
    store
      .withdraw(name)
      .pipe(Effect.timeout(withdrawTimeout), Effect.ignoreCause),
  );
  yield* Effect.all([database.migrated, held], { discard: true }).pipe(
    Effect.andThen(
      attempt(learn).pipe(
        Effect.repeat({
          until: (isAnswered) => isAnswered,
          schedule: Schedule.spaced(retryInterval),
        }),
      ),
    ),
    Effect.andThen(
      Effect.forever(
        Effect.andThen(attempt(report), Effect.sleep(reportInterval)),
      ),
    ),
    Effect.forkScoped,
  );
});

/** Reports while it lives; takes its report back then. */
export const layer = Layer.effectDiscard(make);
