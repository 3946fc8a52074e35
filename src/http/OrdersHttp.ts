/** The order endpoints: translates between HTTP and `Orders`, decides nothing. */
import { Effect, Schema } from "effect";
import { type HttpServerRequest, HttpServerResponse } from "effect/http";
import { HttpApiBuilder, HttpApiError } from "effect/http-api";
import { Api } from "../api/Api.ts";
import {
  bulkFilters,
  CancelOrders,
  manyDefault,
  pageSizeDefault,
  RetryOrders,
} from "../api/OrdersApi.ts";
import { cursorOf, parseCursor } from "../api/PageCursor.ts";
import { OrderId } from "../domain/Order.ts";
import { OrderNotFound } from "../domain/OrderRefusals.ts";
import { type ChangedMany, Orders } from "../orders/Orders.ts";
import { type Matching, pageBytesMax } from "../persistence/OrderRepository.ts";
import { Admission } from "./Admission.ts";
import { Answers } from "./Answers.ts";
import * as BatchPlacing from "./BatchPlacing.ts";
import { makeExporting } from "./Exporting.ts";
import * as JsonBody from "./JsonBody.ts";
import { etagOf, fromOrder, fromOrders, isKnown } from "./OrderResponses.ts";
import { Placing } from "./Placing.ts";
import * as ProcessingHttp from "./ProcessingHttp.ts";
import { decodeStrictly } from "./UnknownNames.ts";

/** Which orders to change, as far as a body says so: it may be left out. */
const readChoice = <A>(
  decode: (body: unknown) => Effect.Effect<A, HttpApiError.BadRequestProblem>,
) =>
  Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    if (!JsonBody.isSent(request)) return {};
    return yield* JsonBody.use(request, decode);
  });
const readRetryOrders = readChoice(decodeStrictly(RetryOrders));
const readCancelOrders = readChoice(decodeStrictly(CancelOrders));

/** What would change the orders of everybody has to say so. */
const nothingChosen = (filters: ReadonlyArray<string>) => {
  const named = filters.map((name) => `\`${name}\``).join(", ");
  return new HttpApiError.BadRequestProblem({
    detail: `No order was changed, because the request has no filter: name ${named}, or say \`all=true\` to mean the orders of all users.`,
    errors: [{ path: ["query", "all"], message: "is needed without a filter" }],
  });
};

/** What query and body say together; of both, a dry run is believed. */
const together = <
  Query extends {
    readonly all?: "true" | "false" | undefined;
    readonly cursor?: string | undefined;
    readonly dry_run?: "true" | "false" | undefined;
    readonly limit?: number | undefined;
  },
  Body extends {
    readonly all?: boolean;
    readonly cursor?: string;
    readonly dry_run?: boolean;
    readonly limit?: number;
  },
>(
  query: Query,
  body: Body,
  filters: ReadonlyArray<string>,
) => {
  const { all: _, cursor: queriedFrom, dry_run: inQuery, ...queried } = query;
  const { all: __, cursor = queriedFrom, dry_run: inBody, ...given } = body;
  const choice = {
    ...queried,
    ...given,
    after: cursor === undefined ? undefined : parseCursor(cursor),
    limit: body.limit ?? query.limit ?? manyDefault,
  };
  const isAll = body.all ?? query.all === "true";
  const isFiltered = filters.some(
    (name) => (choice as Record<string, unknown>)[name] !== undefined,
  );
  return isAll || isFiltered
    ? Effect.succeed({
        choice,
        isDryRun: inQuery === "true" || inBody === true,
      })
    : Effect.fail(nothingChosen(filters));
};

const retryFilters: ReadonlyArray<string> = bulkFilters;
const cancelFilters = retryFilters.filter((name) => name !== "error");

const counted = ({ isCapped, matching }: Matching) => ({
  more: matching > 0,
  dry_run: true as const,
  matching,
  capped: isCapped,
});

/** Whether there is more, and where. */
const rest = ({ end, more }: ChangedMany) => ({
  more,
  ...(end === undefined ? {} : { next_cursor: cursorOf(end) }),
});

const isOrderId = Schema.is(OrderId);

/** What no order can be called (it contains NUL, is too long ...), none is. */
const orderIdIn = ({ order_id }: { readonly order_id: string }) =>
  isOrderId(order_id)
    ? Effect.succeed(order_id)
    : Effect.fail(
        new OrderNotFound({
          order_id,
          detail: "There is no order of this order_id, nor can there be.",
        }),
      );

export const layer = HttpApiBuilder.group(
  Api,
  "orders",
  Effect.fnUntraced(function* (handlers) {
    const orders = yield* Orders;
    const placing = yield* Placing;
    const { admit } = yield* Admission;
    const answers = yield* Answers;
    const metricsHistory = yield* ProcessingHttp.metricsHistory;
    const batch = yield* BatchPlacing.make;
    const exporting = yield* makeExporting;

    return handlers
      .handleRaw("place", ({ request }) => placing.answer(request))
      .handleRaw("placeMany", ({ query, request }) =>
        batch.answer(request, query.atomic === "true"),
      )
      .handleRaw("export", ({ query, request }) => exporting(query, request))
      .handleRaw(
        "retryMany",
        Effect.fnUntraced(function* ({ query, request }) {
          const { choice, isDryRun } = yield* together(
            query,
            yield* readRetryOrders(request),
            retryFilters,
          );
          if (isDryRun) {
            const { limit: _, ...filter } = choice;
            const found = orders.countMatching({ ...filter, status: "FAILED" });
            return { retried: 0, ...counted(yield* admit(found)) };
          }
          const changed = yield* admit(orders.retryMany(choice));
          return { retried: changed.orders, ...rest(changed) };
        }),
      )
      .handleRaw(
        "cancelMany",
        Effect.fnUntraced(function* ({ query, request }) {
          const { choice, isDryRun } = yield* together(
            query,
            yield* readCancelOrders(request),
            cancelFilters,
          );
          if (isDryRun) {
            const { limit: _, ...filter } = choice;
            const found = orders.countMatching({
              ...filter,
              status: "PENDING",
            });
            return { cancelled: 0, ...counted(yield* admit(found)) };
          }
          const changed = yield* admit(orders.cancelMany(choice));
          return { cancelled: changed.orders, ...rest(changed) };
        }),
      )
      .handleAll({
        list: Effect.fnUntraced(function* ({ query, request }) {
          const {
            cursor,
            format: _,
            limit = pageSizeDefault,
            ...filter
          } = query;
          const after = cursor === undefined ? undefined : parseCursor(cursor);
          const answer = Effect.map(
            orders.list({ ...filter, limit, after }),
            (page) =>
              fromOrders(
                page.orders,
                page.end === undefined
                  ? {}
                  : { link: nextLink(request.url, cursorOf(page.end)) },
              ),
          );
          return yield* admit(answers.make(pageBytesMax, answer));
        }),
        metrics: () => admit(orders.metrics),
        metricsHistory: ({ query }) => admit(metricsHistory(query)),
        find: Effect.fnUntraced(function* ({ headers, params }) {
          const order_id = yield* orderIdIn(params);
          const answer = Effect.map(orders.find(order_id), (order) => {
            const etag = etagOf(order);
            return isKnown(headers["if-none-match"], etag)
              ? HttpServerResponse.empty({ status: 304, headers: { etag } })
              : fromOrder(order, 200, {});
          });
          // Large orders are read a few at a time.
          return yield* admit(answers.make(0, answer));
        }),
        history: ({ params }) =>
          Effect.flatMap(orderIdIn(params), (id) => admit(orders.history(id))),
        cancel: ({ params }) =>
          Effect.flatMap(orderIdIn(params), (id) => admit(orders.cancel(id))),
        retry: ({ params }) =>
          Effect.flatMap(orderIdIn(params), (id) => admit(orders.retry(id))),
      });
  }),
);

/** The same list, from the cursor on; relative, so that any host may serve it. */
const nextLink = (url: string, cursor: string): string => {
  const start = url.indexOf("?");
  const query = new URLSearchParams(start === -1 ? "" : url.slice(start));
  query.set("cursor", cursor);
  return `</api/orders/?${query}>; rel="next"`;
};
