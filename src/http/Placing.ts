/**
 * `POST /api/orders/`: what this service is asked most.
 *
 * An order that is taken in does not pass the router and the builder of the
 * API: there, each request copies all services around it, twice, and keeps the
 * copies until its order is committed. What is refused goes on to them, with
 * the refusal, so that there is one place where refusals are put in words.
 */
import {
  Context,
  Effect,
  Layer,
  References,
  Schema,
  SchemaIssue,
} from "effect";
import { HttpServerRequest, type HttpServerResponse } from "effect/http";
import { HttpApiError } from "effect/http-api";
import { PlaceOrder } from "../api/PlaceOrder.ts";
import type {
  BodyTooLarge,
  NotJson,
  UnavailableProblem,
} from "../api/Problems.ts";
import type { OrderConflict } from "../domain/OrderRefusals.ts";
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

/** What a request was refused with before it came to the router. */
const Refused = Context.Reference<Refusal | undefined>("http/Placing/Refused", {
  defaultValue: () => undefined,
});

const isPlacing = ({ method, url }: Request) =>
  method === "POST" && (url === "/api/orders/" || url === "/api/orders");

export class Placing extends Context.Service<
  Placing,
  {
    /** Places the order in a request. */
    answer(request: Request): Effect.Effect<Response, Refusal>;
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
      const isTraced = yield* References.TracerEnabled;

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

      return Placing.of({
        answer: (request) =>
          Effect.flatMap(Refused, (refusal) =>
            refusal === undefined ? place(request) : Effect.fail(refusal),
          ),
        before: (app) =>
          // Traces name the route, which only the router knows.
          isTraced
            ? app
            : Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
                isPlacing(request)
                  ? Effect.catch(
                      Effect.interruptible(place(request)),
                      (refusal) => Effect.provideService(app, Refused, refusal),
                    )
                  : app,
              ),
      });
    }),
  );
}
