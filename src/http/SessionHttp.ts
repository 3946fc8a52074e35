/** The endpoints of a browser's session: a key, kept in a cookie. */
import { Effect } from "effect";
import { HttpServerResponse } from "effect/http";
import { HttpApiBuilder } from "effect/http-api";
import { Api } from "../api/Api.ts";
import type { Session } from "../api/SessionApi.ts";
import { allScopes } from "../domain/Scope.ts";
import { askerOf } from "./Askers.ts";
import * as KeyCookie from "./KeyCookie.ts";

/** As it is answered, for nobody on the way to keep. */
const answer = (session: Session) =>
  HttpServerResponse.jsonUnsafe(session, {
    headers: { "cache-control": "no-store" },
  });

export const layer = (access: Session["access"]) =>
  HttpApiBuilder.group(Api, "session", (handlers) => {
    const who = (request: Parameters<typeof askerOf>[0]): Session => {
      const asker = askerOf(request);
      return {
        access,
        name: asker?.actor ?? null,
        scopes: access === "open" ? allScopes : Array.from(asker?.scopes ?? []),
      };
    };
    return handlers
      .handleRaw("who", ({ request }) =>
        Effect.sync(() => answer(who(request))),
      )
      .handleRaw("signIn", ({ request }) =>
        Effect.sync(() =>
          access === "open"
            ? answer(who(request))
            : KeyCookie.given(request.headers)(answer(who(request))),
        ),
      )
      .handleRaw("signOut", ({ request }) =>
        Effect.sync(() =>
          KeyCookie.takenBack(request.headers)(
            HttpServerResponse.empty({
              status: 204,
              headers: { "cache-control": "no-store" },
            }),
          ),
        ),
      );
  });
