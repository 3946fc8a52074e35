/** Liveness and readiness. */
import { Effect } from "effect";
import { HttpApiBuilder } from "effect/http-api";
import { Api } from "../api/Api.ts";
import { NotReady } from "../api/Problems.ts";
import { Readiness } from "../orders/Readiness.ts";

export const layer = HttpApiBuilder.group(
  Api,
  "health",
  Effect.fnUntraced(function* (handlers) {
    const readiness = yield* Readiness;
    return handlers.handleAll({
      live: () => Effect.succeed({ status: "live" as const }),
      ready: () =>
        readiness.check.pipe(
          Effect.map((found) => ({ status: "ready" as const, ...found })),
          Effect.mapError((detail) => new NotReady({ detail })),
        ),
    });
  }),
);
