/**
 * The HTTP contract. Server, client, documentation and load test all derive
 * from it; it imports nothing but the domain's words.
 */
import { Predicate } from "effect";
import { HttpApi, OpenApi } from "effect/http-api";
import { HealthApi } from "./HealthApi.ts";
import { OrdersApi } from "./OrdersApi.ts";

/** Fields that the document does not name are ignored, not refused. */
const allowUnknownFields = (node: unknown): void => {
  if (!Predicate.isObject(node)) return;
  for (const value of Object.values(node)) allowUnknownFields(value);
  if ("additionalProperties" in node && node.additionalProperties === false) {
    delete node.additionalProperties;
  }
};

export class Api extends HttpApi.make("order-service")
  .add(OrdersApi)
  .add(HealthApi)
  .annotateMerge(
    OpenApi.annotations({
      title: "Order service",
      version: "0.1.0",
      description:
        "Takes orders in, works through them in the background, and never loses one. Every path answers with and without its trailing slash; errors are application/problem+json (RFC 9457).",
      transform: (document) => {
        allowUnknownFields(document.components);
        return document;
      },
    }),
  ) {}
