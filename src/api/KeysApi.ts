/** The keys that callers show where access is closed. */
import { Schema } from "effect";
import {
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  OpenApi,
} from "effect/http-api";
import {
  graceSecondsMax,
  KeyEntry,
  KeyName,
  keysMax,
} from "../domain/ApiKey.ts";
import {
  KeyNameTaken,
  KeyNotFound,
  TooManyKeys,
} from "../domain/KeyRefusals.ts";
import { RateLimitText } from "../domain/RateLimit.ts";
import { allScopes, Scope } from "../domain/Scope.ts";
import { KeyAccess, NeededScope } from "./Access.ts";
import { time } from "./Parameters.ts";
import { BodyTooLarge, NotJson, Unavailable } from "./Problems.ts";

const required = { messageMissingKey: "is required" } as const;

const scopesFault = `must be one or more of ${allScopes.join(", ")}`;

/** The body of `POST /api/keys/`. */
export const MakeKey = Schema.Struct({
  name: KeyName.annotate({
    description:
      "Whose it is: 1 to 50 characters. No two keys that are good have the same. It stands as `actor` in history, events and log.",
  }).annotateKey(required),
  scopes: Schema.Array(Scope.annotate({ message: scopesFault }))
    .annotate({ message: scopesFault })
    .check(
      Schema.makeFilter<ReadonlyArray<Scope>>(
        (scopes) => (scopes.length > 0 ? undefined : scopesFault),
        { toJsonSchema: () => ({ minItems: 1 }) },
      ),
      Schema.makeFilter<ReadonlyArray<Scope>>(
        (scopes) =>
          new Set(scopes).size === scopes.length
            ? undefined
            : "must not name a scope twice",
        { toJsonSchema: () => ({ uniqueItems: true }) },
      ),
    )
    .annotateKey(required),
  expires_at: Schema.optionalKey(
    Schema.NullOr(time("From then on it is refused; left out: never.")),
  ),
  rate_limit: Schema.optionalKey(
    Schema.NullOr(
      RateLimitText.annotate({
        description:
          "Its own limit, such as `600/minute`; left out, RATE_LIMIT.",
      }),
    ),
  ),
}).annotate({ identifier: "MakeKey", message: "must be a JSON object" });

const graceFault = `must be a whole number of seconds from 0 to ${graceSecondsMax}`;

/** The body of `POST /api/keys/{id}/roll/`; it may be left out. */
export const RollKey = Schema.Struct({
  grace: Schema.optionalKey(
    Schema.Int.annotate({
      message: graceFault,
      description: "Seconds for which the old key is good, too; 0 if left out.",
    }).check(
      Schema.isBetween(
        { minimum: 0, maximum: graceSecondsMax },
        { message: graceFault },
      ),
    ),
  ),
}).annotate({ identifier: "RollKey", message: "must be a JSON object" });

/** A key that was made now. */
export const MadeKey = Schema.Struct({
  ...KeyEntry.fields,
  key: Schema.String.annotate({
    description: "The key itself, shown this once.",
  }),
}).annotate({ identifier: "MadeKey" });
export interface MadeKey extends Schema.Schema.Type<typeof MadeKey> {}

const KeyPath = {
  key_id: Schema.String.annotate({ description: "The key's `id`." }),
};

const Made = MadeKey.pipe(HttpApiSchema.status(201));

export class KeysApi extends HttpApiGroup.make("keys")
  .add(
    HttpApiEndpoint.post("make", "/api/keys/", {
      payload: MakeKey,
      success: Made,
      error: [BodyTooLarge, NotJson, KeyNameTaken, TooManyKeys, Unavailable],
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Make a key",
        description:
          "The answer has the key, this once: the service keeps only its SHA-256.",
      }),
    ),
    HttpApiEndpoint.get("list", "/api/keys/", {
      success: Schema.Array(KeyEntry),
      error: Unavailable,
    }).annotateMerge(
      OpenApi.annotations({
        summary: "List the keys",
        description: `Those that are good, at most ${keysMax}, and up to as many that ended in the last 30 days; the newest first. None is shown, but its first characters.`,
      }),
    ),
    HttpApiEndpoint.delete("revoke", "/api/keys/:key_id/", {
      params: KeyPath,
      success: HttpApiSchema.NoContent,
      error: [KeyNotFound, Unavailable],
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Revoke a key",
        description:
          "It is refused from now on, by every instance within 10 s; an old one that is still good, too. Again: 204.",
      }),
    ),
    HttpApiEndpoint.post("roll", "/api/keys/:key_id/roll/", {
      params: KeyPath,
      payload: RollKey,
      success: Made,
      error: [BodyTooLarge, NotJson, KeyNotFound, Unavailable],
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Roll a key",
        description:
          "A new key takes its place, with the same id, name and scopes. The old one is good for `grace` seconds more; of several old ones, only the last.",
        transform: (operation) => ({
          ...operation,
          requestBody: {
            ...(operation.requestBody as object),
            required: false,
          },
        }),
      }),
    ),
  )
  .middleware(HttpApiMiddleware.ProblemDetails)
  .middleware(KeyAccess)
  .annotate(NeededScope, "admin")
  .annotateMerge(
    OpenApi.annotations({
      title: "Keys",
      description: "Who may do what, where access is closed.",
    }),
  ) {}
