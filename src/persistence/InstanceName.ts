/**
 * The name of an instance, which one living process has at a time.
 *
 * The leases of partitions go by this name, so that a restarted process has its
 * partitions again at once. Two living ones with one name would take them from
 * each other, and the attempts under way with them.
 *
 * The name is an advisory lock on a session of its own. PostgreSQL ends the
 * session, and with it the lock, as soon as the process dies. That of a process
 * which is frozen or cut off it ends once it has heard nothing for `leaseTime`.
 */
import {
  type Cause,
  Context,
  Deferred,
  Duration,
  Effect,
  Layer,
  Option,
  Schedule,
  Schema,
  Scope,
} from "effect";
import { SqlClient, type SqlError } from "effect/sql";
import { advisoryLockKey } from "./AdvisoryLockKey.ts";
import * as DetachedStatement from "./DetachedStatement.ts";

/**
 * How long after its last sign of life an instance is taken for dead: for its
 * name, and for its partitions (`PartitionsCluster`).
 */
export const leaseTime = Duration.seconds(4);

/** Three signs of life in a lease; waiting for an answer may take as long. */
export const renewInterval = Duration.millis(1333);

/**
 * How long a start waits for the name. A predecessor that is about to stop may
 * still have it; a dead one has lost it long before.
 */
const patience = Duration.seconds(10);

/** How soon a name that could not be had is asked for again. */
const retryInterval = Duration.millis(250);

/** The lock's key, with a seed that is ours ("name"). */
const lockKey = (name: string) => advisoryLockKey(0x6e616d65, name);

/** In `pg_locks`, the lock of a name that a session holds. */
const lockOf = (name: string) => `locktype = 'advisory' AND granted
  AND objsubid = 1
  AND (classid::bigint << 32 | objid::bigint) = ${lockKey(name)}
  AND database =
    (SELECT oid FROM pg_database WHERE datname = current_database())`;

/** Whether a session holds the lock of a name; `name` is an expression in SQL. */
export const isLocked = (name: string) =>
  `EXISTS (SELECT FROM pg_locks WHERE ${lockOf(name)})`;

/** The name is another living process's. */
export class NameTaken extends Schema.TaggedError<NameTaken>()("NameTaken", {
  message: Schema.String,
}) {}

export interface InstanceNameOptions<E> {
  readonly host: string;
  readonly port: number;
  /** A client that is used for nothing else. */
  readonly session: Layer.Layer<SqlClient.SqlClient, E>;
  /** For tests, which do not wait as long. */
  readonly patience?: Duration.Duration;
}

export class InstanceName extends Context.Service<
  InstanceName,
  {
    /** Waits until this process has the name. */
    readonly held: Effect.Effect<void>;
    /** Whether another process has it by now. */
    readonly isTaken: () => boolean;
    /** Never succeeds; fails when another process has the name. */
    readonly taken: Effect.Effect<never, NameTaken>;
  }
>()("persistence/InstanceName") {
  static readonly layer = <E>(options: InstanceNameOptions<E>) =>
    Layer.effect(InstanceName, make(options));

  /** Nobody else is on the database. */
  static readonly layerAlone = Layer.succeed(InstanceName, {
    held: Effect.void,
    isTaken: () => false,
    taken: Effect.never,
  });
}

/** The session that holds the lock, or tries to. */
interface Session {
  /** Its process on the server. */
  readonly pid: number;
  /** Takes the lock if it is free; otherwise, whose it is, if that is known. */
  readonly take: Effect.Effect<"taken" | number | undefined, SessionError>;
  /** Ends another session of this process. */
  readonly end: (pid: number) => Effect.Effect<void, SessionError>;
  readonly giveSign: Effect.Effect<void, SessionError>;
}

type SessionError = SqlError.SqlError | Cause.TimeoutError;

/** What takes too long is left to itself: its connection may answer no more. */
const inTime = <A, E>(effect: Effect.Effect<A, E>) =>
  DetachedStatement.within(effect, renewInterval);

const openSession = Effect.fnUntraced(function* (name: string) {
  const sql = yield* SqlClient.SqlClient;
  const connection = yield* sql.reserve;
  const ask = (statement: string, ...parameters: ReadonlyArray<unknown>) =>
    inTime(connection.executeValues(statement, parameters));
  const rows = yield* ask(
    "SELECT pg_backend_pid(), set_config('idle_session_timeout', $1, false)",
    String(Duration.toMillis(leaseTime)),
  );
  const session: Session = {
    pid: Number(rows[0]?.[0]),
    take: ask(
      `SELECT pg_try_advisory_lock(${lockKey("$1::text")}),
        (SELECT pid FROM pg_locks WHERE ${lockOf("$1::text")})`,
      name,
    ).pipe(
      Effect.map((rows) => {
        const [isTaken, holder] = rows[0] ?? [];
        if (isTaken === true) return "taken";
        return typeof holder === "number" ? holder : undefined;
      }),
    ),
    end: (other) =>
      Effect.asVoid(ask("SELECT pg_terminate_backend($1::integer)", other)),
    giveSign: Effect.asVoid(ask("SELECT 1")),
  };
  return session;
});

/** Takes the name at a start: whoever has it may be about to stop. */
const takeFirst = Effect.fnUntraced(function* (
  { take }: Session,
  name: string,
  patience: Duration.Duration,
) {
  const isOurs = Effect.map(take, (holder) => holder === "taken");
  if (yield* isOurs) return;
  yield* Effect.logWarning(
    `another process has the name ${name} (RUNNER_HOST, RUNNER_PORT); waiting for it to stop, up to ${Duration.format(patience)}`,
  );
  const waited = yield* Effect.sleep(retryInterval).pipe(
    Effect.andThen(isOurs),
    Effect.repeat({ until: (isOurs) => isOurs }),
    Effect.timeoutOption(patience),
  );
  if (Option.isSome(waited)) return;
  return yield* new NameTaken({
    message: `another living process on this database and schema has the name ${name}: give this one a RUNNER_HOST or RUNNER_PORT of its own, or stop the other.`,
  });
});

/** Takes it again when its session was cut off: nobody else is waited for. */
const takeAgain = Effect.fnUntraced(function* (
  { end, take }: Session,
  name: string,
  formerPid: number,
) {
  while (true) {
    const holder = yield* take;
    if (holder === "taken") return;
    if (holder !== undefined && holder !== formerPid) {
      return yield* new NameTaken({
        message: `stopped, as another process took the name ${name} (RUNNER_HOST, RUNNER_PORT) while this one was frozen or cut off from the database.`,
      });
    }
    // The server has not noticed yet that our former session is cut off.
    if (holder === formerPid) yield* end(formerPid);
    yield* Effect.sleep(retryInterval);
  }
});

const make = Effect.fnUntraced(function* <E>(options: InstanceNameOptions<E>) {
  const name = `${options.host}:${options.port}`;
  const held = yield* Deferred.make<void>();
  const taken = yield* Deferred.make<never, NameTaken>();
  /** Of the session that had the lock for us; it may be there still. */
  let formerPid: number | undefined;

  const holdOnce = Effect.gen(function* () {
    const session = yield* openSession(name);
    yield* formerPid === undefined
      ? takeFirst(session, name, options.patience ?? patience)
      : takeAgain(session, name, formerPid);
    formerPid = session.pid;
    yield* Deferred.succeed(held, undefined);
    yield* Effect.sleep(renewInterval).pipe(
      Effect.andThen(session.giveSign),
      Effect.forever,
    );
  });

  // With a new client each time: the old one's connection may answer no more.
  const holdOnceInScope = Effect.flatMap(Scope.make(), (scope) =>
    Layer.buildWithScope(Layer.fresh(options.session), scope).pipe(
      Effect.flatMap((client) => Effect.provide(holdOnce, client)),
      Effect.catchIf(
        (error) => error instanceof NameTaken,
        (error) => Effect.andThen(Deferred.fail(taken, error), Effect.never),
      ),
      Scope.provide(scope),
      Effect.onExit((exit) =>
        Effect.ignoreCause(inTime(Scope.close(scope, exit))),
      ),
    ),
  );

  yield* holdOnceInScope.pipe(
    Effect.sandbox,
    Effect.tapError((cause) =>
      Effect.logDebug("the session of the instance's name was lost", cause),
    ),
    Effect.retry(Schedule.spaced(retryInterval)),
    Effect.forkScoped,
  );
  return InstanceName.of({
    held: Deferred.await(held),
    isTaken: () => Deferred.isDoneUnsafe(taken),
    taken: Deferred.await(taken),
  });
});
