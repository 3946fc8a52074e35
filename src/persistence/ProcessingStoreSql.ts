/** Processing in PostgreSQL: `migrations/0005_processing.ts`. */
import { DateTime, Duration, Effect, Layer, Option } from "effect";
import { SqlClient, type SqlError } from "effect/sql";
import {
  coarseSampleSeconds,
  fineSeconds,
  historySeconds,
  sampleSeconds,
  type Totals,
} from "../domain/MetricsHistory.ts";
import {
  changesKept,
  changesShown,
  type InstanceReport,
  type ProcessingControl,
  type ProcessingState,
  type Receiver,
  reportSeconds,
  running,
} from "../domain/Processing.ts";
import { Connections } from "./Connections.ts";
import { at, atOrNull } from "./OrderRow.ts";
import { minuteSeconds, ProcessingStore } from "./ProcessingStore.ts";
import * as Statements from "./Statements.ts";

interface ControlRow {
  readonly state: ProcessingState;
  readonly paused_at: Date | null;
  readonly paused_by: string | null;
}

const controlOf = (row: ControlRow | undefined): ProcessingControl =>
  row === undefined ? running : { ...row, paused_at: atOrNull(row.paused_at) };

interface ReceiverJson {
  readonly circuit: Receiver["circuit"];
  readonly since: number;
  readonly last_error: string | null;
  readonly last_error_at: number | null;
}

const receiverJson = (receiver: Receiver | null): string | null =>
  receiver === null
    ? null
    : JSON.stringify({
        ...receiver,
        since: receiver.since.epochMilliseconds,
        last_error_at: receiver.last_error_at?.epochMilliseconds ?? null,
      } satisfies ReceiverJson);

const receiverOf = (json: ReceiverJson | null): Receiver | null =>
  json === null
    ? null
    : {
        ...json,
        since: DateTime.makeUnsafe(json.since),
        last_error_at:
          json.last_error_at === null
            ? null
            : DateTime.makeUnsafe(json.last_error_at),
      };

interface InstanceRow extends Omit<InstanceReport, "started_at" | "receiver"> {
  readonly started_at: Date;
  readonly receiver: ReceiverJson | null;
}

interface SampleRow {
  readonly at: Date;
  readonly placed: number;
  readonly pending: number;
  readonly processing: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly failures: number;
  readonly oldest_pending_seconds: number | null;
  readonly waited_orders: number;
  readonly waited_seconds: number;
  readonly whole_orders: number;
  readonly whole_seconds: number;
}

const counts = [
  "placed",
  "pending",
  "processing",
  "completed",
  "failed",
  "cancelled",
  "failures",
  "waited_orders",
  "whole_orders",
];

/** Counts as numbers: there are fewer orders than numbers are exact for. */
const sampleColumns = `at, oldest_pending_seconds, waited_seconds,
  whole_seconds, ${counts.map((name) => `${name}::float8 AS ${name}`).join(", ")}`;

const totalsOf = (row: SampleRow): Totals => ({
  at: at(row.at),
  status_counts: {
    PENDING: row.pending,
    PROCESSING: row.processing,
    COMPLETED: row.completed,
    FAILED: row.failed,
    CANCELLED: row.cancelled,
  },
  placed: row.placed,
  failures: row.failures,
  oldest_pending_age_seconds: row.oldest_pending_seconds,
  waited_orders: row.waited_orders,
  waited_seconds: row.waited_seconds,
  whole_orders: row.whole_orders,
  whole_seconds: row.whole_seconds,
});

type Answer = Statements.Statements["answer"];

/** What instances say: signs of life, as leases are, and on their connections. */
const reports = (
  sql: SqlClient.SqlClient,
  reading: SqlClient.SqlClient,
  answer: Answer,
): Pick<ProcessingStore["Service"], "instances" | "report" | "withdraw"> => ({
  report: (report, grown) =>
    answer(
      Effect.map(
        sql<ControlRow>`
          WITH told AS (
            INSERT INTO processing_instances (name, version, started_at, state,
              partitions, in_work, mailbox_depth, receiver, upkeep)
            VALUES (${report.name}::text, ${report.version}::text,
              ${DateTime.formatIso(report.started_at)}::text::timestamptz,
              ${report.state}::text, ${report.partitions}::integer[],
              ${report.in_work}::integer, ${report.mailbox_depth}::integer,
              ${receiverJson(report.receiver)}::text::json,
              ${report.upkeep}::text[])
            ON CONFLICT (name) DO UPDATE SET version = excluded.version,
              started_at = excluded.started_at, state = excluded.state,
              partitions = excluded.partitions, in_work = excluded.in_work,
              mailbox_depth = excluded.mailbox_depth,
              receiver = excluded.receiver, upkeep = excluded.upkeep,
              reported_at = excluded.reported_at
          ), grown AS (
            INSERT INTO processing_times AS t (waited_orders, waited_seconds,
              whole_orders, whole_seconds)
            SELECT ${grown.waited_orders}::integer,
              ${grown.waited_seconds}::float8, ${grown.whole_orders}::integer,
              ${grown.whole_seconds}::float8
            WHERE ${grown.waited_orders + grown.whole_orders}::integer > 0
            ON CONFLICT (one) DO UPDATE SET
              waited_orders = t.waited_orders + excluded.waited_orders,
              waited_seconds = t.waited_seconds + excluded.waited_seconds,
              whole_orders = t.whole_orders + excluded.whole_orders,
              whole_seconds = t.whole_seconds + excluded.whole_seconds
          )
          SELECT state, paused_at, paused_by FROM processing_control`,
        ([row]) => controlOf(row),
      ),
    ),
  withdraw: (name) =>
    answer(
      Effect.asVoid(
        sql`DELETE FROM processing_instances WHERE name = ${name}::text`,
      ),
    ),
  instances: answer(
    Effect.map(
      reading<InstanceRow>`
        SELECT name, version, started_at, state, partitions, in_work,
          mailbox_depth, receiver, upkeep
        FROM processing_instances
        WHERE reported_at > now() - make_interval(secs => ${reportSeconds}::float8)
        ORDER BY name`,
      (rows) =>
        rows.map((row) => ({
          ...row,
          started_at: at(row.started_at),
          receiver: receiverOf(row.receiver),
        })),
    ),
  ),
});

const samples = (
  apart: SqlClient.SqlClient,
  reading: SqlClient.SqlClient,
  answer: Answer,
): Pick<ProcessingStore["Service"], "history" | "keepSample" | "minuteAgo"> => {
  const columns = reading.literal(sampleColumns);
  const slot = apart.literal(
    `(floor(extract(epoch FROM now()) / ${sampleSeconds}) * ${sampleSeconds})::bigint`,
  );
  const forget = Effect.andThen(
    apart`
      DELETE FROM metrics_samples
      WHERE slot < ${slot} - ${historySeconds}::integer
        OR (slot < ${slot} - ${fineSeconds}::integer
          AND slot % ${coarseSampleSeconds}::integer <> 0)`,
    apart`
      DELETE FROM processing_instances
      WHERE reported_at < now() - interval '1 minute'`,
  );
  return {
    keepSample: ({ accepted, counts, failures, oldestPendingSeconds }) =>
      answer(
        Effect.gen(function* () {
          const kept = yield* apart`
            INSERT INTO metrics_samples (slot, placed, pending, processing,
              completed, failed, cancelled, failures, oldest_pending_seconds,
              waited_orders, waited_seconds, whole_orders, whole_seconds)
            SELECT ${slot}, ${accepted}::float8, ${counts.PENDING}::float8,
              ${counts.PROCESSING}::float8, ${counts.COMPLETED}::float8,
              ${counts.FAILED}::float8, ${counts.CANCELLED}::float8,
              ${failures}::float8, ${oldestPendingSeconds ?? null}::float8,
              coalesce(max(waited_orders), 0), coalesce(max(waited_seconds), 0),
              coalesce(max(whole_orders), 0), coalesce(max(whole_seconds), 0)
            FROM processing_times
            ON CONFLICT (slot) DO NOTHING
            RETURNING slot`;
          if (kept.length > 0) yield* forget;
          const [wait] = yield* apart<{ seconds: number }>`
            SELECT (${sampleSeconds}::float8 - mod(
              extract(epoch FROM clock_timestamp()),
              ${sampleSeconds}::numeric))::float8 AS seconds`;
          return Duration.seconds(wait?.seconds ?? sampleSeconds);
        }),
      ),
    minuteAgo: answer(
      Effect.map(
        reading<SampleRow & { age: number }>`
          SELECT ${columns}, extract(epoch FROM now() - at)::float8 AS age
          FROM metrics_samples
          WHERE at >= now() - make_interval(secs => ${minuteSeconds}::float8)
            AND slot >= extract(epoch FROM now())::bigint
              - ${minuteSeconds + 2 * sampleSeconds}::integer
          ORDER BY slot LIMIT 1`,
        ([row]) =>
          Option.map(Option.fromUndefinedOr(row), (row) => ({
            totals: totalsOf(row),
            ageSeconds: row.age,
          })),
      ),
    ),
    history: (since, stepSeconds) => {
      const from = Math.floor(since.epochMilliseconds / 1000) - 2 * stepSeconds;
      const step = reading`((slot + ${stepSeconds - 1}::integer) / ${stepSeconds}::integer)`;
      return answer(
        Effect.map(
          reading<SampleRow & { step: number }>`
            SELECT * FROM (
              SELECT DISTINCT ON (step) ${step}::float8 AS step, ${columns}
              FROM metrics_samples WHERE slot >= ${String(from)}::text::bigint
              ORDER BY step, slot DESC
            ) AS lasts ORDER BY step`,
          (rows) => rows.map((row) => ({ ...totalsOf(row), step: row.step })),
        ),
      );
    },
  };
};

const make = Effect.gen(function* () {
  const { apart, reading } = yield* Connections;
  const answer = yield* Statements.answering;
  const leases = yield* SqlClient.SqlClient;

  /** Both are done, or neither; the oldest go where there are too many. */
  const change = (
    state: ProcessingState,
    actor: string | null,
  ): Effect.Effect<boolean, SqlError.SqlError> =>
    Effect.map(
      apart`
        WITH changed AS (
          UPDATE processing_control SET state = ${state}::text,
            paused_at = CASE WHEN ${state}::text = 'PAUSED' THEN now() END,
            paused_by = CASE WHEN ${state}::text = 'PAUSED'
              THEN ${actor}::text END
          WHERE state <> ${state}::text RETURNING state
        ), told AS (
          INSERT INTO processing_changes (state, actor)
          SELECT state, ${actor}::text FROM changed
        ), forgotten AS (
          DELETE FROM processing_changes WHERE EXISTS (SELECT FROM changed)
            AND no IN (SELECT no FROM processing_changes
              ORDER BY no DESC OFFSET ${changesKept - 1}::integer)
        )
        SELECT state FROM changed`,
      (rows) => rows.length > 0,
    );

  const control = (sql: SqlClient.SqlClient) =>
    Effect.map(
      sql<ControlRow>`
        SELECT state, paused_at, paused_by FROM processing_control`,
      ([row]) => controlOf(row),
    );

  return ProcessingStore.of({
    control: answer(control(reading)),
    change: (state, actor = undefined) =>
      answer(
        Effect.gen(function* () {
          const isChanged = yield* change(state, actor ?? null);
          if (!isChanged) yield* Statements.durable(apart);
          // Read anew: who waited for another's change has not seen it.
          return { isChanged, control: yield* control(apart) };
        }),
      ),
    changes: answer(
      Effect.map(
        reading<{ state: ProcessingState; at: Date; actor: string | null }>`
          SELECT state, at, actor FROM processing_changes
          ORDER BY no DESC LIMIT ${changesShown}::integer`,
        (rows) => rows.map((row) => ({ ...row, at: at(row.at) })),
      ),
    ),
    ...reports(leases, reading, answer),
    ...samples(apart, reading, answer),
  });
});

export const layer = Layer.effect(ProcessingStore, make);
