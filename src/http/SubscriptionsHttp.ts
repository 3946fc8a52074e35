/** The endpoints of subscriptions: translates, decides nothing. */
import { Effect } from "effect";
import { HttpApiBuilder, HttpApiError, HttpApiSchema } from "effect/http-api";
import { Api } from "../api/Api.ts";
import type { EventsOff } from "../api/Problems.ts";
import { Subscribe } from "../api/SubscriptionsApi.ts";
import { EventsAreOff } from "../events/Places.ts";
import {
  type PrivateReceiver,
  Subscriptions,
} from "../events/Subscriptions.ts";
import { Admission } from "./Admission.ts";
import { eventsOff } from "./EventsHttp.ts";
import * as JsonBody from "./JsonBody.ts";
import { decodeStrictly } from "./UnknownNames.ts";

const decodeSubscribe = decodeStrictly(Subscribe);

const privateReceiver = (_: PrivateReceiver) =>
  new HttpApiError.BadRequestProblem({
    detail: "Request validation failed",
    errors: [
      {
        path: ["payload", "url"],
        message:
          "leads to a private address, which is not allowed here (SUBSCRIPTIONS_TO)",
      },
    ],
  });

const orOff = <A, E>(
  work: Effect.Effect<A, E>,
): Effect.Effect<A, Exclude<E, EventsAreOff> | EventsOff> =>
  Effect.mapError(work, (error) =>
    error instanceof EventsAreOff
      ? eventsOff
      : (error as Exclude<E, EventsAreOff>),
  );

export const layer = HttpApiBuilder.group(
  Api,
  "subscriptions",
  Effect.fnUntraced(function* (handlers) {
    const subscriptions = yield* Subscriptions;
    const { admit } = yield* Admission;

    return handlers
      .handleRaw("subscribe", ({ request }) =>
        JsonBody.use(request, (body) =>
          Effect.flatMap(decodeSubscribe(body), (asked) =>
            admit(
              Effect.catchTags(subscriptions.subscribe(asked), {
                EventsAreOff: () => Effect.fail(eventsOff),
                PrivateReceiver: (error) => Effect.fail(privateReceiver(error)),
              }),
            ),
          ),
        ).pipe(
          Effect.map(({ secret, subscription }) =>
            HttpApiSchema.withHeaders({
              body: { ...subscription, secret },
              headers: { location: `/api/subscriptions/${subscription.id}/` },
            }),
          ),
        ),
      )
      .handleAll({
        list: () => admit(orOff(subscriptions.list)),
        find: ({ params }) => admit(orOff(subscriptions.find(params.id))),
        remove: ({ params }) => admit(orOff(subscriptions.remove(params.id))),
        pause: ({ params }) => admit(orOff(subscriptions.pause(params.id))),
        resume: ({ params }) => admit(orOff(subscriptions.resume(params.id))),
        test: ({ params }) => admit(orOff(subscriptions.test(params.id))),
      });
  }),
);
