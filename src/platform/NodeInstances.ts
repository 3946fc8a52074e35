/**
 * Instances as processes of Node. Supervisor and instance are joined by Node's
 * IPC channel: over it an instance says that it is ready, and its end tells an
 * instance that its supervisor is gone, however that went.
 */
import { fork } from "node:child_process";
import { Deferred, Effect, Exit } from "effect";
import { logOutput } from "./LogOutput.ts";
import type { Ended, Instances } from "./Runtime.ts";
import * as SharedPort from "./SharedPort.ts";

/** Starts the program of this process again. */
const spawn = (number: number, port: number) => {
  const ready = Deferred.makeUnsafe<string>();
  const ended = Deferred.makeUnsafe<Ended>();
  const end = (how: Ended) => Deferred.doneUnsafe(ended, Exit.succeed(how));
  const child = fork(
    process.argv[1] as string,
    ["--instance", String(number)],
    {
      env: { ...process.env, PORT: String(port) },
      // A terminal is written to at once, anything else through us.
      stdio: [
        "ignore",
        process.stdout.isTTY ? "inherit" : "pipe",
        "inherit",
        "ipc",
      ],
      // A Ctrl-C is for the supervisor, which passes it on.
      detached: true,
    },
  );
  if (child.stdout !== null) logOutput.passOn(child.stdout);
  child.once("message", (base: string) =>
    Deferred.doneUnsafe(ready, Exit.succeed(base)),
  );
  child.once("error", (error: NodeJS.ErrnoException) => {
    // Not started at all; other errors leave it running.
    if (child.pid === undefined) end(error.code ?? error.message);
  });
  // After its exit, and its last line.
  child.once("close", (code, signal) => end(code ?? signal ?? "no exit code"));
  return {
    child,
    ready: Deferred.await(ready),
    ended: Deferred.await(ended),
  };
};

/**
 * How an instance may end when it is told to: with 0, with what `NodeRuntime`
 * makes of an interruption by itself, or of the signal before it listens to any.
 */
const inOrder: ReadonlyArray<Ended> = [0, 130, "SIGTERM"];

const start: Instances["start"] = ({ number, port, stopLimit }) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(number, port)),
    Effect.fnUntraced(function* ({ child, ended }) {
      // Nothing is sent to one that has ended.
      const isRunning = child.kill("SIGTERM");
      const how = yield* ended.pipe(
        Effect.interruptible,
        Effect.timeoutOrElse({
          duration: stopLimit,
          orElse: () => {
            child.kill("SIGKILL");
            child.stdout?.destroy();
            return ended;
          },
        }),
      );
      if (isRunning && !inOrder.includes(how)) {
        yield* Effect.logError(
          `instance ${number} did not stop in order, but with ${how}`,
        );
        return yield* Effect.die(how);
      }
    }),
  );

export const instances: Instances = {
  choosePort: (wanted) =>
    Effect.flatMap(SharedPort.choose(wanted), (port) =>
      SharedPort.check({ ...wanted, port }),
    ),
  start,
  tellReady: (base) => Effect.sync(() => process.send?.(base)),
  supervisorGone: Effect.callback<void>((resume) => {
    const gone = () => resume(Effect.void);
    if (!process.connected) return gone();
    process.once("disconnect", gone);
    return Effect.sync(() => process.off("disconnect", gone));
  }),
};
