/**
 * Large answers: what is read for them, and what their readers have not taken
 * yet, is in memory here. Both have a limit; over it, whoever asks is told to
 * ask again. Small answers pass: they are written at once.
 */
import { Context, Duration, Effect, Layer, Option, Scope } from "effect";
import { HttpBody, HttpServerResponse } from "effect/http";
import { UnavailableProblem } from "../api/Problems.ts";
import * as ByteBudget from "../processor/ByteBudget.ts";

type Response = HttpServerResponse.HttpServerResponse;

/** From so many bytes on, an answer is large. */
const largeAnswer = 65_536;

/** The most that large answers take that are not read yet. */
export const unreadBytesMax = 32 * 2 ** 20;

/** The most that is read for answers at once, as JSON. */
const inMakingBytesMax = 8 * 2 ** 20;

const retryAfterSeconds = 2;

/**
 * A large answer keeps its request going until it has been taken: only then are
 * the finalizers of the request run. Its text is not kept beside its bytes.
 */
export const untilTaken = (response: Response): Response => {
  const { body } = response;
  return body._tag === "Uint8Array" && body.contentLength >= largeAnswer
    ? HttpServerResponse.setBody(
        response,
        HttpBody.raw(body.body, {
          contentType: body.contentType,
          contentLength: body.contentLength,
        }),
      )
    : response;
};

/** How large an answer is, as far as that counts. */
const sizeOf = ({ body }: Response): number =>
  body._tag === "Uint8Array" && body.contentLength >= largeAnswer
    ? body.contentLength
    : 0;

export class Answers extends Context.Service<
  Answers,
  {
    /**
     * Runs what makes an answer of what was read, if there is memory for it.
     *
     * @param bytes how much is read for it at most; 0: that is bounded elsewhere
     */
    make<E, R>(
      bytes: number,
      work: Effect.Effect<Response, E, R>,
    ): Effect.Effect<Response, E | UnavailableProblem, R>;
  }
>()("http/Answers") {
  static readonly layer = Layer.sync(Answers, () => {
    const inMaking = ByteBudget.make(inMakingBytesMax);
    let unread = 0;

    const refusal = () =>
      new UnavailableProblem({
        detail: `Other answers take all the memory there is for them: ask again in ${retryAfterSeconds} s.`,
        retry_after_seconds: retryAfterSeconds,
      });
    const patience = { waitingMax: 1_000, wait: Duration.seconds(5), refusal };

    /** Sends it if it fits, and counts it until it has been taken. */
    const send = (
      response: Response,
    ): Effect.Effect<Response, UnavailableProblem> =>
      Effect.withFiber((fiber) => {
        const bytes = sizeOf(response);
        if (bytes === 0) return Effect.succeed(response);
        if (unread > 0 && unread + bytes > unreadBytesMax) {
          return Effect.fail(refusal());
        }
        const scope = Context.getOption(fiber.context, Scope.Scope);
        if (Option.isNone(scope)) return Effect.succeed(response);
        unread += bytes;
        const taken = Effect.sync(() => {
          unread -= bytes;
        });
        return Effect.uninterruptible(
          Effect.as(
            Scope.addFinalizer(scope.value, taken),
            untilTaken(response),
          ),
        );
      });

    return Answers.of({
      make: <E, R>(bytes: number, work: Effect.Effect<Response, E, R>) =>
        Effect.suspend(
          (): Effect.Effect<Response, E | UnavailableProblem, R> => {
            if (unread >= unreadBytesMax) return Effect.fail(refusal());
            const made =
              bytes === 0
                ? work
                : ByteBudget.within(inMaking, bytes, patience, work);
            return Effect.flatMap(made, send);
          },
        ),
    });
  });
}
