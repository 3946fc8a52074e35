/**
 * The service for those who have a server of their own: all of the API as one
 * function from `Request` to `Response`. Orders are worked on in the same
 * process; only the socket is left to the caller.
 *
 *     const service = await startFetch(node, {
 *       settings: { DATABASE_URL: "postgres://..." },
 *     });
 *     Bun.serve({ fetch: service.fetch }); // or Deno.serve(service.fetch)
 *     await service.stop();
 *
 * On a runtime that is neither Node nor Deno, `Runtime` is what to bring.
 */
import { ConfigProvider, Effect, Exit, Fiber, type Layer } from "effect";
import { run } from "./App.ts";
import * as FetchServer from "./http/FetchServer.ts";
import type { Runtime } from "./platform/Runtime.ts";
import type { Fulfilment } from "./processor/Fulfilment.ts";

export interface FetchService {
  /** Answers a request as the service does over a socket. */
  readonly fetch: FetchServer.Fetch;
  /** Stops as on SIGTERM: orders in work are finished first. */
  readonly stop: () => Promise<void>;
  /**
   * Resolves once it has stopped, and rejects when it gives up. Left alone, a
   * rejection ends the process, as the service by itself would.
   */
  readonly ended: Promise<void>;
}

export interface FetchServiceOptions<E> {
  /** As in the README; left out, they come from the environment and `.env`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** What an order is placed for, instead of what the settings say. */
  readonly work?: Layer.Layer<Fulfilment, E>;
}

/** Starts the service; the promise is there when requests are answered. */
export const startFetch = async <
  E extends { readonly message: string } = never,
>(
  { readChunks: _, ...runtime }: Omit<Runtime, "httpServer" | "args">,
  { settings, work }: FetchServiceOptions<E> = {},
): Promise<FetchService> => {
  const server = FetchServer.make();
  // The words on the command line are for the caller's program, and bodies come
  // with the caller's requests, not from the runtime's server.
  const service = run({ ...runtime, args: [], httpServer: server.layer }, work);
  const fiber = Effect.runFork(
    settings === undefined
      ? service
      : Effect.provideService(
          service,
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromUnknown(settings),
        ),
  );
  const ended = Effect.runPromise(
    Effect.flatMap(Fiber.await(fiber), (exit) =>
      Exit.hasInterrupts(exit) ? Effect.void : exit,
    ),
  );
  await Promise.race([server.served, ended]);
  return {
    fetch: server.fetch,
    stop: () => Effect.runPromise(Fiber.interrupt(fiber)),
    ended,
  };
};
