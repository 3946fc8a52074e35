/** `GET /api/orders/export/`: orders as they are read, in the form asked for. */
import { Effect, Stream } from "effect";
import { type HttpServerRequest, HttpServerResponse } from "effect/http";
import type { ExportFormat } from "../api/OrdersApi.ts";
import { UnavailableProblem } from "../api/Problems.ts";
import type { Order } from "../domain/Order.ts";
import {
  type ExportQuery,
  exportsMax,
  OrderExports,
} from "../orders/OrderExports.ts";
import { Admission } from "./Admission.ts";
import { type Format, formatAccepted, formats } from "./ExportFormats.ts";

const retryAfterSeconds = 30;

const tooMany = new UnavailableProblem({
  detail: `${exportsMax} exports are under way here: ask again in ${retryAfterSeconds} s, or another instance.`,
  retry_after_seconds: retryAfterSeconds,
});

const utf8 = new TextEncoder();

/** A page of orders is a piece of the answer: all or nothing of it is sent. */
const written = <E>(
  pages: Stream.Stream<ReadonlyArray<Order>, E>,
  { close, head, write }: Format,
): Stream.Stream<Uint8Array, E> =>
  Stream.suspend(() => {
    let exported = 0;
    return Stream.succeed(head).pipe(
      Stream.filter((text) => text !== ""),
      Stream.concat(
        Stream.map(pages, (orders) => {
          exported += orders.length;
          return write(orders);
        }),
      ),
      Stream.concat(Stream.sync(() => close(exported))),
      Stream.map((text) => utf8.encode(text)),
    );
  });

/** @returns what answers a request for an export, by its query */
export const makeExporting = Effect.gen(function* () {
  const exports = yield* OrderExports;
  const { admit } = yield* Admission;
  return Effect.fnUntraced(function* (
    {
      format: asked,
      ...filter
    }: ExportQuery & { readonly format?: ExportFormat | undefined },
    request: HttpServerRequest.HttpServerRequest,
  ) {
    const format = formats[asked ?? formatAccepted(request.headers.accept)];
    const headers = {
      "cache-control": "no-store",
      "content-disposition": `attachment; filename="${format.fileName}"`,
      // Proxies would keep what is small until there is more.
      "x-accel-buffering": "no",
      vary: "Accept",
    };
    const { contentType } = format;
    if (request.method === "HEAD") {
      return HttpServerResponse.empty({
        status: 200,
        headers: { ...headers, "content-type": contentType },
      });
    }
    // The rest is read at its reader's pace, and is not work that others wait for.
    const pages = yield* Effect.catchTag(
      admit(exports.open(filter)),
      "TooManyExports",
      () => Effect.fail(tooMany),
    );
    return HttpServerResponse.stream(written(pages, format), {
      contentType,
      headers,
    });
  });
});
