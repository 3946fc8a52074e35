/** Who gets events posted, and how that goes. */
import { Schema } from "effect";
import {
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  OpenApi,
} from "effect/http-api";
import { Time } from "../domain/Order.ts";
import {
  SubscriptionStatus,
  secretFault,
  subscriptionsMax,
  subscriptionUrlCharactersMax,
  urlFault,
} from "../domain/Subscription.ts";
import {
  SubscriptionNotFound,
  TooManySubscriptions,
} from "../domain/SubscriptionRefusals.ts";
import { KeyAccess, NeededScope } from "./Access.ts";
import { EventType } from "./CloudEvent.ts";
import { BodyTooLarge, EventsOff, NotJson, Unavailable } from "./Problems.ts";

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0));

const Url = Schema.String.annotate({
  message: "must be a URL such as https://host/path",
}).check(
  Schema.makeFilter<string>(urlFault, {
    toJsonSchema: () => ({
      format: "uri",
      pattern: "^[hH][tT][tT][pP][sS]?:",
      maxLength: subscriptionUrlCharactersMax,
    }),
  }),
);

const Secret = Schema.String.annotate({
  message: 'must be "whsec_" followed by 24 to 64 bytes in base64',
}).check(
  Schema.makeFilter<string>(secretFault, {
    toJsonSchema: () => ({ pattern: "^whsec_[A-Za-z0-9+/]+=*$" }),
  }),
);

const Types = Schema.Array(
  EventType.annotate({
    message: `must be one of ${EventType.literals.join(", ")}`,
  }),
)
  .annotate({ message: "must be an array of types of events" })
  .check(
    Schema.isMaxLength(EventType.literals.length, {
      message: "must name each type once",
    }),
  );

/** The body of `POST /api/subscriptions/`. */
export const Subscribe = Schema.Struct({
  url: Url.annotateKey({ messageMissingKey: "is missing" }).annotate({
    description:
      "Where events are posted to: http or https. It may hold a token, but no user or password.",
  }),
  types: Schema.optionalKey(
    Types.annotate({
      description: "Only these types; all if left out or empty.",
    }),
  ),
  secret: Schema.optionalKey(
    Secret.annotate({
      description:
        "What deliveries are signed with, as Standard Webhooks writes it; one is made if it is left out.",
    }),
  ),
}).annotate({ identifier: "Subscribe", message: "must be a JSON object" });

const fields = {
  id: Schema.String,
  url: Schema.String,
  types: Schema.Array(EventType).annotate({
    description: "All types when empty.",
  }),
  status: SubscriptionStatus,
  reason: Schema.NullOr(Schema.String).annotate({
    description: "Why it is DISABLED.",
  }),
  created_at: Time,
  lag_seconds: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)).annotate({
    description:
      "How long the oldest event that it has not got has been in the log; 0 when there is none.",
  }),
  delivered: Count.annotate({ description: "Events that were taken." }),
  delivered_at: Schema.NullOr(Time).annotate({
    description: "When some were last taken.",
  }),
  failing_since: Schema.NullOr(Time).annotate({
    description: "Null while deliveries are taken.",
  }),
  failures: Count.annotate({ description: "Failed deliveries in a row." }),
  next_attempt_at: Schema.NullOr(Time),
  last_error: Schema.NullOr(Schema.String).annotate({
    description: "Of a delivery that failed, until one is taken.",
  }),
};

/** A subscription, as it is told. */
export const Subscription = Schema.Struct(fields).annotate({
  identifier: "Subscription",
});

/** The same, once, with its secret. */
export const NewSubscription = Schema.Struct({
  ...fields,
  secret: Schema.String.annotate({ description: "Shown this once." }),
}).annotate({ identifier: "NewSubscription" });

/** What came of a test. */
export const SubscriptionTest = Schema.Struct({
  delivered: Schema.Boolean,
  status: Schema.NullOr(Schema.Int).annotate({
    description: "The receiver's answer; null if there was none.",
  }),
  error: Schema.NullOr(Schema.String),
}).annotate({ identifier: "SubscriptionTest" });

/** Any text may be asked for. */
const path = {
  id: Schema.String.annotate({ description: "As it was given when made." }),
};

const ofOne = [SubscriptionNotFound, EventsOff, Unavailable] as const;

export class SubscriptionsApi extends HttpApiGroup.make("subscriptions")
  .add(
    HttpApiEndpoint.post("subscribe", "/api/subscriptions/", {
      payload: Subscribe,
      success: HttpApiSchema.WithHeaders(
        NewSubscription.pipe(HttpApiSchema.status(201)),
        { location: Schema.String },
      ),
      error: [
        EventsOff,
        TooManySubscriptions,
        BodyTooLarge,
        NotJson,
        Unavailable,
      ],
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Have events posted",
        description: `From now on, in their order, each at least once, in batches of up to 100 CloudEvents, signed as Standard Webhooks says. The next batch waits until the one before was answered 2xx; a receiver that fails is tried again for 5 days, and misses nothing. There may be ${subscriptionsMax} subscriptions.`,
      }),
    ),
    HttpApiEndpoint.get("list", "/api/subscriptions/", {
      success: Schema.Array(Subscription),
      error: [EventsOff, Unavailable],
    }).annotateMerge(
      OpenApi.annotations({
        summary: "List subscriptions, oldest first",
        description: "All of them, with how their deliveries go.",
      }),
    ),
    HttpApiEndpoint.get("find", "/api/subscriptions/:id/", {
      params: path,
      success: Subscription,
      error: ofOne,
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Find a subscription",
        description: "How its deliveries go; never its secret.",
      }),
    ),
    HttpApiEndpoint.delete("remove", "/api/subscriptions/:id/", {
      params: path,
      success: HttpApiSchema.NoContent,
      error: ofOne,
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Delete a subscription",
        description: "A delivery that is under way may still come.",
      }),
    ),
    HttpApiEndpoint.post("pause", "/api/subscriptions/:id/pause/", {
      params: path,
      success: Subscription,
      error: ofOne,
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Pause a subscription",
        description:
          "It keeps its place, for as long as events are kept. One that is DISABLED stays so.",
      }),
    ),
    HttpApiEndpoint.post("resume", "/api/subscriptions/:id/resume/", {
      params: path,
      success: Subscription,
      error: ofOne,
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Resume a subscription",
        description:
          "PAUSED or DISABLED, it goes on at its place; one whose receiver fails is tried at once.",
      }),
    ),
    HttpApiEndpoint.post("test", "/api/subscriptions/:id/test/", {
      params: path,
      success: SubscriptionTest,
      error: ofOne,
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Try a subscription's receiver",
        description:
          "Posts one signed event of type `subscription.test`, now, and tells the answer.",
      }),
    ),
  )
  .middleware(HttpApiMiddleware.ProblemDetails)
  .middleware(KeyAccess)
  .annotate(NeededScope, "orders:operate")
  .annotateMerge(
    OpenApi.annotations({
      title: "Subscriptions",
      description: "Who gets events posted, and how that goes.",
    }),
  ) {}
