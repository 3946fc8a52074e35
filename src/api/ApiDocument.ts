/** What the OpenAPI document says beyond what follows from the endpoints. */
import { Predicate } from "effect";
import type { Needed, Rule } from "./Access.ts";

/** As much of an OpenAPI document as is looked at here. */
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: unknown;
}

interface Operation {
  security: ReadonlyArray<Readonly<Record<string, ReadonlyArray<string>>>>;
  readonly parameters: ReadonlyArray<Parameter>;
  readonly responses: Record<string, Response>;
}

interface Response {
  readonly description: string;
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}

interface Parameter {
  description?: string;
  explode?: boolean;
  readonly in: string;
  readonly schema: { readonly type?: string; readonly description?: string };
  style?: string;
}

/** Keywords that mean the same in a member of `allOf` and beside it. */
const movable: ReadonlySet<string> = new Set(["items", "not", "description"]);

/** Readers look for the items of an array beside its type, not in `allOf`. */
const joinMembers = (schema: Record<string, unknown>): void => {
  if (!Array.isArray(schema.allOf)) return;
  const apart = schema.allOf.filter((member: object) => {
    const isApart = Object.keys(member).some(
      (keyword) => !movable.has(keyword) || keyword in schema,
    );
    if (!isApart) Object.assign(schema, member);
    return isApart;
  });
  if (apart.length === 0) delete schema.allOf;
  else schema.allOf = apart;
};

const simplify = (node: unknown): void => {
  if (Array.isArray(node)) node.forEach(simplify);
  if (!Predicate.isObject(node)) return;
  for (const value of Object.values(node)) simplify(value);
  joinMembers(node as Record<string, unknown>);
  // Fields that the document does not name are ignored, not refused.
  if ("additionalProperties" in node && node.additionalProperties === false) {
    delete node.additionalProperties;
  }
};

/** Readers look for what a parameter is beside its schema, not in it. */
const describeParameter = (parameter: Parameter): void => {
  const { description, type } = parameter.schema;
  if (description !== undefined) parameter.description = description;
  if (parameter.in === "query" && type === "array") {
    parameter.style = "form";
    parameter.explode = true;
  }
};

const refTo = (identifier: string) => ({
  $ref: `#/components/schemas/${identifier}`,
});

const problem = (description: string, schema: object) => ({
  description,
  content: { "application/problem+json": { schema } },
});

/** What is refused before an endpoint (`http/RequestCheck`, `http/Browsers`). */
const addRefusals = (
  path: string,
  method: string,
  { responses }: Operation,
): void => {
  responses["400"] ??= problem(
    "Bad Request",
    refTo("BadRequestProblemEncoded"),
  );
  if (path.startsWith("/health/")) return;
  responses["421"] = problem(
    "The `Host` is no name of this service",
    refTo("Misdirected"),
  );
  if (method === "get") return;
  responses["403"] = problem(
    "The key does not have the scope, or a page of another site asked for it",
    {
      anyOf: [
        ...Object.values(responses["403"]?.content ?? {}).map(
          ({ schema }) => schema,
        ),
        refTo("CrossSite"),
      ],
    },
  );
};

/** Which scope a key needs stands where OAuth has its scopes (OpenAPI 3.1). */
const nameScope = (operation: Operation, needed: Needed | undefined): void => {
  if (needed === undefined || needed === "anybody") return;
  operation.security = operation.security.map((requirement) =>
    Object.fromEntries(
      Object.keys(requirement).map((name) => [name, [needed]]),
    ),
  );
};

/** How clients of Effect's own read a stream: others would wonder. */
const dropOwnWords = ({ responses }: Operation): void => {
  for (const { content = {} } of Object.values(responses)) {
    for (const body of Object.values(content)) {
      delete (body as unknown as Record<string, unknown>)["x-effect-stream"];
    }
  }
};

/** The document with all of it. */
export const complete =
  (rules: ReadonlyArray<Rule>) => (given: Record<string, unknown>) => {
    const document = given as unknown as Document;
    const needed = new Map(
      rules.map(({ method, needed, path }) => [
        `${method.toLowerCase()} ${path.replace(/:(\w+)/g, "{$1}")}`,
        needed,
      ]),
    );
    simplify(document.components);
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        operation.parameters.forEach(describeParameter);
        nameScope(operation, needed.get(`${method} ${path}`));
        addRefusals(path, method, operation);
        dropOwnWords(operation);
      }
    }
    return given;
  };
