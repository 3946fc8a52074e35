/**
 * `POST /api/orders/`: what this service is asked most.
 *
 * It is answered before the router and the builder of the API: there, each
 * request copies all services around it, twice, and keeps the copies until its
 * order is committed. They have the same handler, for the documents and for
 * paths that are written in other ways.
 */
import { Context, Effect, Layer, Result, Schema, SchemaIssue } from "effect";
import {
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse,
} from "effect/http";
import { HttpApiError } from "effect/http-api";
import { PlaceOrder } from "../api/PlaceOrder.ts";
import type {
  BodyTooLarge,
  NotJson,
  UnavailableProblem,
} from "../api/Problems.ts";
import type { NewOrder } from "../domain/Order.ts";
import type {
  OrderArchived,
  OrderConflict,
  OrderNotStorable,
} from "../domain/OrderRefusals.ts";
import { Orders } from "../orders/Orders.ts";
import { Admission } from "./Admission.ts";
import { untilTaken } from "./Answers.ts";
import * as JsonBody from "./JsonBody.ts";
import { fromOrder, pathOf } from "./OrderResponses.ts";

type Request = HttpServerRequest.HttpServerRequest;
type Response = HttpServerResponse.HttpServerResponse;

type Refusal =
  | BodyTooLarge
  | NotJson
  | HttpApiError.BadRequestProblem
  | OrderConflict
  | OrderArchived
  | OrderNotStorable
  | UnavailableProblem;

const decodePlaceOrder = Schema.decodeUnknownEffect(PlaceOrder, {
  errors: "all",
});
const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1();

/** Fields that may be JSON numbers of any length. */
const numericFields = {
  order_id: /^-?\d+$/,
  user_id: /^-?\d+$/,
  total_amount: /^/,
};

/** What a body is not as it should be, field by field. */
export const toBadRequest = (error: Schema.SchemaError) =>
  new HttpApiError.BadRequestProblem({
    detail: "Request validation failed",
    errors: formatIssues(error.issue).issues.map((issue) => ({
      path: [
        "payload",
        ...(issue.path ?? []).map((segment) => {
          const key = typeof segment === "object" ? segment.key : segment;
          return typeof key === "number" ? key : String(key);
        }),
      ],
      message: issue.message,
    })),
  });

/** The order in a body, exactly as it was written there. */
export const orderIn = (body: unknown) =>
  Effect.mapError(
    decodePlaceOrder(JsonBody.digitsOf(body, numericFields)),
    toBadRequest,
  );

const decodeAtOnce = Schema.decodeUnknownResult(PlaceOrder, { errors: "all" });

/** The same, for one of many. */
export const readOrder = (
  body: unknown,
): Result.Result<NewOrder, HttpApiError.BadRequestProblem> =>
  Result.mapError(
    decodeAtOnce(JsonBody.digitsOf(body, numericFields)),
    toBadRequest,
  );

/** A refusal in the words of the contract, as the API's builder answers it. */
export const refuse = (refusal: Refusal): Effect.Effect<Response> =>
  Effect.map(HttpServerRespondable.toResponse(refusal), (response) =>
    refusal._tag === "Unavailable"
      ? HttpServerResponse.setHeader(
          response,
          "retry-after",
          String(refusal.retry_after_seconds),
        )
      : response,
  );

/** As traces call it. */
const route = "/api/orders/";

const isPlacing = ({ method, url }: Request) =>
  method === "POST" && (url === route || url === "/api/orders");

export class Placing extends Context.Service<
  Placing,
  {
    /** Places the order in a request, or says why not. */
    answer(request: Request): Effect.Effect<Response>;
    /** Answers what places an order; `app` answers all else. */
    before<E, R>(
      app: Effect.Effect<Response, E, R>,
    ): Effect.Effect<Response, E, R | HttpServerRequest.HttpServerRequest>;
  }
>()("http/Placing") {
  static readonly layer = Layer.effect(
    Placing,
    Effect.gen(function* () {
      const orders = yield* Orders;
      const { admit } = yield* Admission;

      const place = (request: Request): Effect.Effect<Response, Refusal> =>
        JsonBody.use(request, (body) =>
          Effect.flatMap(orderIn(body), (given) =>
            Effect.map(admit(orders.place(given)), ({ isNew, order }) => {
              const location = pathOf(order);
              return untilTaken(
                isNew
                  ? fromOrder(order, 201, { location })
                  : fromOrder(order, 200, {
                      location,
                      "idempotent-replayed": "true",
                    }),
              );
            }),
          ),
        );

      const answer = (request: Request) => Effect.catch(place(request), refuse);

      return Placing.of({
        answer,
        before: (app) =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
            isPlacing(request)
              ? Effect.andThen(
                  Effect.annotateCurrentSpan("http.route", route),
                  Effect.interruptible(answer(request)),
                )
              : app,
          ),
      });
    }),
  );
}
