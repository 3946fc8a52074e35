/**
 * Reads the body of a request of `node:http` from its `data` events. Effect's
 * stream takes 8 us for each chunk, and one more turn of the event loop at the
 * end; this takes half the time for a small body, a twentieth of a request.
 */
import { NodeHttpServerRequest } from "@effect/platform-node";
import { Effect, Stream } from "effect";
import { HttpServerError, type HttpServerRequest } from "effect/http";
import type { Runtime } from "./Runtime.ts";

type OnChunk<E, R> = (
  chunk: Uint8Array,
) => Effect.Effect<void, E, R> | undefined;

export const read: NonNullable<Runtime["readChunks"]> = <E, R>(
  request: HttpServerRequest.HttpServerRequest,
  onChunk: OnChunk<E, R>,
) => {
  // Effect's stream answers 100 Continue to a caller who waits for it.
  if (request.headers.expect !== undefined) {
    return Stream.runForEach(
      request.stream,
      (chunk) => onChunk(chunk) ?? Effect.void,
    );
  }
  const message = NodeHttpServerRequest.toIncomingMessage(request);
  type Failure = E | HttpServerError.HttpServerError;
  type Work = ReturnType<OnChunk<E, R>>;
  return Effect.suspend(() => {
    /** What came while the work of a chunk was under way. */
    const early: Array<Buffer> = [];
    /** How the body ended: wholly, or why not. */
    let end: Effect.Effect<undefined, Failure> | undefined;
    let resume: ((next: Effect.Effect<Work, Failure>) => void) | undefined;

    const settle = (next: Effect.Effect<Work, Failure>) => {
      const waiting = resume;
      resume = undefined;
      waiting?.(next);
    };
    const onData = (chunk: Buffer) => {
      if (resume === undefined) {
        early.push(chunk);
        return;
      }
      const work = onChunk(chunk);
      if (work === undefined) return;
      message.pause();
      settle(Effect.succeed(work));
    };
    const onEnd = () => {
      end = Effect.undefined;
      settle(end);
    };
    const onBroken = (cause?: unknown) => {
      // Every message is closed, most after their end.
      if (end !== undefined) return;
      end = Effect.fail(
        new HttpServerError.HttpServerError({
          reason: new HttpServerError.RequestParseError({ request, cause }),
        }),
      );
      settle(end);
    };

    /** Reads until a chunk has work, or to the end: then there is none. */
    const readOn = Effect.callback<Work, Failure>((next) => {
      resume = next;
      while (early.length > 0 && resume !== undefined) {
        onData(early.shift() as Buffer);
      }
      if (resume === undefined) return;
      if (end !== undefined) settle(end);
      else if (message.isPaused()) message.resume();
    });
    const readAll: Effect.Effect<void, Failure, R> = Effect.flatMap(
      readOn,
      (work) =>
        work === undefined ? Effect.void : Effect.andThen(work, readAll),
    );

    if (message.destroyed) onBroken(message.errored);
    message
      .on("data", onData)
      .on("end", onEnd)
      .on("error", onBroken)
      .on("close", onBroken);
    return Effect.ensuring(
      readAll,
      Effect.sync(() => {
        message
          .off("data", onData)
          .off("end", onEnd)
          .off("error", onBroken)
          .off("close", onBroken);
      }),
    );
  });
};
