/**
 * Many orders by few requests, of up to 500 each. Sending the same again is as
 * safe as for one order: what was placed is answered as a replay.
 */
import { Effect } from "effect";
import type { HttpApiClient } from "effect/http-api";
import type { Api } from "../api/Api.ts";
import type { PlaceOrder } from "../api/PlaceOrder.ts";
import { type BatchEntry, batchSizeMax } from "../api/PlaceOrders.ts";

type Endpoint = HttpApiClient.ForApi<typeof Api>["orders"]["placeMany"];

/** What `placeMany` and `placeLines` fail with. */
export type PlaceManyError = Effect.Error<ReturnType<Endpoint>>;

export interface PlaceManyOptions {
  /** All are placed or none; 500 at most. */
  readonly atomic?: boolean | undefined;
  /** The entries come without their orders. */
  readonly minimal?: boolean | undefined;
}

type Entries = Effect.Effect<ReadonlyArray<BatchEntry>, PlaceManyError>;

/**
 * An entry for each order, in the order given, with what placing it alone is
 * answered. Its status is 503 where it was not placed, or may not have been:
 * place those again. More than 500 are several requests, one after the other;
 * after a failure some may have been placed, and placing all again tells.
 */
export type PlaceMany = (
  orders: ReadonlyArray<typeof PlaceOrder.Encoded>,
  options?: PlaceManyOptions,
) => Entries;

/**
 * The same for orders that are JSON already, each a line without its end: they
 * are sent as they are, to the last digit. A line that is no order comes back
 * as an entry with its problem. Entries have no orders.
 */
export type PlaceLines = (lines: ReadonlyArray<string>) => Entries;

const send = (
  endpoint: Endpoint,
  lines: ReadonlyArray<string>,
  { atomic = false, minimal = false }: PlaceManyOptions,
): Entries =>
  Effect.map(
    endpoint({
      query: atomic ? { atomic: "true" } : {},
      headers: minimal ? { prefer: "return=minimal" } : {},
      // As lines: so they may be larger together than a body may be.
      payload: lines.join("\n"),
    }),
    ({ body }) => body,
  );

const sendInParts = Effect.fnUntraced(function* (
  endpoint: Endpoint,
  lines: ReadonlyArray<string>,
  options: PlaceManyOptions,
) {
  const size = options.atomic === true ? lines.length : batchSizeMax;
  const entries: Array<BatchEntry> = [];
  for (let from = 0; from < lines.length; from += size) {
    const part = lines.slice(from, from + size);
    entries.push(...(yield* send(endpoint, part, options)));
  }
  return entries;
});

export const placeMany =
  (endpoint: Endpoint): PlaceMany =>
  (orders, options = {}) =>
    sendInParts(
      endpoint,
      orders.map((order) => JSON.stringify(order) ?? "null"),
      options,
    );

/** A line that would be none, or two, to the service. */
const isNoLine = (line: string) => line.trim() === "" || /[\r\n]/.test(line);

const noLine: BatchEntry = {
  order_id: null,
  status: 400,
  problem: {
    type: "about:blank",
    status: 400,
    title: "Bad Request",
    detail: "This is not the JSON of an order on one line: it was not sent.",
    errors: [
      {
        path: ["payload"],
        message: "must be the JSON of an order on one line",
      },
    ],
  },
};

export const placeLines =
  (endpoint: Endpoint): PlaceLines =>
  (lines) =>
    Effect.map(
      sendInParts(
        endpoint,
        lines.filter((line) => !isNoLine(line)),
        { minimal: true },
      ),
      (entries) => {
        let next = 0;
        return lines.map((line) =>
          isNoLine(line) ? noLine : (entries[next++] ?? noLine),
        );
      },
    );
