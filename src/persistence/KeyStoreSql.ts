/** The keys in PostgreSQL. */
import { DateTime, Effect, Layer, Option, Schema } from "effect";
import { keysMax } from "../domain/ApiKey.ts";
import { Scope } from "../domain/Scope.ts";
import * as Batching from "./Batching.ts";
import { Connections } from "./Connections.ts";
import { endedDays, type FoundKey, KeyRefused, KeyStore } from "./KeyStore.ts";
import { RepositoryUnavailable } from "./OrderRepository.ts";
import { toDate } from "./OrderRow.ts";
import * as Statements from "./Statements.ts";

const Moment = Schema.NullOr(Schema.DateTimeUtcFromDate);

const decodeEntry = Schema.decodeUnknownSync(
  Schema.Struct({
    id: Schema.String,
    name: Schema.String,
    scopes: Schema.Array(Scope),
    start: Schema.String,
    rate_limit: Schema.NullOr(Schema.String),
    created_at: Schema.DateTimeUtcFromDate,
    expires_at: Moment,
    rolled_at: Moment,
    old_key_until: Moment,
    revoked_at: Moment,
  }),
);

const entryColumns = `id, name, scopes, start, rate_limit, created_at, expires_at,
  rolled_at, CASE WHEN old_until > now() THEN old_until END AS old_key_until,
  revoked_at`;

const isGood =
  "(revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()))";

const endedLately = `least(revoked_at, expires_at) > now() - interval '${endedDays} days'`;

/** Digests that one statement looks for. */
const batchSize = 100;

/** Digests that wait to be looked for; whoever comes then is told so. */
const waitingMax = 1_000;

export const layer = Layer.effect(
  KeyStore,
  Effect.gen(function* () {
    const { apart, working } = yield* Connections;
    const answer = yield* Statements.answering;

    /** Among those who add keys, one at a time: names and numbers are counted. */
    const addAlone = (key: Parameters<KeyStore["Service"]["add"]>[0]) =>
      apart.withTransaction(
        Effect.gen(function* () {
          yield* apart`LOCK TABLE access_keys IN SHARE ROW EXCLUSIVE MODE`;
          yield* apart`DELETE FROM access_keys
            WHERE NOT (${apart.literal(isGood)} OR ${apart.literal(endedLately)})`;
          const [counted] = yield* apart<{ good: number; same: number }>`
            SELECT count(*)::integer AS good,
              (count(*) FILTER (WHERE name = ${key.name}::text))::integer AS same
            FROM access_keys WHERE ${apart.literal(isGood)}`;
          const { good = 0, same = 0 } = counted ?? {};
          if (same > 0) return "name taken" as const;
          if (good >= keysMax) return "too many" as const;
          const expires =
            key.expires_at === null ? null : toDate(key.expires_at);
          const [row] = yield* apart`
            INSERT INTO access_keys
              (id, name, scopes, rate_limit, digest, start, expires_at)
            VALUES (${key.id}::text, ${key.name}::text,
              ${key.scopes as Array<string>}::text[], ${key.rate_limit}::text,
              ${key.digest}::text, ${key.start}::text, ${expires}::timestamptz)
            RETURNING ${apart.literal(entryColumns)}`;
          return decodeEntry(row);
        }),
      );

    const findAll = (digests: ReadonlyArray<string>) =>
      Effect.map(
        working<{
          id: string;
          name: string;
          scopes: ReadonlyArray<Scope>;
          rate_limit: string | null;
          digest: string;
          state: FoundKey["state"];
          good_millis: number | null;
        }>`
          SELECT id, name, scopes, rate_limit, asked.digest,
            CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
              WHEN expires_at <= now() THEN 'expired'
              WHEN k.digest <> asked.digest AND old_until <= now() THEN 'rolled'
              ELSE 'good' END AS state,
            (extract(epoch FROM least(expires_at,
              CASE WHEN k.digest <> asked.digest THEN old_until END) - now())
              * 1000)::float8 AS good_millis
          FROM unnest(${digests as Array<string>}::text[]) AS asked (digest)
          JOIN access_keys AS k
            ON k.digest = asked.digest OR k.old_digest = asked.digest`,
        (rows) => {
          const found = new Map(
            rows.map(({ good_millis, ...row }) => [
              row.digest,
              { ...row, goodMillis: good_millis ?? Number.POSITIVE_INFINITY },
            ]),
          );
          return digests.map((digest) =>
            Option.fromUndefinedOr(found.get(digest)),
          );
        },
      );
    const found = Batching.make({
      name: "KeyStore.find",
      size: batchSize,
      lanes: 1,
      run: (digests: ReadonlyArray<string>) => answer(findAll(digests)),
    }).one;
    let waiting = 0;

    return KeyStore.of({
      add: Effect.fn("KeyStore.add")((key) =>
        Effect.flatMap(answer(addAlone(key)), (added) =>
          typeof added === "string"
            ? Effect.fail(new KeyRefused({ reason: added }))
            : Effect.succeed(added),
        ),
      ),
      list: answer(
        Effect.map(
          apart`(SELECT ${apart.literal(entryColumns)} FROM access_keys
              WHERE ${apart.literal(isGood)}
              ORDER BY created_at DESC, id LIMIT ${keysMax})
            UNION ALL
            (SELECT ${apart.literal(entryColumns)} FROM access_keys
              WHERE NOT ${apart.literal(isGood)} AND ${apart.literal(endedLately)}
              ORDER BY created_at DESC, id LIMIT ${keysMax})`,
          (rows) =>
            rows
              .map((row) => decodeEntry(row))
              .sort(
                (a, b) =>
                  DateTime.toEpochMillis(b.created_at) -
                  DateTime.toEpochMillis(a.created_at),
              ),
        ),
      ),
      count: answer(
        Effect.map(
          apart<{ good: number }>`SELECT count(*)::integer AS good
            FROM access_keys WHERE ${apart.literal(isGood)}`,
          ([row]) => row?.good ?? 0,
        ),
      ),
      find: (digest) =>
        Effect.suspend(() => {
          if (waiting >= waitingMax) {
            return Effect.fail(
              new RepositoryUnavailable({
                reason: "too many keys are looked for",
              }),
            );
          }
          waiting += 1;
          return Effect.ensuring(
            found(digest),
            Effect.sync(() => {
              waiting -= 1;
            }),
          );
        }),
      roll: Effect.fn("KeyStore.roll")((id, { digest, start }, graceSeconds) =>
        answer(
          Effect.map(
            apart`UPDATE access_keys SET old_digest = digest,
                old_until = now() + ${graceSeconds}::integer * interval '1 second',
                digest = ${digest}::text, start = ${start}::text,
                rolled_at = now()
              WHERE id = ${id}::text AND ${apart.literal(isGood)}
              RETURNING ${apart.literal(entryColumns)}`,
            ([row]) =>
              Option.map(Option.fromUndefinedOr(row), (row) =>
                decodeEntry(row),
              ),
          ),
        ),
      ),
      revoke: Effect.fn("KeyStore.revoke")((id) =>
        answer(
          Effect.map(
            apart`UPDATE access_keys SET revoked_at = coalesce(revoked_at, now())
              WHERE id = ${id}::text RETURNING id`,
            (rows) => rows.length > 0,
          ),
        ),
      ),
    });
  }),
);
