/**
 * Which of several hosts the database is on: the one that takes changes. It is
 * looked for at the start, and again when a connection cannot be made or turns
 * out to be read-only: after a failover another host is the primary. Then all
 * connections there are end, and what comes next is asked of the new one.
 */
import * as Net from "node:net";
import type { Duplex } from "node:stream";
import { Clock, Duration, Effect, Queue, type Scope } from "effect";
import type { Host } from "./DatabaseUrl.ts";

/** What a host answers to who looks for the primary. */
export type Role = "primary" | "read-only";

/** The wait between two looks at hosts of which none was the primary. */
const lookInterval = Duration.seconds(1);

/** How long the start waits for a primary to be found. */
const firstLookTimeout = Duration.seconds(5);

/** How often the bytes of every connection are looked at. */
const silenceCheckInterval = Duration.seconds(1);

/** A connection that owes an answer for so long is taken for dead. */
const silenceMax = Duration.seconds(10);

/** As long as `Net` leaves an idle connection before it asks for its end. */
const keepAliveMillis = 30_000;

export interface Primary {
  /** The host that connections are made to now. */
  readonly host: () => Host;
  /** Begins a connection to it. */
  readonly connect: () => Duplex;
  /** A connection to it is read-only: it may have ceased to be the primary. */
  readonly isReadOnly: Effect.Effect<void>;
}

export interface PrimaryOptions {
  readonly hosts: ReadonlyArray<Host>;
  /** Whether it has to be looked before the first connection. */
  readonly isLookedForFirst: boolean;
  /** Asks a host what it is; fails, soon, if it does not answer. */
  readonly ask: (host: Host) => Effect.Effect<Role, unknown>;
  /** Whether a host works on a statement of this service that takes long. */
  readonly isAtWork: (host: Host) => Effect.Effect<boolean>;
}

/** What a connection had read and written, when it last read. */
interface Traffic {
  read: number;
  written: number;
  /** Since when it has written and read nothing. */
  silentSince: number | undefined;
}

/**
 * Finds connections that have written since they last read, and have read
 * nothing for `silenceMax`. TCP repeats lost bytes after ever longer waits: a
 * connection that was silent for 30 s may stay silent for 20 s more.
 */
const makeSilenceCheck = (sockets: ReadonlySet<Net.Socket>) => {
  const traffic = new WeakMap<Net.Socket, Traffic>();
  return Effect.map(Clock.currentTimeMillis, (now) =>
    [...sockets].filter((socket) => {
      const { bytesRead: read, bytesWritten: written } = socket;
      const last = traffic.get(socket);
      if (last === undefined || last.read !== read) {
        traffic.set(socket, { read, written, silentSince: undefined });
        return false;
      }
      if (written === last.written) return false;
      last.silentSince ??= now;
      return now - last.silentSince >= Duration.toMillis(silenceMax);
    }),
  );
};

export const make = Effect.fnUntraced(function* ({
  ask,
  hosts,
  isAtWork,
  isLookedForFirst,
}: PrimaryOptions): Effect.fn.Return<Primary, never, Scope.Scope> {
  const nudges = yield* Queue.sliding<void>(1);
  const sockets = new Set<Net.Socket>();
  let current = hosts[0] as Host;
  /** Whether connections to `current` may be read-only. */
  let inDoubt = false;

  /** The one in use is asked first, so that it stays where two say yes. */
  const find = Effect.gen(function* () {
    const inOrder = [current, ...hosts.filter((host) => host !== current)];
    const roles = yield* Effect.forEach(
      inOrder,
      (host) => Effect.orElseSucceed(ask(host), () => undefined),
      { concurrency: "unbounded" },
    );
    return inOrder[roles.indexOf("primary")];
  });

  const moveTo = (found: Host) =>
    Effect.gen(function* () {
      if (found !== current) {
        yield* Effect.logInfo("the database's primary is another host", {
          host: `${found.name}:${found.port}`,
        });
      }
      if (found !== current || inDoubt) {
        for (const socket of sockets) socket.destroy();
      }
      current = found;
      inDoubt = false;
    });

  const look: Effect.Effect<void> = Effect.flatMap(find, (found) =>
    found === undefined
      ? Effect.andThen(Effect.sleep(lookInterval), look)
      : moveTo(found),
  );

  if (isLookedForFirst) {
    const found = yield* Effect.timeoutOption(look, firstLookTimeout);
    if (found._tag === "None") Queue.offerUnsafe(nudges, undefined);
  }
  yield* Queue.take(nudges).pipe(
    Effect.andThen(look),
    Effect.forever,
    Effect.forkScoped,
  );

  /**
   * A server that works on a long statement, or waits for its standby, is
   * silent, too. Closing its connections would leave it with more and more
   * sessions, because each goes on until its statement ends.
   */
  const silentSockets = makeSilenceCheck(sockets);
  const endSilent = Effect.flatMap(silentSockets, (silent) =>
    silent.length === 0
      ? Effect.void
      : Effect.flatMap(isAtWork(current), (isAtWork) =>
          isAtWork
            ? Effect.void
            : Effect.sync(() => {
                for (const socket of silent) socket.destroy();
              }),
        ),
  );
  yield* Effect.sleep(silenceCheckInterval).pipe(
    Effect.andThen(endSilent),
    Effect.forever,
    Effect.forkScoped,
  );

  /** Where there is nothing to choose, the next connection is the next look. */
  const isGone = () => {
    if (isLookedForFirst) Queue.offerUnsafe(nudges, undefined);
  };

  return {
    host: () => current,
    connect: () => {
      const socket = Net.connect({
        ...(current.name.startsWith("/")
          ? { path: `${current.name}/.s.PGSQL.${current.port}` }
          : { host: current.name, port: current.port }),
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: keepAliveMillis,
      });
      sockets.add(socket);
      socket.once("close", () => {
        sockets.delete(socket);
        if (socket.connecting || socket.bytesRead === 0) isGone();
      });
      return socket;
    },
    isReadOnly: Effect.sync(() => {
      inDoubt = true;
      Queue.offerUnsafe(nudges, undefined);
    }),
  };
});
