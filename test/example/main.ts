/**
 * The service with work of one's own: everything is as in `src/main.ts`, but
 * an order is placed for what this Layer does.
 */
import { NodeRuntime } from "@effect/platform-node";
import { Effect, Layer } from "effect";
import { run } from "../../src/App.ts";
import { node } from "../../src/platform/node.ts";
import {
  Fulfilment,
  FulfilmentFailed,
} from "../../src/processor/Fulfilment.ts";

const warehouse = Layer.succeed(Fulfilment, {
  fulfil: (order) =>
    order.item_ids.includes("SOLD-OUT")
      ? new FulfilmentFailed({ message: "sold out", final: true })
      : Effect.logInfo("packing", order.item_ids),
});

NodeRuntime.runMain(run(node, warehouse));
