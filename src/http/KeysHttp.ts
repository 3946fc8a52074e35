/** The endpoints of keys: translates between HTTP and `Keys`. */
import { Clock, DateTime, Effect, Schema } from "effect";
import { HttpServerResponse } from "effect/http";
import { HttpApiBuilder, HttpApiError } from "effect/http-api";
import { Keys, type MadeKey } from "../access/Keys.ts";
import { Api } from "../api/Api.ts";
import * as KeysApi from "../api/KeysApi.ts";
import { Admission } from "./Admission.ts";
import * as JsonBody from "./JsonBody.ts";
import { decodeStrictly } from "./UnknownNames.ts";

const decodeMakeKey = decodeStrictly(KeysApi.MakeKey);
const decodeRollKey = decodeStrictly(KeysApi.RollKey);
const encodeMadeKey = Schema.encodeSync(KeysApi.MadeKey);

/** Nobody on the way keeps an answer that has a key in it. */
const shownOnce = (made: MadeKey) =>
  HttpServerResponse.jsonUnsafe(encodeMadeKey(made), {
    status: 201,
    headers: { "cache-control": "no-store" },
  });

const inThePast = new HttpApiError.BadRequestProblem({
  detail: "Request validation failed",
  errors: [
    { path: ["payload", "expires_at"], message: "must be in the future" },
  ],
});

export const layer = HttpApiBuilder.group(
  Api,
  "keys",
  Effect.fnUntraced(function* (handlers) {
    const keys = yield* Keys;
    const { admit } = yield* Admission;

    return handlers
      .handleRaw("make", ({ request }) =>
        JsonBody.use(request, (body) =>
          Effect.gen(function* () {
            const {
              expires_at = null,
              rate_limit = null,
              ...given
            } = yield* decodeMakeKey(body);
            const isPast =
              expires_at !== null &&
              DateTime.toEpochMillis(expires_at) <=
                (yield* Clock.currentTimeMillis);
            if (isPast) return yield* Effect.fail(inThePast);
            const made = keys.make({ ...given, expires_at, rate_limit });
            return shownOnce(yield* admit(made));
          }),
        ),
      )
      .handleRaw("roll", ({ params, request }) => {
        const roll = (body: unknown) =>
          Effect.gen(function* () {
            const { grace = 0 } = yield* decodeRollKey(body);
            return shownOnce(yield* admit(keys.roll(params.key_id, grace)));
          });
        return JsonBody.isSent(request)
          ? JsonBody.use(request, roll)
          : roll({});
      })
      .handleAll({
        list: () => admit(keys.list),
        revoke: ({ params }) => admit(keys.revoke(params.key_id)),
      });
  }),
);
