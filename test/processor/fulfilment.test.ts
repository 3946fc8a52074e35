/** Every way to do the work keeps what a Fulfilment promises. */
import { Duration, Effect, Layer, Redacted } from "effect";
import {
  Fulfilment,
  FulfilmentFailed,
} from "../../src/processor/Fulfilment.ts";
import * as FulfilmentSimulated from "../../src/processor/FulfilmentSimulated.ts";
import * as FulfilmentWebhook from "../../src/processor/FulfilmentWebhook.ts";
import { fulfilmentSuite } from "./fulfilmentSuite.ts";
import { type Answer, stubReceiver } from "./stubReceiver.ts";

fulfilmentSuite("simulated", {
  quick: FulfilmentSimulated.layer(Duration.zero),
  endless: FulfilmentSimulated.layer(Duration.hours(1)),
});

const webhook = (answer: Answer) =>
  FulfilmentWebhook.layer({
    url: Redacted.make(new URL("http://127.0.0.1:1/")),
    // Signing takes real time, which the test's clock does not wait for.
    secret: undefined,
    // Longer than an attempt may take, which is not so in `App.ts`.
    timeout: Duration.hours(1),
  }).pipe(Layer.provide(stubReceiver(answer).layer));

fulfilmentSuite("by webhook", {
  quick: webhook(200),
  endless: webhook("hangs"),
  refusing: webhook(422),
});

const own = (fulfil: Fulfilment["Service"]["fulfil"]) =>
  Layer.succeed(Fulfilment, { fulfil });

fulfilmentSuite("by a Layer of one's own", {
  quick: own(() => Effect.void),
  endless: own(() => Effect.never),
  refusing: own(
    () => new FulfilmentFailed({ message: "sold out", final: true }),
  ),
});
