import { assert, describe, layer } from "@effect/vitest";
import { Effect, Layer, Redacted } from "effect";
import { Mac, SecureRandom } from "effect/crypto";
import { Webhook } from "standardwebhooks";
import { makeSign } from "../../src/processor/WebhookSignature.ts";

const old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const next = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

const mac = Mac.layerWebCrypto.pipe(Layer.provide(SecureRandom.layerWebCrypto));

describe("the signature", () => {
  layer(mac)((it) => {
    it.effect("is that of the reference vector of Standard Webhooks", () =>
      Effect.gen(function* () {
        const sign = yield* makeSign(Redacted.make(old));
        assert.strictEqual(
          yield* sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            '{"test": 2432232314}',
          ),
          "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        );
      }),
    );

    it.effect.each([old, next])(
      "of two secrets is accepted by who has %s alone",
      (secret) =>
        Effect.gen(function* () {
          const sign = yield* makeSign(Redacted.make(`${old}  ${next} `));
          const timestamp = Math.floor(Date.now() / 1000);
          const signature = yield* sign("A", timestamp, "{}");
          assert.match(signature, /^v1,\S+ v1,\S+$/);
          const verified = new Webhook(secret).verify("{}", {
            "webhook-id": "A",
            "webhook-timestamp": String(timestamp),
            "webhook-signature": signature,
          });
          assert.deepStrictEqual(verified, {});
        }),
    );

    it.effect.each([
      "whsec_***",
      "",
      " ",
      `${old} whsec_***`,
      `${old} ${old} ${old}`,
    ])("is not made with a secret %j", (secret) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(makeSign(Redacted.make(secret)));
        assert.match(error.message, /FULFILLMENT_SECRET/);
        assert.notInclude(error.message, "MfKQ");
      }),
    );
  });
});
