/** The endpoints of processing, and of its history: translates, decides nothing. */
import { Clock, type DateTime, Duration, Effect } from "effect";
import { HttpApiBuilder, HttpApiError } from "effect/http-api";
import { Api } from "../api/Api.ts";
import { historySeconds } from "../domain/MetricsHistory.ts";
import { Processing } from "../orders/Processing.ts";
import { Admission } from "./Admission.ts";

export const layer = HttpApiBuilder.group(
  Api,
  "processing",
  Effect.fnUntraced(function* (handlers) {
    const { get, pause, resume } = yield* Processing;
    const { admit } = yield* Admission;
    return handlers.handleAll({
      get: () => admit(get),
      pause: () => admit(pause),
      resume: () => admit(resume),
    });
  }),
);

/** Clocks differ a little: whoever asks for all there is may be a bit early. */
const tolerance = Duration.minutes(1);

const tooLongAgo = new HttpApiError.BadRequestProblem({
  detail: "Request validation failed",
  errors: [
    {
      path: ["query", "since"],
      message: `must be at most ${historySeconds / 86_400} days ago: what is older is not kept`,
    },
  ],
});

/** The history of metrics, for an endpoint of orders. */
export const metricsHistory = Effect.map(Processing, ({ history }) =>
  Effect.fnUntraced(function* (query: {
    readonly since?: DateTime.Utc | undefined;
    readonly step?: number | undefined;
  }) {
    const now = yield* Clock.currentTimeMillis;
    const oldest = now - historySeconds * 1000 - Duration.toMillis(tolerance);
    const { since, step } = query;
    if (since !== undefined && since.epochMilliseconds < oldest) {
      return yield* Effect.fail(tooLongAgo);
    }
    return yield* history(since, step);
  }),
);
