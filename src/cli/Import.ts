/**
 * An import: batches are read, sent a few at a time, and settled in their
 * order, so that there is always one place before which all is done.
 */
import { Clock, Deferred, Effect, Exit, Fiber, Stream } from "effect";
import type { Batch, ReadTo } from "./ImportRows.ts";
import { type FileFault, Machine, type OpenFile } from "./Machine.ts";
import type { Outcome } from "./Sending.ts";

/** Batches that are on their way at once. */
export const batchesAtOnce = 4;

/** How often the place is kept. */
const keepEveryMillis = 500;

/** How long what is under way has to end, once somebody has pressed Ctrl-C. */
const stopWithin = "10 seconds";

export interface Tally extends ReadTo {
  readonly placed: number;
  readonly replayed: number;
  readonly rejected: number;
  /** Bytes of the file of rejected rows. */
  readonly rejected_bytes: number;
}

/** A row that was not placed, as it is kept. */
const rejectedLine = (
  row: Batch["rows"][number],
  { order_id, reason, status }: Outcome,
) =>
  `${JSON.stringify({ line: row.line, order_id, status, reason, input: row.input })}\n`;

/** What came of each row of a batch, those that could not be read included. */
export const outcomesOf = <E, R>(
  send: (
    lines: ReadonlyArray<string>,
  ) => Effect.Effect<ReadonlyArray<Outcome>, E, R>,
) =>
  Effect.fnUntraced(function* (batch: Batch) {
    const lines = batch.rows.flatMap(({ json }) =>
      json === undefined ? [] : [json],
    );
    const answered = lines.length === 0 ? [] : yield* send(lines);
    let next = 0;
    const outcomes = batch.rows.map(({ fault, json }): Outcome => {
      const unread = {
        status: 400,
        order_id: null,
        reason: `The row ${fault ?? "cannot be read"}.`,
      };
      if (json === undefined) return unread;
      next += 1;
      return answered[next - 1] ?? unread;
    });
    return { batch, outcomes };
  });

export interface Settling {
  readonly start: Tally;
  /** The file of rejected rows; it is opened when there is the first one. */
  readonly openRejects: (
    keep: number,
  ) => Effect.Effect<OpenFile, FileFault, Machine>;
  readonly keep: (tally: Tally) => Effect.Effect<void, FileFault, Machine>;
}

/** Counts what is settled, keeps what was rejected, and the place. */
export const makeSettling = ({ keep, openRejects, start }: Settling) => {
  let tally = start;
  let kept = 0;
  let rejects: OpenFile | undefined;

  const reject = Effect.fnUntraced(function* (text: string) {
    rejects ??= yield* openRejects(tally.rejected_bytes);
    yield* rejects.write(text);
    return new TextEncoder().encode(text).length;
  });

  return {
    tally: () => tally,
    settle: Effect.fnUntraced(function* ({
      batch,
      outcomes,
    }: {
      readonly batch: Batch;
      readonly outcomes: ReadonlyArray<Outcome>;
    }) {
      const count = (status: number) =>
        outcomes.filter((outcome) => outcome.status === status).length;
      const text = batch.rows
        .map((row, index) => {
          const outcome = outcomes[index];
          return outcome === undefined || outcome.status < 300
            ? ""
            : rejectedLine(row, outcome);
        })
        .join("");
      const [placed, replayed] = [count(201), count(200)];
      const bytes = text === "" ? 0 : yield* reject(text);
      tally = {
        ...batch.end,
        placed: tally.placed + placed,
        replayed: tally.replayed + replayed,
        rejected: tally.rejected + outcomes.length - placed - replayed,
        rejected_bytes: tally.rejected_bytes + bytes,
      };
      const now = yield* Clock.currentTimeMillis;
      if (now - kept < keepEveryMillis) return;
      kept = now;
      yield* keep(tally);
    }),
    /** To the disk, the rejected rows before the place that counts them. */
    finish: Effect.gen(function* () {
      if (rejects !== undefined) {
        yield* rejects.sync;
        yield* rejects.close;
      }
      yield* keep(tally);
    }),
  };
};

/**
 * Runs an import to its end, or to where it can be gone on with. Interrupted,
 * it reads no further, and what is under way is still settled.
 */
export const runImport = <E, E2, R, R2>(
  batches: Stream.Stream<Batch, E, R>,
  send: (
    lines: ReadonlyArray<string>,
  ) => Effect.Effect<ReadonlyArray<Outcome>, E2, R2>,
  settling: ReturnType<typeof makeSettling>,
) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { tell } = yield* Machine;
      const stop = yield* Deferred.make<void>();
      let isStopped = false;
      const outcomes = outcomesOf(send);
      const work = batches.pipe(
        Stream.interruptWhen(Deferred.await(stop)),
        Stream.mapEffect(
          // Some have been read that are not on their way yet.
          (batch) => (isStopped ? Effect.undefined : outcomes(batch)),
          { concurrency: batchesAtOnce },
        ),
        Stream.takeWhile((settled) => settled !== undefined),
        Stream.runForEach((settled) =>
          settled === undefined ? Effect.void : settling.settle(settled),
        ),
      );
      const fiber = yield* Effect.forkChild(restore(work));
      const exit = yield* restore(Fiber.await(fiber)).pipe(
        Effect.onInterrupt(() =>
          Effect.gen(function* () {
            isStopped = true;
            yield* tell(
              "\nStopping once what is under way is answered; Ctrl-C again ends at once.\n",
            );
            yield* Deferred.succeed(stop, undefined);
            yield* Effect.timeoutOption(
              Effect.interruptible(Fiber.await(fiber)),
              stopWithin,
            );
            yield* Fiber.interrupt(fiber);
          }),
        ),
        Effect.exit,
      );
      yield* settling.finish;
      return yield* Exit.isSuccess(exit) ? exit.value : exit;
    }),
  );
