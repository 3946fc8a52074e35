/** What is refused about keys, as problems (RFC 9457). */
import { Schema } from "effect";
import { HttpApiError } from "effect/http-api";

/** No key that is good has this id. */
export class KeyNotFound extends HttpApiError.Problem<KeyNotFound>()(
  "KeyNotFound",
  {
    type: "urn:order-service:key-not-found",
    status: 404,
    title: "Key not found",
  },
  { id: Schema.String },
) {}

/** A key that is good has this name. */
export class KeyNameTaken extends HttpApiError.Problem<KeyNameTaken>()(
  "KeyNameTaken",
  {
    type: "urn:order-service:key-name-taken",
    status: 409,
    title: "Another key has this name",
  },
) {}

/** There are as many keys as there may be. */
export class TooManyKeys extends HttpApiError.Problem<TooManyKeys>()(
  "TooManyKeys",
  {
    type: "urn:order-service:too-many-keys",
    status: 409,
    title: "There are too many keys",
  },
) {}
