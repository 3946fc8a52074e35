/**
 * `POST /api/orders/batch/`: many orders by one request. Each is answered as if
 * it had been placed alone; with `atomic`, all are placed or none.
 *
 * Lines are placed as they come, in groups: those that ended in one piece of
 * the body. So a body of lines is never in memory as a whole.
 */
import { Duration, Effect, Result } from "effect";
import {
  HttpIncomingMessage,
  HttpServerError,
  type HttpServerRequest,
  type HttpServerResponse,
} from "effect/http";
import { HttpApiError } from "effect/http-api";
import { batchSizeMax, ndjson } from "../api/PlaceOrders.ts";
import { UnavailableProblem } from "../api/Problems.ts";
import { Orders } from "../orders/Orders.ts";
import { RepositoryUnavailable } from "../persistence/OrderRepository.ts";
import * as ByteBudget from "../processor/ByteBudget.ts";
import { Admission, unavailableOf } from "./Admission.ts";
import { Answers } from "./Answers.ts";
import { BatchAnswer, entriesBytesOf, formatOf } from "./BatchAnswer.ts";
import { faultsOf, readAll, turns } from "./BatchOrders.ts";
import * as BatchRows from "./BatchRows.ts";
import { Bodies, type MakeRoom, smallBody } from "./Bodies.ts";
import * as BodyChunks from "./BodyChunks.ts";
import * as JsonBody from "./JsonBody.ts";

type Request = HttpServerRequest.HttpServerRequest;
type Response = HttpServerResponse.HttpServerResponse;
type Row = BatchRows.Row;

const isLines = (contentType: string) =>
  /^application\/x-ndjson\s*(;|$)/i.test(contentType.trim());

const batchType: JsonBody.BodyType = {
  is: (contentType) => isLines(contentType) || JsonBody.json.is(contentType),
  name: `application/json" or "Content-Type: ${ndjson}`,
};

/** What arrays of orders that are being placed are answered, together. */
const inPlacingBytesMax = 16 * 2 ** 20;
const retryAfterSeconds = 2;

const patience: ByteBudget.Patience<UnavailableProblem> = {
  waitingMax: 256,
  wait: Duration.seconds(5),
  refusal: () =>
    new UnavailableProblem({
      detail: `Other batches take all the memory there is for them: ask again in ${retryAfterSeconds} s.`,
      retry_after_seconds: retryAfterSeconds,
    }),
};

const tooMany = JsonBody.broken(
  `A batch has at most ${batchSizeMax} orders: those before this were placed as their entries say, this and what came after it was not read. Send them as another batch.`,
);

const noLine = JsonBody.broken("No line of the body has an order.");

/** The most faults that are told of a batch that is placed as a whole. */
const faultsMax = 1_000;

export const make = Effect.gen(function* () {
  const orders = yield* Orders;
  const answers = yield* Answers;
  const { admit } = yield* Admission;
  const inPlacing = ByteBudget.make(inPlacingBytesMax);

  /** Places orders, each on its own, and adds what came of them. */
  const placeEach = Effect.fnUntraced(function* (
    rows: ReadonlyArray<Row>,
    answer: BatchAnswer,
  ) {
    const reads = yield* readAll(rows);
    const given = reads.flatMap(({ order }) =>
      Result.isSuccess(order) ? [order.success] : [],
    );
    const placed =
      given.length === 0
        ? Result.succeed([])
        : answer.unavailable === undefined
          ? yield* Effect.result(admit(orders.placeMany(given)))
          : Result.fail(answer.unavailable);
    let next = 0;
    const isLong = yield* turns;
    for (const { order, order_id } of reads) {
      if (isLong()) yield* Effect.yieldNow;
      if (Result.isFailure(order)) {
        yield* answer.refuse(order_id, order.failure);
        continue;
      }
      const id = order.success.order_id;
      if (Result.isFailure(placed)) {
        yield* answer.postpone(id, placed.failure);
        continue;
      }
      const came = placed.success[next++] as (typeof placed.success)[number];
      if (Result.isSuccess(came)) {
        answer.add(came.success.order, came.success.isNew);
      } else if (came.failure instanceof RepositoryUnavailable) {
        yield* answer.postpone(id, unavailableOf(came.failure));
      } else {
        yield* answer.refuse(id, came.failure);
      }
    }
  });

  /** Places all of the orders, or none. */
  const placeAll = Effect.fnUntraced(function* (
    rows: ReadonlyArray<Row>,
    answer: BatchAnswer,
  ) {
    const reads = yield* readAll(rows);
    const faults = faultsOf(reads);
    if (faults.length > 0) {
      return yield* new HttpApiError.BadRequestProblem({
        detail: `Request validation failed. None of the ${rows.length} orders was placed.`,
        errors: faults.slice(0, faultsMax),
      });
    }
    const given = reads.flatMap(({ order }) =>
      Result.isSuccess(order) ? [order.success] : [],
    );
    const placed = yield* admit(orders.placeAllOrNone(given));
    for (const { isNew, order } of placed) answer.add(order, isNew);
  });

  const told = (
    answer: BatchAnswer,
  ): Effect.Effect<Response, UnavailableProblem> =>
    Effect.suspend(() =>
      answer.refusal === undefined
        ? Effect.succeed(answer.response)
        : Effect.fail(answer.refusal),
    );

  /** A body that is read as a whole. */
  const placeWhole = (request: Request, isAtomic: boolean) =>
    JsonBody.useBytes(request, batchType, (body) =>
      Effect.suspend(() => {
        const { headers } = request;
        const bytes = entriesBytesOf(body.byteLength);
        const answer = new BatchAnswer(formatOf(headers), bytes);
        const rows = isLines(headers["content-type"] ?? "")
          ? BatchRows.ofLines(new Uint8Array(body))
          : Effect.flatMap(
              Effect.fromResult(JsonBody.textOf(body)),
              BatchRows.ofArray,
            );
        return Effect.flatMap(rows, (rows) =>
          ByteBudget.within(
            inPlacing,
            bytes,
            patience,
            Effect.andThen(
              isAtomic ? placeAll(rows, answer) : placeEach(rows, answer),
              told(answer),
            ),
          ),
        );
      }),
    );
  /** A body of lines, as it comes. */
  const placeLines = (request: Request) =>
    Effect.withFiber((fiber) => {
      const { headers } = request;
      const lineMax = Number(
        fiber.getRef(HttpIncomingMessage.MaxBodySize) ?? Infinity,
      );
      const length = Number(headers["content-length"] ?? Infinity);
      const isKnown = Number.isFinite(length);
      const room = Math.min(length, lineMax) + entriesBytesOf(length);
      const answer = new BatchAnswer(formatOf(headers), entriesBytesOf(length));
      const splitter = new BatchRows.LineSplitter(lineMax);
      const bodies = fiber.getRef(Bodies);

      const place = Effect.fnUntraced(function* (
        lines: ReadonlyArray<BatchRows.Line>,
      ) {
        const left = batchSizeMax - answer.size;
        const rows = lines
          .slice(0, Math.max(0, left))
          .map((line) => BatchRows.ofLine(line, lineMax));
        if (rows.length > 0) yield* placeEach(rows, answer);
        // What is more is told once.
        if (lines.length > left && left >= 0) {
          yield* answer.refuse(null, tooMany);
        }
      });

      let hasRoom = isKnown;
      const take = (makeRoom: MakeRoom) => (piece: Uint8Array) => {
        // The rest is read so that the answer is, too.
        if (answer.size > batchSizeMax) return undefined;
        const lines = splitter.push(piece);
        const held = splitter.pending + piece.length + answer.bytes;
        const isMore = !hasRoom && held > smallBody;
        hasRoom = hasRoom || isMore;
        const placed =
          lines.length === 0
            ? undefined
            : bodies.working(piece.length, place(lines));
        return isMore
          ? Effect.andThen(makeRoom(room), placed ?? Effect.void)
          : placed;
      };

      return bodies.reading(isKnown ? room : smallBody, (makeRoom) =>
        BodyChunks.forEach(request, take(makeRoom)).pipe(
          Effect.mapError(orBrokenOff(answer)),
          Effect.andThen(Effect.suspend(() => place(splitter.end()))),
          Effect.andThen(
            Effect.suspend(
              (): Effect.Effect<
                Response,
                HttpApiError.BadRequestProblem | UnavailableProblem
              > => (answer.size === 0 ? Effect.fail(noLine) : told(answer)),
            ),
          ),
        ),
      );
    });

  return {
    /** Places the orders of a request, and says of each what came of it. */
    answer: (request: Request, isAtomic: boolean) =>
      Effect.suspend(() => {
        const refusal = JsonBody.refusalOf(request.headers, batchType);
        if (refusal !== undefined) return Effect.fail(refusal);
        const comesInLines = isLines(request.headers["content-type"] ?? "");
        return answers.make(
          0,
          comesInLines && !isAtomic
            ? placeLines(request)
            : placeWhole(request, isAtomic),
        );
      }),
  };
});

const orBrokenOff =
  (answer: BatchAnswer) =>
  (
    error:
      | HttpServerError.HttpServerError
      | HttpApiError.BadRequestProblem
      | UnavailableProblem,
  ) =>
    error instanceof HttpServerError.HttpServerError
      ? JsonBody.broken(
          `The body broke off before its end, after ${answer.size} orders: send it again.`,
        )
      : error;
