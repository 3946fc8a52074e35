/**
 * Signs what is posted, as Standard Webhooks says. With two secrets there are
 * two signatures, so that a receiver can change from one to the other.
 *
 * @see https://github.com/standard-webhooks/standard-webhooks
 */
import { Effect, Redacted, Result, Schema } from "effect";
import { Mac } from "effect/crypto";
import { Base64 } from "effect/encoding";

/** The secret is not what Standard Webhooks says it is. */
export class BadSecret extends Schema.TaggedError<BadSecret>()("BadSecret", {
  message: Schema.String,
}) {}

const badSecret = () =>
  new BadSecret({
    message:
      'FULFILLMENT_SECRET must be "whsec_" followed by the key in base64, or two of these with a space between them.',
  });

/** The old one and the new one. */
const secretsMax = 2;

const utf8 = new TextEncoder();

/** Signs `id.timestamp.body`: the value of `webhook-signature`. */
export type Sign = (
  id: string,
  timestamp: number,
  body: string,
) => Effect.Effect<string>;

const keyOf = Effect.fnUntraced(function* (secret: string) {
  const bytes = Base64.decode(secret.replace(/^whsec_/, ""));
  if (Result.isFailure(bytes) || bytes.success.length === 0) {
    return yield* badSecret();
  }
  return yield* Effect.orDie(Mac.key(Mac.hmacSha256, bytes.success));
});

export const makeSign = Effect.fnUntraced(function* (
  secret: Redacted.Redacted,
): Effect.fn.Return<Sign, BadSecret, Mac.Mac> {
  const secrets = Redacted.value(secret).trim().split(/\s+/);
  if (secrets.length > secretsMax) return yield* badSecret();
  const mac = yield* Mac.Mac;
  const keys = yield* Effect.forEach(secrets, keyOf);
  return (id, timestamp, body) => {
    const content = utf8.encode(`${id}.${timestamp}.${body}`);
    return Effect.forEach(keys, (key) => mac.sign(key, content)).pipe(
      Effect.map((tags) =>
        tags.map((tag) => `v1,${Base64.encode(tag)}`).join(" "),
      ),
      Effect.orDie,
    );
  };
});
