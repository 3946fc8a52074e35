/**
 * Reads a request's body chunk by chunk, and refuses one that comes in an
 * absurd number of chunks. Each chunk costs the parser microseconds, whatever
 * its size: a mebibyte in chunks of a byte took 7 s of CPU.
 */
import { Context, Effect, Stream } from "effect";
import type { HttpServerError, HttpServerRequest } from "effect/http";
import { HttpApiError } from "effect/http-api";

/** What a part of the service does with a chunk. */
export type OnChunk<E, R = never> = (
  chunk: Uint8Array,
) => Effect.Effect<void, E, R> | undefined;

/**
 * Gives each chunk to `onChunk`, and waits for the effect that it returns, if
 * it returns one, before it reads on.
 */
export type ReadChunks = <E, R>(
  request: HttpServerRequest.HttpServerRequest,
  onChunk: OnChunk<E, R>,
) => Effect.Effect<void, E | HttpServerError.HttpServerError, R>;

export const readStream: ReadChunks = (request, onChunk) =>
  Stream.runForEach(request.stream, (chunk) => onChunk(chunk) ?? Effect.void);

/** How chunks are read: by a stream, unless a runtime knows a shorter way. */
export const ReadChunks = Context.Reference<ReadChunks>(
  "http/BodyChunks/ReadChunks",
  { defaultValue: () => readStream },
);

/** JSON encoders that write a token at a time send chunks of a few bytes. */
const chunksFree = 16_384;
/** Beyond these, chunks have at least so many bytes on average. */
const chunkBytesMin = 16;

const tooManyChunks = () => {
  const detail = `The body comes in chunks of less than ${chunkBytesMin} bytes: send it in larger ones, or with a Content-Length. Nothing more of it was read.`;
  return new HttpApiError.BadRequestProblem({
    detail,
    errors: [{ path: ["payload"], message: detail }],
  });
};

export const forEach = <E, R = never>(
  request: HttpServerRequest.HttpServerRequest,
  onChunk: OnChunk<E, R>,
): Effect.Effect<
  void,
  E | HttpServerError.HttpServerError | HttpApiError.BadRequestProblem,
  R
> =>
  Effect.withFiber((fiber) => {
    let chunks = 0;
    let bytes = 0;
    const counted: OnChunk<E | HttpApiError.BadRequestProblem, R> = (chunk) => {
      chunks += 1;
      bytes += chunk.length;
      return chunks > chunksFree && bytes < chunks * chunkBytesMin
        ? Effect.fail(tooManyChunks())
        : onChunk(chunk);
    };
    return fiber.getRef(ReadChunks)(request, counted);
  });
