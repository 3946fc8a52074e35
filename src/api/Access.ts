/**
 * Which scope each request needs. An endpoint says it by an annotation, or its
 * group does for all of its endpoints; one of which neither does is an error
 * when the table is made, which is at start.
 */
import { Context, Option, Schema, SchemaAST } from "effect";
import {
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi,
} from "effect/http-api";
import type { Scope } from "../domain/Scope.ts";
import { KeyRequired, ScopeMissing, TooManyRequests } from "./Problems.ts";

/** What a request needs: a key with this scope, any key, or none. */
export type Needed = Scope | "any key" | "anybody";

export const isScope = (needed: Needed): needed is Scope =>
  needed !== "any key" && needed !== "anybody";

/** The annotation. */
export class NeededScope extends Context.Service<NeededScope, Needed>()(
  "api/NeededScope",
) {}

export const bearer = HttpApiSecurity.bearer.pipe(
  HttpApiSecurity.annotateMerge(
    OpenApi.annotations({
      description:
        "A key of this service, as `Authorization: Bearer osk_...`. Where access is open (`ACCESS=open`), none is needed.",
      format: "osk_",
    }),
  ),
);

/** A 401 with its header. */
const Unauthorized = KeyRequired.pipe(
  HttpApiSchema.encodeToWithHeaders(
    {
      body: KeyRequired,
      headers: {
        "www-authenticate": Schema.String.annotate({
          description: "`Bearer`, with the `error` if a key was sent.",
        }),
      },
    },
    {
      decode: ({ body }) => body,
      encode: (problem) => ({
        body: problem,
        headers: { "www-authenticate": "Bearer" },
      }),
    },
  ),
);

/** A 429 with its header. */
const Limited = TooManyRequests.pipe(
  HttpApiSchema.encodeToWithHeaders(
    {
      body: TooManyRequests,
      headers: { "retry-after": Schema.NumberFromString },
    },
    {
      decode: ({ body }) => body,
      encode: (problem) => ({
        body: problem,
        headers: { "retry-after": problem.retry_after_seconds },
      }),
    },
  ),
);

/**
 * Declares that a group's requests need keys. They are looked at before the
 * router (`http/AccessCheck`); what is behind it looks once more.
 */
export class KeyAccess extends HttpApiMiddleware.Service<KeyAccess>()(
  "api/KeyAccess",
  { security: { key: bearer }, error: [Unauthorized, ScopeMissing, Limited] },
) {}

/** What answers beside the API, to GET. */
export const pages: Readonly<Record<string, Needed>> = {
  "/openapi.json": "orders:read",
  "/docs": "orders:read",
  "/metrics": "orders:read",
  // The console, of which the sign-in is a part; what it shows, it asks for.
  "/": "anybody",
  "/console/*": "anybody",
};

/** A request, what it needs, and what it may say. */
export interface Rule {
  readonly method: string;
  readonly path: string;
  readonly needed: Needed;
  /** The names that its query may have. */
  readonly parameters: ReadonlyArray<string>;
  readonly takesBody: boolean;
}

/** As much of endpoints and groups as is looked at here. */
interface Annotated {
  readonly annotations: Context.Context<never>;
}
interface Endpoint extends Annotated {
  readonly method: string;
  readonly path: string;
  readonly query: Schema.Top | undefined;
  readonly payload: { readonly size: number };
}
interface Group extends Annotated {
  readonly endpoints: Readonly<Record<string, Endpoint>>;
}

export const neededBy = (endpoint: Endpoint, group: Annotated): Needed =>
  Option.getOrElse(
    Option.orElse(Context.getOption(endpoint.annotations, NeededScope), () =>
      Context.getOption(group.annotations, NeededScope),
    ),
    () => {
      throw new Error(
        `${endpoint.method} ${endpoint.path} does not say which scope it needs: annotate it, or its group, with NeededScope.`,
      );
    },
  );

/** What the query of an endpoint may have, by its schema. */
const parametersOf = ({ method, path, query }: Endpoint) => {
  if (query === undefined) return [];
  const { ast } = Schema.toEncoded(query);
  if (SchemaAST.isObjects(ast) && ast.indexSignatures.length === 0) {
    return ast.propertySignatures.map(({ name }) => String(name));
  }
  throw new Error(
    `${method} ${path} does not name its query parameters: write them as the fields of a struct.`,
  );
};

/** The rules of groups of endpoints. */
export const rulesOf = (groups: Iterable<Group>): ReadonlyArray<Rule> =>
  Array.from(groups).flatMap((group) =>
    Object.values(group.endpoints).map((endpoint) => ({
      method: endpoint.method,
      path: endpoint.path,
      needed: neededBy(endpoint, group),
      parameters: parametersOf(endpoint),
      takesBody: endpoint.payload.size > 0,
    })),
  );
