/**
 * The work an order is placed for. The service calls it at least once for each
 * order and completes the order once; bring your own with one Layer (README,
 * *Your own work*).
 */
import { Context, type Effect, Schema } from "effect";
import type { Order } from "../domain/Order.ts";

/** The attempt failed. It is tried again, unless it says that it is final. */
export class FulfilmentFailed extends Schema.TaggedError<FulfilmentFailed>()(
  "FulfilmentFailed",
  {
    /** Why; kept as the order's `last_error`. */
    message: Schema.String,
    /** No further attempt would help: the order becomes FAILED now. */
    final: Schema.optionalKey(Schema.Boolean),
    /** The least time to wait before the next attempt. */
    retryAfter: Schema.optionalKey(Schema.Duration),
  },
) {}

/**
 * The attempt was not made: what the work needs did not answer, or is known to
 * be away. It is not counted, and the order is tried again, however often.
 */
export class FulfilmentUnavailable extends Schema.TaggedError<FulfilmentUnavailable>()(
  "FulfilmentUnavailable",
  {
    /** Why; kept as the order's `last_error`. */
    message: Schema.String,
    /** The least time this order waits. Its wait grows by itself, to 30 s. */
    retryAfter: Schema.optionalKey(Schema.Duration),
    /** It is away for every order: none is begun for so long. */
    pause: Schema.optionalKey(Schema.Duration),
  },
) {}

export class Fulfilment extends Context.Service<
  Fulfilment,
  {
    /**
     * Does the work of one attempt; `order.attempts` is its number, from 1.
     * It may be interrupted: after `PROCESSING_TIMEOUT`, or when the service
     * stops. A defect is a failed attempt like any other.
     */
    fulfil(
      order: Order,
    ): Effect.Effect<void, FulfilmentFailed | FulfilmentUnavailable>;
  }
>()("processor/Fulfilment") {}
