/** The answer to a batch, as it is made: an entry for each of its orders. */
import { Effect } from "effect";
import { HttpServerRespondable, HttpServerResponse } from "effect/http";
import { ndjson } from "../api/PlaceOrders.ts";
import type { UnavailableProblem } from "../api/Problems.ts";
import type { Order } from "../domain/Order.ts";
import { toJson } from "../domain/OrderJson.ts";

export interface BatchFormat {
  /** Without orders. */
  readonly minimal: boolean;
  readonly asLines: boolean;
}

/** How the answer is asked for, in `Prefer` (RFC 7240) and `Accept`. */
export const formatOf = (
  headers: Readonly<Record<string, string | undefined>>,
): BatchFormat => ({
  minimal: /(^|[,;])\s*return\s*=\s*"?minimal"?\s*([,;]|$)/i.test(
    headers.prefer ?? "",
  ),
  asLines:
    /(^|,)\s*application\/x-ndjson\s*(,|$|;(?!\s*q=0(\.0*)?\s*(,|$)))/i.test(
      headers.accept ?? "",
    ),
});

const entriesBytesMax = 2 * 2 ** 20;

/**
 * Bytes of entries that are answered to a body of so many. An order takes its
 * own bytes and a few hundred; what a bad one is told may take much more.
 */
export const entriesBytesOf = (bodyBytes: number): number =>
  Math.min(entriesBytesMax, 2 * bodyBytes + 262_144);

type Respondable = HttpServerRespondable.Respondable;

const utf8 = new TextDecoder();

export class BatchAnswer {
  readonly #format: BatchFormat;
  readonly #bytesMax: number;
  readonly #entries: Array<string> = [];
  #bytes = 0;
  /** Orders of which it is known what came of them. */
  #settled = 0;
  #unavailable: UnavailableProblem | undefined;

  /** @param bytesMax of entries; beyond, they are as short as can be */
  constructor(format: BatchFormat, bytesMax: number) {
    this.#format = format;
    this.#bytesMax = bytesMax;
  }

  /** About as many bytes as it takes. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Why all of it was not placed, if none was and one could have been. */
  get refusal(): UnavailableProblem | undefined {
    return this.#settled === 0 ? this.#unavailable : undefined;
  }

  /** Why the last orders were not placed: the next would not be, either. */
  get unavailable(): UnavailableProblem | undefined {
    return this.#unavailable;
  }

  add(order: Order, isNew: boolean): void {
    const isLeftOut = this.#format.minimal || this.#bytes > this.#bytesMax;
    this.#settled += 1;
    this.#push(
      order.order_id,
      isNew ? 201 : 200,
      isLeftOut ? "" : `,"order":${toJson(order)}`,
    );
  }

  /** Says of an order what placing it alone would have been answered. */
  refuse(order_id: string | null, refusal: Respondable): Effect.Effect<void> {
    return Effect.map(
      HttpServerRespondable.toResponse(refusal),
      ({ body, status }) => {
        const text =
          body._tag === "Uint8Array" ? utf8.decode(body.body) : "null";
        if (status === 409 || status === 422) this.#settled += 1;
        this.#push(
          order_id,
          status,
          `,"problem":${this.#bytes > this.#bytesMax ? withoutErrors(text) : text}`,
        );
      },
    );
  }

  /** Says that it was not placed, or may not have been. */
  postpone(
    order_id: string,
    unavailable: UnavailableProblem,
  ): Effect.Effect<void> {
    this.#unavailable = unavailable;
    return this.refuse(order_id, unavailable);
  }

  #push(order_id: string | null, status: number, more: string): void {
    const entry = `{"order_id":${JSON.stringify(order_id)},"status":${status}${more}}`;
    this.#bytes += entry.length;
    this.#entries.push(entry);
  }

  get response(): HttpServerResponse.HttpServerResponse {
    const { asLines, minimal } = this.#format;
    return HttpServerResponse.text(
      asLines
        ? `${this.#entries.join("\n")}\n`
        : `[${this.#entries.join(",")}]`,
      {
        contentType: asLines ? ndjson : "application/json",
        headers: minimal ? { "preference-applied": "return=minimal" } : {},
      },
    );
  }
}

const withoutErrors = (problem: string): string => {
  const { errors: _, ...rest } = JSON.parse(problem);
  return JSON.stringify(rest);
};
