/** Ports that several sockets listen on (SO_REUSEPORT). */
import { createServer, type ListenOptions } from "node:net";
import { Effect } from "effect";
import { cannotListen, StartFailed } from "./Runtime.ts";

/** Listens for a moment, and says on which port. */
const tryPort = (options: ListenOptions) =>
  Effect.callback<number, NodeJS.ErrnoException>((resume) => {
    const server = createServer();
    server.once("error", (error) => resume(Effect.fail(error)));
    server.listen(options, () => {
      const { port } = server.address() as { readonly port: number };
      server.close(() => resume(Effect.succeed(port)));
    });
  });

/**
 * The port wanted, or for 0 a free one, if it can be had alone: a port that
 * others share already must not be joined by mistake.
 */
export const choose = (wanted: {
  readonly host: string;
  readonly port: number;
}): Effect.Effect<number, StartFailed> =>
  Effect.mapError(tryPort(wanted), (error) => cannotListen(wanted, error));

/** Fails where this system does not let processes share a port. */
export const check = (chosen: {
  readonly host: string;
  readonly port: number;
}): Effect.Effect<number, StartFailed> =>
  Effect.mapError(tryPort({ ...chosen, reusePort: true }), (error) =>
    error.code === "ENOTSUP"
      ? new StartFailed({
          message:
            "Processes cannot share a port on this system, only on Linux and some BSDs: start instances one by one, each with a PORT of its own, behind a load balancer.",
        })
      : cannotListen(chosen, error),
  );
