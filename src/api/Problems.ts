/**
 * Answers to requests that never became a question about an order, as problems
 * (RFC 9457). Refusals about orders are the domain's: `OrderRefusals`.
 */
import { Schema } from "effect";
import { HttpApiError, HttpApiSchema } from "effect/http-api";
import { Scope } from "../domain/Scope.ts";

/** The body is larger than `MAX_BODY_SIZE`. */
export class BodyTooLarge extends HttpApiError.Problem<BodyTooLarge>()(
  "BodyTooLarge",
  {
    type: "urn:order-service:body-too-large",
    status: 413,
    title: "The body is too large",
  },
) {}

/** The body is not declared as JSON. */
export class NotJson extends HttpApiError.Problem<NotJson>()("NotJson", {
  type: "urn:order-service:not-json",
  status: 415,
  title: "The body must be JSON",
}) {}

/** The service cannot answer now; `Retry-After` says when to ask again. */
export class UnavailableProblem extends HttpApiError.Problem<UnavailableProblem>()(
  "Unavailable",
  {
    type: "urn:order-service:unavailable",
    status: 503,
    title: "The service cannot answer now",
  },
  { retry_after_seconds: Schema.Int },
) {}

/** The same, with its header. */
export const Unavailable = UnavailableProblem.pipe(
  HttpApiSchema.encodeToWithHeaders(
    {
      body: UnavailableProblem,
      headers: { "retry-after": Schema.NumberFromString },
    },
    {
      decode: ({ body }) => body,
      encode: (problem) => ({
        body: problem,
        headers: { "retry-after": problem.retry_after_seconds },
      }),
    },
  ),
);

/** No such path. */
export class PathNotFound extends HttpApiError.Problem<PathNotFound>()(
  "PathNotFound",
  {
    type: "urn:order-service:path-not-found",
    status: 404,
    title: "No such path",
  },
) {}

/** The path does not answer this method; `Allow` names those it does. */
export class MethodNotAllowed extends HttpApiError.Problem<MethodNotAllowed>()(
  "MethodNotAllowed",
  {
    type: "urn:order-service:method-not-allowed",
    status: 405,
    title: "The path does not answer this method",
  },
) {}

/** A page of another site asked for a change; only a browser is told so. */
export class CrossSite extends HttpApiError.Problem<CrossSite>()("CrossSite", {
  type: "urn:order-service:cross-site",
  status: 403,
  title: "Another site may change nothing here",
}) {}

/** The request's `Host` is no name of this service. */
export class Misdirected extends HttpApiError.Problem<Misdirected>()(
  "Misdirected",
  {
    type: "urn:order-service:misdirected",
    status: 421,
    title: "This service does not go by that name",
  },
) {}

/** `GET /health/ready` while the service should get no traffic. */
export class NotReady extends HttpApiError.Problem<NotReady>()("NotReady", {
  type: "urn:order-service:not-ready",
  status: 503,
  title: "The service is not ready",
}) {}

/** `EVENTS` is off: there are none to be read. */
export class EventsOff extends HttpApiError.Problem<EventsOff>()("EventsOff", {
  type: "urn:order-service:events-off",
  status: 409,
  title: "This service writes no events",
}) {}

/** What came after an event's id is not there any more, or never was here. */
export class EventsGoneProblem extends HttpApiError.Problem<EventsGoneProblem>()(
  "EventsGone",
  {
    type: "urn:order-service:events-gone",
    status: 410,
    title: "What came after that event is gone",
  },
) {}

/** The request carries no key, or none that is good. */
export class KeyRequired extends HttpApiError.Problem<KeyRequired>()(
  "KeyRequired",
  {
    type: "urn:order-service:key-required",
    status: 401,
    title: "A key is needed",
  },
) {}

/** The key is good, and not for this. */
export class ScopeMissing extends HttpApiError.Problem<ScopeMissing>()(
  "ScopeMissing",
  {
    type: "urn:order-service:scope-missing",
    status: 403,
    title: "The key does not have the scope",
  },
  { scope: Scope },
) {}

/** The caller's own limit of requests, not the service's. */
export class TooManyRequests extends HttpApiError.Problem<TooManyRequests>()(
  "TooManyRequests",
  {
    type: "urn:order-service:too-many-requests",
    status: 429,
    title: "Too many requests",
  },
  { retry_after_seconds: Schema.Int },
) {}
