/**
 * The typed client of the order service, derived from the contract in `api/`:
 * what it sends and what it understands is what the server declares, and a
 * refusal comes back as the very class the server failed with. Imports only
 * `effect`, so it runs wherever that does: Node, Deno, Bun, browsers.
 *
 * ```ts
 * const program = Effect.gen(function* () {
 *   const client = yield* OrderClient;
 *   const { body: order } = yield* client.place({
 *     order_id: "ORD001",
 *     user_id: "USER001",
 *     item_ids: ["ITEM001"],
 *     total_amount: 99.99,
 *   });
 *   return order.status;
 * }).pipe(
 *   Effect.provide(OrderClient.layerFetch({ baseUrl: "http://localhost:8000" })),
 * );
 * ```
 *
 * **Sending again.** Requests about orders that fail in a way that may pass
 * (no connection, no answer in time, 408, 425, 429, 502, 503, 504) are sent
 * again. What if the first one was carried out, and only its answer was lost?
 *
 * - `find`, `list`, `metrics`, `metricsHistory` change nothing.
 * - `processing.pause` and `resume` change nothing the second time.
 * - `place` is idempotent by `order_id`: the second answer is the stored order,
 *   200 with `idempotent-replayed` instead of 201. The order exists once. The
 *   same holds for a caller who places an order again after a failure, and for
 *   each order of `placeMany` and `placeLines`.
 * - `cancel` changes only a PENDING order, so it happens once. But the second
 *   answer is then `OrderNotInStatus` with `order_status: "CANCELLED"`: the
 *   order is cancelled, which is what was asked; who did it, this request or
 *   somebody else's, it does not say. A caller who does not mind treats it as
 *   success.
 * - `retry` changes only a FAILED order. The second answer is then
 *   `OrderNotInStatus` with the status the order has reached since (PENDING,
 *   PROCESSING, COMPLETED). Should it have become FAILED again by then, the
 *   second request retries it once more: one more round of attempts, which
 *   still complete it once at most.
 * - `cancelMany` and `retryMany` change each order once. The second answer
 *   counts only what the first one left: a dry run before says how many there
 *   are, `more` whether there are others.
 *
 * `events.list` changes nothing, either; the time it waits comes on top of the
 * time it has. Health is asked to know how things are now: its requests are sent
 * once.
 *
 * **Listening.** `eventStream` gives what happens, as it happens, and never
 * ends. When its connection ends, breaks off, or is silent for 45 seconds (the
 * service gives a sign of life every 15), it comes back by itself after the last
 * event: none is missed and none comes twice. It waits as long as the service
 * asks its listeners to, and longer while that brings nothing; a service that is
 * away is waited for, however long that takes (`retry.times` and
 * `retry.retryAfterMax` are not about it). It fails with what would not pass:
 * `EventsOff`, `BadRequestProblem`, a 500, and `EventGap`. That one says that
 * events are gone for good, because the stream was away for longer than they are
 * kept or the database was restored: read anew what you keep of orders, then
 * listen on after its `after`.
 *
 * ```ts
 * const program = Effect.gen(function* () {
 *   const client = yield* OrderClient;
 *   yield* client
 *     .eventStream({ after: "latest", type: ["order.completed"] })
 *     .pipe(Stream.runForEach(({ subject }) => Console.log(subject)));
 * });
 * ```
 *
 * **Failures** are, besides each endpoint's refusals: `SchemaError` when what
 * was to be sent breaks the contract (nothing was sent), and `HttpClientError`
 * for everything that is no answer of this service: no connection, no answer
 * in time (both `reason: TransportError`), or an answer that a proxy or another
 * service gave (`reason: ForeignAnswer`). Its message says what answered, with
 * status and address. A redirect is such an answer: it is not followed. After
 * an `HttpClientError`, `place` may or may not have taken the order in; placing
 * it again tells.
 */
import {
  Context,
  Duration,
  Effect,
  Layer,
  Option,
  type Redacted,
  Schema,
  Stream,
} from "effect";
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http";
import {
  HttpApiClient,
  type HttpApiEndpoint,
  type HttpApiGroup,
} from "effect/http-api";
import { Api } from "../api/Api.ts";
import type { CloudEvent } from "../api/CloudEvent.ts";
import {
  type ExportFormat,
  type OrdersApi,
  pageSizeMax,
} from "../api/OrdersApi.ts";
import { PlaceOrder } from "../api/PlaceOrder.ts";
import type { Order } from "../domain/Order.ts";
import { type EventGap, listen } from "./EventListening.ts";
import * as Exporting from "./Exporting.ts";
import { explained, noted, revealed } from "./ForeignAnswer.ts";
import * as PlacingMany from "./PlacingMany.ts";
import {
  answeredWithin,
  begunWithin,
  defaultPolicy,
  type RequestRetryPolicy,
  retryTransient,
} from "./RequestRetry.ts";

export interface OrderClientOptions {
  /** Where the service is, as `http://localhost:8000`; a path in it is kept. */
  readonly baseUrl: string | URL;
  /**
   * A key of the service (`osk_...`), where it needs one; it is sent with each
   * request, and logs show it as `<redacted>`.
   */
  readonly key?: Redacted.Redacted | string | undefined;
  /** The time each sending of a request has to be answered; 10 seconds unless said. */
  readonly timeout?: Duration.Input | undefined;
  /** What differs from `defaultPolicy`; `{ times: 0 }` never sends again. */
  readonly retry?: Partial<RequestRetryPolicy> | undefined;
}

/** An export that broke off. */
export { ExportCut } from "./Exporting.ts";

type Endpoints = HttpApiClient.ForApi<typeof Api>;
type Place = HttpApiEndpoint.WithIdentifier<
  HttpApiGroup.Endpoints<typeof OrdersApi>,
  "place"
>;

/** An order as anyone may write it down: plain strings and numbers. */
export type OrderToPlace = typeof PlaceOrder.Encoded;

/** The order as it is stored, and the headers that came with it. */
export type Placed = HttpApiClient.SuccessType<Place["~Success"]>;

/** What `place` fails with. */
export type PlaceError = Effect.Error<ReturnType<Endpoints["orders"]["place"]>>;

export type { BatchEntry } from "../api/PlaceOrders.ts";
export type { PlaceManyError, PlaceManyOptions } from "./PlacingMany.ts";

/** Which orders; `limit` is the size of a page, 500 unless said. */
export type OrderFilter = Omit<
  Parameters<Endpoints["orders"]["list"]>[0]["query"],
  "cursor" | "format"
>;

/** What `list` fails with. */
export type ListError = Effect.Error<ReturnType<Endpoints["orders"]["list"]>>;

/** Which orders to export: all that pass. */
export type ExportFilter = Omit<OrderFilter, "limit">;

/** What `exportOrders` and `exportText` fail with. */
export type ExportError =
  | Effect.Error<ReturnType<Endpoints["orders"]["export"]>>
  | Exporting.ExportCut;

/** Which events, and after which: an id, or `latest`; left out, the oldest. */
export type EventStreamOptions = Parameters<
  Endpoints["events"]["stream"]
>[0]["query"];

/** What `eventStream` fails with; it never comes to an end otherwise. */
export type EventStreamError =
  | Effect.Error<ReturnType<Endpoints["events"]["stream"]>>
  | EventGap;

/** The cursor in `Link: <...?cursor=...>; rel="next"` (RFC 8288). */
const nextCursor = (link: string | undefined): string | null => {
  const [, target] = /<([^>]*)>\s*;\s*rel="next"/.exec(link ?? "") ?? [];
  if (target === undefined) return null;
  // The target may be relative; only its query is of interest.
  return new URL(target, "http://service").searchParams.get("cursor");
};

/** All pages of a list, each asked for when the one before is used up. */
const allOrders =
  (orders: Endpoints["orders"]) =>
  (filter: OrderFilter = {}): Stream.Stream<Order, ListError> =>
    Stream.paginate(undefined as string | undefined, (cursor) =>
      Effect.map(
        orders.list({ query: { limit: pageSizeMax, ...filter, cursor } }),
        ({ body, headers }) => [
          body,
          Option.fromNullOr(nextCursor(headers.link)),
        ],
      ),
    );

const readOrder = Schema.decodeEffect(PlaceOrder, { errors: "all" });

const make = Effect.fnUntraced(function* (options: OrderClientOptions) {
  const { key, timeout = "10 seconds" } = options;
  const policy = { ...defaultPolicy, ...options.retry };
  const keyless = revealed(yield* HttpClient.HttpClient);
  const anyClient = noted(
    key === undefined
      ? keyless
      : HttpClient.mapRequest(keyless, HttpClientRequest.bearerToken(key)),
  );
  const httpClient = answeredWithin(timeout)(anyClient);
  const patientClient = retryTransient(policy)(httpClient);
  const orders = explained(
    yield* HttpApiClient.group(Api, {
      group: "orders",
      baseUrl: options.baseUrl,
      httpClient: patientClient,
    }),
  );
  const { list } = explained(
    yield* HttpApiClient.group(Api, {
      group: "events",
      baseUrl: options.baseUrl,
      httpClient: patientClient,
    }),
  );
  const { stream } = explained(
    yield* HttpApiClient.group(Api, {
      group: "events",
      baseUrl: options.baseUrl,
      httpClient: anyClient.pipe(
        begunWithin(timeout),
        retryTransient({
          ...policy,
          times: Number.POSITIVE_INFINITY,
          retryAfterMax: Duration.infinity,
        }),
      ),
    }),
    { isRead: false },
  );
  const subscriptions = explained(
    yield* HttpApiClient.group(Api, {
      group: "subscriptions",
      baseUrl: options.baseUrl,
      // Sent once: each request may make one, or post a test.
      httpClient,
    }),
  );
  const processing = explained(
    yield* HttpApiClient.group(Api, {
      group: "processing",
      baseUrl: options.baseUrl,
      // Pausing what is paused changes nothing.
      httpClient: patientClient,
    }),
  );
  const exporting = explained(
    yield* HttpApiClient.group(Api, {
      group: "orders",
      baseUrl: options.baseUrl,
      // Begun anew until its answer begins; what comes then, comes once.
      httpClient: retryTransient(policy)(begunWithin(timeout)(anyClient)),
    }),
    { isRead: false },
  );
  const beginExport = (
    format: ExportFormat,
    filter: ExportFilter | undefined = {},
  ) =>
    Effect.map(
      exporting.export({
        query: { ...filter, format },
        responseMode: "decoded-and-response",
      }),
      ([, response]) => response,
    );
  const health = explained(
    yield* HttpApiClient.group(Api, {
      group: "health",
      baseUrl: options.baseUrl,
      httpClient,
    }),
  );
  const keys = explained(
    yield* HttpApiClient.group(Api, {
      group: "keys",
      baseUrl: options.baseUrl,
      // Sent once: each request may make a key.
      httpClient,
    }),
  );
  return OrderClient.of({
    orders,
    events: { list },
    subscriptions,
    processing,
    keys,
    health,
    eventStream: (query = {}) =>
      listen(
        (after) =>
          Effect.map(
            stream({
              query: { ...query, after },
              headers: {},
              responseMode: "decoded-and-response",
            }),
            ([, response]) => response,
          ),
        policy,
        query.after,
      ),
    place: (order) =>
      Effect.flatMap(readOrder(order), (payload) => orders.place({ payload })),
    placeMany: PlacingMany.placeMany(orders.placeMany),
    placeLines: PlacingMany.placeLines(orders.placeMany),
    allOrders: allOrders(orders),
    exportOrders: (filter) => Exporting.orders(beginExport("ndjson", filter)),
    exportText: ({ format, ...filter }) =>
      Exporting.text(beginExport(format, filter), format),
  });
});

export class OrderClient extends Context.Service<
  OrderClient,
  {
    /** To export, see `exportOrders`: it reads the answer as it comes. */
    readonly orders: Omit<Endpoints["orders"], "export">;
    readonly events: Pick<Endpoints["events"], "list">;
    /** Makes, pauses, tries and deletes subscriptions; `orders:operate`. */
    readonly subscriptions: Endpoints["subscriptions"];
    /** Whether orders are worked on, and by whom; pauses and resumes it. */
    readonly processing: Endpoints["processing"];
    /** Makes, lists, rolls and revokes keys; needs the scope `admin`. */
    readonly keys: Endpoints["keys"];
    readonly health: Endpoints["health"];
    /**
     * What happens to orders, as it happens: for ever, and over connections
     * that end.
     */
    eventStream(
      options?: EventStreamOptions,
    ): Stream.Stream<CloudEvent, EventStreamError>;
    /**
     * As `orders.place`, for an order in plain values. It is read as the
     * service itself would read it: ids are trimmed or may be integers, the
     * amount may be a decimal string.
     */
    place(order: OrderToPlace): Effect.Effect<Placed, PlaceError>;
    /** Many by few requests; what came of each, in the order given. */
    readonly placeMany: PlacingMany.PlaceMany;
    /** The same for orders that are JSON already. */
    readonly placeLines: PlacingMany.PlaceLines;
    /**
     * Every order there is, or that passes the filter, newest first; pages are
     * followed as the stream is read. Orders placed after its beginning do not
     * appear in it.
     */
    allOrders(filter?: OrderFilter): Stream.Stream<Order, ListError>;
    /**
     * The same as one answer, read at the pace of the stream: sooner done, and
     * each order as it is when it is read. Fails with `ExportCut` when it is not
     * all; it is not begun again by itself, as orders have been given.
     */
    exportOrders(filter?: ExportFilter): Stream.Stream<Order, ExportError>;
    /** What the service sends for it, as NDJSON or CSV, to its closing line. */
    exportText(
      options: { readonly format: ExportFormat } & ExportFilter,
    ): Stream.Stream<Uint8Array, ExportError>;
  }
>()("order-service/OrderClient") {
  /** Sends with the `HttpClient` at hand; it should follow no redirects. */
  static readonly layer = (
    options: OrderClientOptions,
  ): Layer.Layer<OrderClient, never, HttpClient.HttpClient> =>
    Layer.effect(OrderClient, make(options));

  /** Sends with the platform's `fetch`, which follows no redirects here. */
  static readonly layerFetch = (
    options: OrderClientOptions,
  ): Layer.Layer<OrderClient> =>
    Layer.provide(
      OrderClient.layer(options),
      Layer.provide(
        FetchHttpClient.layer,
        // A `POST` that is redirected might arrive as a `GET`, without its key.
        Layer.succeed(FetchHttpClient.RequestInit)({ redirect: "manual" }),
      ),
    );
}
