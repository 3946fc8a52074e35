/**
 * The HTTP contract. Server, client, documentation and load test all derive
 * from it; it imports nothing but the domain's words.
 */
import { HttpApi, OpenApi } from "effect/http-api";
import { version } from "../domain/Version.ts";
import * as Access from "./Access.ts";
import * as ApiDocument from "./ApiDocument.ts";
import { EventsApi } from "./EventsApi.ts";
import { HealthApi } from "./HealthApi.ts";
import { KeysApi } from "./KeysApi.ts";
import { OrdersApi } from "./OrdersApi.ts";
import { CrossSite, Misdirected } from "./Problems.ts";
import { ProcessingApi } from "./ProcessingApi.ts";
import { SessionApi } from "./SessionApi.ts";
import { SubscriptionsApi } from "./SubscriptionsApi.ts";

/** What each request needs; an endpoint that does not say it fails the start. */
export const rules = Access.rulesOf([
  OrdersApi,
  EventsApi,
  SubscriptionsApi,
  ProcessingApi,
  KeysApi,
  SessionApi,
  HealthApi,
]);

export class Api extends HttpApi.make("order-service")
  .add(OrdersApi)
  .add(EventsApi)
  .add(KeysApi)
  .add(SubscriptionsApi)
  .add(SessionApi)
  .add(ProcessingApi)
  .add(HealthApi)
  .annotate(HttpApi.AdditionalSchemas, [CrossSite, Misdirected])
  .annotateMerge(
    OpenApi.annotations({
      title: "Order service",
      version,
      description:
        "Takes orders in, works through them in the background, and never loses one. Every path answers with and without its trailing slash; errors are application/problem+json (RFC 9457). Where access is closed (`ACCESS=keys`), each request needs a key with the scope that it names.",
      license: {
        name: "MIT",
        url: "https://opensource.org/license/mit",
      },
      servers: [{ url: "/", description: "Whoever serves this document." }],
      transform: ApiDocument.complete(rules),
    }),
  ) {}
