/** What is refused of subscriptions, as problems (RFC 9457). */
import { Schema } from "effect";
import { HttpApiError } from "effect/http-api";

/** No subscription has this id. */
export class SubscriptionNotFound extends HttpApiError.Problem<SubscriptionNotFound>()(
  "SubscriptionNotFound",
  {
    type: "urn:order-service:subscription-not-found",
    status: 404,
    title: "Subscription not found",
  },
  { id: Schema.String },
) {}

/** There are as many subscriptions as there may be. */
export class TooManySubscriptions extends HttpApiError.Problem<TooManySubscriptions>()(
  "TooManySubscriptions",
  {
    type: "urn:order-service:too-many-subscriptions",
    status: 409,
    title: "There are as many subscriptions as there may be",
  },
) {}
