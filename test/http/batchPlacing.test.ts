/** A batch where the database, or the service, has no time for all of it. */
import { assert, describe, it } from "@effect/vitest";
import { DateTime, Effect, Layer, Result } from "effect";
import { HttpServerRequest, type HttpServerResponse } from "effect/http";
import { UnavailableProblem } from "../../src/api/Problems.ts";
import type { NewOrder, Order } from "../../src/domain/Order.ts";
import { Admission } from "../../src/http/Admission.ts";
import { Answers } from "../../src/http/Answers.ts";
import * as BatchPlacing from "../../src/http/BatchPlacing.ts";
import { Orders } from "../../src/orders/Orders.ts";
import { RepositoryUnavailable } from "../../src/persistence/OrderRepository.ts";

const away = new RepositoryUnavailable({ reason: "the database is away" });

const placed = (order: NewOrder): Order => ({
  ...order,
  status: "PENDING",
  created_at: DateTime.makeUnsafe(0),
  updated_at: DateTime.makeUnsafe(0),
  processing_started_at: null,
  processing_completed_at: null,
  attempts: 0,
  next_attempt_at: null,
  last_error: null,
});

const orderJson = (order_id: string) =>
  `{"order_id":"${order_id}","user_id":"u","item_ids":[1],"total_amount":1}`;

/** A request whose body comes in these pieces. */
const requestOf = (contentType: string, pieces: ReadonlyArray<string>) =>
  HttpServerRequest.fromWeb(
    new Request("http://service/api/orders/batch/", {
      method: "POST",
      headers: { "content-type": contentType, prefer: "return=minimal" },
      body: new ReadableStream({
        start: (controller) => {
          for (const piece of pieces) {
            controller.enqueue(new TextEncoder().encode(piece));
          }
          controller.close();
        },
      }),
      duplex: "half",
    } as RequestInit),
  );

/** Places a batch where orders called so are not placed; says what was asked for. */
const placing = Effect.fnUntraced(function* (
  request: HttpServerRequest.HttpServerRequest,
  notPlaced: RegExp,
  maxInFlight = 10,
) {
  const asked: Array<ReadonlyArray<string>> = [];
  const layer = Layer.mergeAll(
    Layer.mock(Orders, {
      placeMany: (orders) =>
        Effect.sync(() => {
          asked.push(orders.map(({ order_id }) => order_id));
          return orders.map((order) =>
            notPlaced.test(order.order_id)
              ? Result.fail(away)
              : Result.succeed({
                  order: placed(order),
                  isNew: true,
                  item_bytes: 3,
                }),
          );
        }),
      placeAllOrNone: () => Effect.fail(away),
    }),
    Admission.layer(maxInFlight),
    Answers.layer,
  );
  const answer = (isAtomic: boolean) =>
    Effect.result(
      Effect.flatMap(BatchPlacing.make, (batch) =>
        batch.answer(request, isAtomic),
      ).pipe(Effect.provide(layer), Effect.scoped),
    );
  return { asked, answer };
});

const entriesOf = (
  answered: Result.Result<HttpServerResponse.HttpServerResponse, unknown>,
) => {
  const { body } = Result.getOrThrow(answered);
  assert(body._tag === "Uint8Array");
  const entries = JSON.parse(new TextDecoder().decode(body.body));
  return (entries as ReadonlyArray<{ order_id: string; status: number }>).map(
    ({ order_id, status }) => `${order_id} ${status}`,
  );
};

const assertUnavailable = (
  answered: Result.Result<unknown, unknown>,
  detail: RegExp,
) => {
  assert(Result.isFailure(answered));
  assert.instanceOf(answered.failure, UnavailableProblem);
  assert.match(String((answered.failure as UnavailableProblem).detail), detail);
};

describe("a batch", () => {
  it.effect(
    "is 503 where none of it could be placed, whatever else is in it",
    () =>
      Effect.gen(function* () {
        for (const [type, body] of [
          ["application/json", `[${orderJson("a")},7,${orderJson("b")}]`],
          ["application/x-ndjson", `${orderJson("a")}\n7\n${orderJson("b")}`],
        ] as const) {
          const { answer } = yield* placing(requestOf(type, [body]), /./);
          assertUnavailable(yield* answer(false), /the database is away/);
        }
        const { answer } = yield* placing(
          requestOf("application/json", [`[${orderJson("a")}]`]),
          /./,
        );
        assertUnavailable(yield* answer(true), /the database is away/);
      }),
  );

  it.effect("says which of its orders were not placed, where others were", () =>
    Effect.gen(function* () {
      const { answer } = yield* placing(
        requestOf("application/json", [
          `[${["a", "away1", "b"].map(orderJson)}]`,
        ]),
        /away/,
      );
      assert.deepStrictEqual(entriesOf(yield* answer(false)), [
        "a 201",
        "away1 503",
        "b 201",
      ]);
    }),
  );

  it.effect("of lines is placed as they come, and not on after it failed", () =>
    Effect.gen(function* () {
      const cut = orderJson("away1");
      const { answer, asked } = yield* placing(
        requestOf("application/x-ndjson", [
          `${orderJson("a")}\n${cut.slice(0, 9)}`,
          cut.slice(9),
          `\n${orderJson("b")}\n`,
          orderJson("c"),
        ]),
        /away/,
      );
      const entries = entriesOf(yield* answer(false));
      assert.deepStrictEqual(asked, [["a"], ["away1", "b"]]);
      assert.deepStrictEqual(entries, ["a 201", "away1 503", "b 201", "c 503"]);
    }),
  );

  it.effect("is 503 where too many requests are worked on", () =>
    Effect.gen(function* () {
      for (const type of ["application/json", "application/x-ndjson"]) {
        const body =
          type === "application/json" ? `[${orderJson("a")}]` : orderJson("a");
        const { answer, asked } = yield* placing(
          requestOf(type, [body]),
          /none/,
          0,
        );
        assertUnavailable(yield* answer(false), /0 requests/);
        assert.deepStrictEqual(asked, []);
      }
    }),
  );
});
