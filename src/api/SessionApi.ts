/** Who is signed in to the console. */
import { Schema } from "effect";
import {
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  OpenApi,
} from "effect/http-api";
import { Scope } from "../domain/Scope.ts";
import { KeyAccess, NeededScope } from "./Access.ts";

/** Who asks, and what they may. */
export const Session = Schema.Struct({
  access: Schema.Literals(["open", "keys"]).annotate({
    description: "`open`: no key is looked at, and anybody may do everything.",
  }),
  name: Schema.NullOr(Schema.String).annotate({
    description: "The name of the key; null where access is open.",
  }),
  scopes: Schema.Array(Scope),
}).annotate({ identifier: "Session" });
export interface Session extends Schema.Schema.Type<typeof Session> {}

const cookie = Schema.String.annotate({
  description: "The cookie that stands for the key.",
});

export class SessionApi extends HttpApiGroup.make("session")
  .add(
    HttpApiEndpoint.get("who", "/api/session/", {
      success: Session,
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Who asks",
        description: "The name and the scopes of the key that was shown.",
      }),
    ),
    HttpApiEndpoint.post("signIn", "/api/session/", {
      success: HttpApiSchema.WithHeaders(Session, {
        "set-cookie": Schema.optional(cookie),
      }),
    }).annotateMerge(
      OpenApi.annotations({
        summary: "Sign a browser in",
        description:
          "Shown as `Authorization: Bearer`, a key is kept by the browser in a cookie that no script can read and no other site can send. From then on it stands for the key.",
      }),
    ),
    HttpApiEndpoint.delete("signOut", "/api/session/", {
      success: HttpApiSchema.WithHeaders(HttpApiSchema.NoContent, {
        "set-cookie": cookie,
      }),
    })
      .annotate(NeededScope, "anybody")
      .annotateMerge(
        OpenApi.annotations({
          summary: "Sign a browser out",
          description: "The cookie is taken back; the key stays good.",
        }),
      ),
  )
  .middleware(HttpApiMiddleware.ProblemDetails)
  .middleware(KeyAccess)
  .annotate(NeededScope, "any key")
  .annotateMerge(
    OpenApi.annotations({
      title: "Session",
      description: "For browsers, which cannot show a key with each request.",
    }),
  ) {}
