/**
 * Reads a request's body as JSON, exactly: numbers keep their digits, and what
 * JSON leaves open is refused. The platform's own reading would round
 * 0.300000000000000001 to 0.3 and let the last of two equal keys win.
 */
import { Effect, Result } from "effect";
import {
  HttpIncomingMessage,
  HttpServerError,
  type HttpServerRequest,
} from "effect/http";
import { HttpApiError } from "effect/http-api";
import {
  isLosslessNumber,
  isSafeNumber,
  LosslessNumber,
  parse,
} from "lossless-json";
import {
  BodyTooLarge,
  NotJson,
  type UnavailableProblem,
} from "../api/Problems.ts";
import { Bodies, type MakeRoom, smallBody } from "./Bodies.ts";
import * as BodyChunks from "./BodyChunks.ts";

/** Why there is no body to work with. */
type Unread =
  | BodyTooLarge
  | NotJson
  | HttpApiError.BadRequestProblem
  | UnavailableProblem;

/** How a body may be written. */
export interface BodyType {
  /** Whether it may be called so; empty where the request does not say it. */
  readonly is: (contentType: string) => boolean;
  /** What to send. */
  readonly name: string;
}

/** Why a body of these headers is not read; `undefined` when it is. */
export const refusalOf = (
  headers: HttpServerRequest.HttpServerRequest["headers"],
  { is, name }: BodyType,
): NotJson | undefined => {
  const contentType = headers["content-type"];
  if (!is(contentType ?? "")) {
    return new NotJson({
      detail: `Send the body as "Content-Type: ${name}"${
        contentType === undefined ? "" : `, not as "${contentType}"`
      }.`,
    });
  }
  const encoding = headers["content-encoding"] ?? "identity";
  return encoding.toLowerCase() === "identity"
    ? undefined
    : new NotJson({ detail: "Send the body without a Content-Encoding." });
};

/**
 * Bytes of a body for which no room is made, as they are most of what is asked:
 * it takes less than the connection it comes on.
 */
const negligibleBody = 4_096;

/** Whether a request has a body, where that may be left out. */
export const isSent = ({
  headers,
}: HttpServerRequest.HttpServerRequest): boolean =>
  headers["transfer-encoding"] !== undefined ||
  Number(headers["content-length"] ?? 0) > 0;

/**
 * Works with the body as JSON. A number that a JavaScript number cannot hold
 * exactly is a `LosslessNumber`.
 */
export const use = <A, E, R>(
  request: HttpServerRequest.HttpServerRequest,
  work: (body: unknown) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | Unread, R> =>
  useBytes(request, json, (bytes) => Effect.flatMap(parseExactly(bytes), work));

/** Works with the body as it came, of at most `MAX_BODY_SIZE` bytes. */
export const useBytes = <A, E, R>(
  request: HttpServerRequest.HttpServerRequest,
  type: BodyType,
  work: (bytes: Uint8Array | ArrayBuffer) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | Unread, R> =>
  Effect.withFiber((fiber): Effect.Effect<A, E | Unread, R> => {
    const { headers } = request;
    const refusal = refusalOf(headers, type);
    if (refusal !== undefined) return Effect.fail(refusal);
    const limit = Number(
      fiber.getRef(HttpIncomingMessage.MaxBodySize) ?? Infinity,
    );
    // Made when it is needed: an error takes microseconds to make.
    const tooLarge = () =>
      new BodyTooLarge({ detail: `The body may have at most ${limit} bytes.` });
    // Left out, it is chunked, and of any length.
    const length = Number(headers["content-length"] ?? Infinity);
    if (Number.isFinite(length) && length > limit) {
      return Effect.fail(tooLarge());
    }
    const orUnread = (error: GatherError): Unread => {
      if (error === "too large" || isTooLarge(error)) return tooLarge();
      return error instanceof HttpServerError.HttpServerError
        ? broken("The body broke off before its end.")
        : error;
    };
    if (length <= negligibleBody) {
      return Effect.matchEffect(gather(request, length, limit, noRoom), {
        onSuccess: work,
        onFailure: (error) => Effect.fail(orUnread(error)),
      });
    }
    const bodies = fiber.getRef(Bodies);
    return bodies.reading(
      Number.isFinite(length) ? length : smallBody,
      (makeRoom) =>
        gather(request, length, limit, makeRoom).pipe(
          Effect.mapError(orUnread),
          Effect.flatMap((bytes) =>
            bodies.working(
              bytes.byteLength,
              Effect.suspend(() => work(bytes)),
            ),
          ),
        ),
    );
  });

/** A body whose length is known needs no more room than that. */
const noRoom: MakeRoom = () => Effect.void;

const isTooLarge = (error: Exclude<GatherError, string>) =>
  error instanceof HttpServerError.HttpServerError &&
  error.reason._tag === "RequestParseError" &&
  error.reason.reason === "BodyTooLarge";

/**
 * A body in one piece of memory. The platform's own reading keeps every chunk
 * until the last: a mebibyte that comes byte by byte would take 200 of them.
 */
const gather = (
  request: HttpServerRequest.HttpServerRequest,
  length: number,
  limit: number,
  makeRoom: MakeRoom,
): Effect.Effect<Uint8Array, GatherError> =>
  Effect.suspend(() => {
    const isKnown = Number.isFinite(length);
    // The memory of what has not come yet is not taken from the machine.
    let buffer = new Uint8Array(isKnown ? length : smallBody);
    let size = 0;
    const add = (chunk: Uint8Array) => {
      buffer.set(chunk, size);
      size += chunk.length;
    };
    return Effect.map(
      BodyChunks.forEach<GatherError>(request, (chunk) => {
        const needed = size + chunk.length;
        if (needed > limit) return Effect.fail("too large" as const);
        if (needed <= buffer.length) {
          add(chunk);
          return undefined;
        }
        // Nobody said how long it is: it may be as long as any.
        return Effect.map(makeRoom(limit), () => {
          const larger = new Uint8Array(limit);
          larger.set(buffer.subarray(0, size));
          buffer = larger;
          add(chunk);
        });
      }),
      () => buffer.subarray(0, size),
    );
  });

type GatherError =
  | HttpServerError.HttpServerError
  | HttpApiError.BadRequestProblem
  | UnavailableProblem
  | "too large";

export const json: BodyType = {
  is: (contentType) =>
    /^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(contentType.trim()),
  name: "application/json",
};

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** What a body, or a part of it, says; or why it cannot be read. */
type Said<A> = Result.Result<A, HttpApiError.BadRequestProblem>;

export const textOf = (bytes: Uint8Array | ArrayBuffer): Said<string> => {
  try {
    return Result.succeed(utf8.decode(bytes));
  } catch {
    return Result.fail(broken("The body is not UTF-8 text."));
  }
};

/** The JSON value in a text, exactly. */
export const jsonOf = (text: string): Said<unknown> => {
  const plain = parsePlain(text);
  if (plain !== undefined) return Result.succeed(plain);
  if (text.trim() === "") {
    return Result.fail(broken("The body is empty: send a JSON object."));
  }
  try {
    return Result.succeed(parse(text, null, numberFromJson));
  } catch (error) {
    return Result.fail(
      broken(
        error instanceof RangeError
          ? "The body is nested too deeply."
          : `The body is not valid JSON: ${error instanceof Error ? error.message : String(error)}.`,
      ),
    );
  }
};

const parseExactly = (bytes: Uint8Array | ArrayBuffer) =>
  Effect.fromResult(Result.flatMap(textOf(bytes), jsonOf));

/** Where an integer may stand that is no safe one: it is kept by its digits. */
const mayBeUnsafe = /\d{16}|e\+/;

/**
 * The value of a text that is written as the platform would write it, which is
 * how most programs send it. Whatever the platform's own reading would lose (a
 * digit, the first of two equal keys) is missing when the value is written
 * again; so a text that comes out the same was read exactly, in half the time
 * and a sixth of the memory.
 */
export const parsePlain = (text: string): unknown => {
  if (mayBeUnsafe.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return JSON.stringify(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
};

/** Any decimal of 15 digits is held by a number without loss. */
const digitsMax = 15;

const numberFromJson = (text: string): unknown =>
  (text.length <= digitsMax && !/e/i.test(text)) || isSafeNumber(text)
    ? Number(text)
    : new LosslessNumber(text);

/**
 * Lets fields be given as numbers of any length where their digits are what
 * counts: each such field becomes its digits, as a string. So does a body that
 * is nothing but a number: it is no object of the parser's either.
 */
export const digitsOf = (
  body: unknown,
  fields: Readonly<Record<string, RegExp>>,
): unknown => {
  if (isLosslessNumber(body)) return body.value;
  if (typeof body !== "object" || body === null) return body;
  const given = body as Record<string, unknown>;
  let read = given;
  for (const [name, digits] of Object.entries(fields)) {
    const value = given[name];
    if (isLosslessNumber(value) && digits.test(value.value)) {
      read = { ...read, [name]: value.value };
    }
  }
  return read;
};

export const broken = (detail: string) =>
  new HttpApiError.BadRequestProblem({
    detail,
    errors: [{ path: ["payload"], message: detail }],
  });
