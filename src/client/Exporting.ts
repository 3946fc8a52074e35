/**
 * Exports, read as they come. One that does not end with its closing line was
 * cut, however it looks: what came before is right, and not all.
 */
import { Duration, Effect, Schema, Stream } from "effect";
import type { HttpClientError, HttpClientResponse } from "effect/http";
import { type ExportFormat, exportTypes } from "../api/OrdersApi.ts";
import { Order } from "../domain/Order.ts";
import { foreignAnswer } from "./ForeignAnswer.ts";

/** The service, or the way to it, broke off: what was given is not all. */
export class ExportCut extends Schema.TaggedError<ExportCut>()("ExportCut", {
  /** Orders that came, where they were counted. */
  exported: Schema.UndefinedOr(Schema.Int),
  detail: Schema.String,
  cause: Schema.optionalKey(Schema.Defect()),
}) {
  override get message() {
    return this.detail;
  }
}

/** Nothing for so long, and the connection is given up. */
export const silenceMax = Duration.minutes(2);

const cut = (exported: number | undefined, what: string, cause?: unknown) =>
  new ExportCut({
    exported,
    detail: `${what}: what came is not all. Export again.`,
    ...(cause === undefined ? {} : { cause }),
  });

/** The bytes of an answer; that they break off is told. */
const bytesOf = (
  response: HttpClientResponse.HttpClientResponse,
): Stream.Stream<Uint8Array, ExportCut> =>
  response.stream.pipe(
    Stream.timeoutOrElse({
      duration: silenceMax,
      orElse: () =>
        Stream.fail(
          cut(undefined, `nothing came for ${Duration.format(silenceMax)}`),
        ),
    }),
    Stream.mapError((error) =>
      error._tag === "ExportCut"
        ? error
        : cut(undefined, "the answer broke off", error),
    ),
  );

/** An answer that is no export: some proxy's, or another service's. */
const checked = (
  response: HttpClientResponse.HttpClientResponse,
  format: ExportFormat,
) =>
  response.headers["content-type"]?.startsWith(exportTypes[format])
    ? Effect.succeed(response)
    : Effect.fail(foreignAnswer(response));

type Connect<E> = Effect.Effect<HttpClientResponse.HttpClientResponse, E>;

const Line = Schema.fromJsonString(
  Schema.Union([Order, Schema.Struct({ exported: Schema.Int })]),
);
const readLine = Schema.decodeEffect(Line);

/** The orders of an export as NDJSON. */
export const orders = <E>(
  connect: Connect<E>,
): Stream.Stream<
  Order,
  E | ExportCut | HttpClientError.HttpClientError | Schema.SchemaError
> =>
  Stream.suspend(() => {
    let exported = 0;
    let isClosed = false;

    const read = Effect.fnUntraced(function* (line: string) {
      if (isClosed) {
        return yield* cut(exported, "something came after the closing line");
      }
      const given = yield* readLine(line);
      if ("order_id" in given) {
        exported += 1;
        return [given];
      }
      if (given.exported !== exported) {
        return yield* cut(
          exported,
          `${exported} orders came, and ${given.exported} were sent`,
        );
      }
      isClosed = true;
      return [];
    });

    const end = Effect.suspend(() =>
      isClosed
        ? Effect.void
        : Effect.fail(cut(exported, "the closing line is missing")),
    );

    return Stream.unwrap(
      Effect.map(
        Effect.flatMap(connect, (response) => checked(response, "ndjson")),
        (response) => Stream.splitLines(Stream.decodeText(bytesOf(response))),
      ),
    ).pipe(
      Stream.filter((line) => line !== ""),
      Stream.mapEffect(read),
      Stream.flattenIterable,
      Stream.concat(Stream.drain(Stream.fromEffect(end))),
      // Where it broke off, as many as came are known here.
      Stream.mapError((error) =>
        error instanceof ExportCut && error.exported === undefined
          ? new ExportCut({ ...error, exported })
          : error,
      ),
    );
  });

/** The last line of an export. */
const closings: Readonly<Record<ExportFormat, RegExp>> = {
  ndjson: /(^|\n)\{"exported":\d+\}\n$/,
  csv: /\r\n# exported,\d+,{10}\r\n$/,
};

/** More than any closing line has. */
const tailBytes = 64;

/** The bytes of an export, closing line included. */
export const text = <E>(
  connect: Connect<E>,
  format: ExportFormat,
): Stream.Stream<Uint8Array, E | ExportCut | HttpClientError.HttpClientError> =>
  Stream.suspend(() => {
    let tail = "";
    const ascii = new TextDecoder("latin1");
    const end = Effect.suspend(() =>
      closings[format].test(tail)
        ? Effect.void
        : Effect.fail(cut(undefined, "the closing line is missing")),
    );
    return Stream.unwrap(
      Effect.map(
        Effect.flatMap(connect, (response) => checked(response, format)),
        bytesOf,
      ),
    ).pipe(
      Stream.map((bytes) => {
        tail = `${tail}${ascii.decode(bytes.subarray(-tailBytes))}`.slice(
          -tailBytes,
        );
        return bytes;
      }),
      Stream.concat(Stream.drain(Stream.fromEffect(end))),
    );
  });
