/** The service's OpenAPI document: what it says a request will be answered. */

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
  readonly schema: JsonSchema;
}

/** As much of JSON Schema as requests are made from. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly enum?: ReadonlyArray<unknown>;
  readonly anyOf?: ReadonlyArray<JsonSchema>;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: ReadonlyArray<string>;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
}

export interface Operation {
  readonly operationId: string;
  readonly parameters?: ReadonlyArray<Parameter>;
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>>;
  };
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly content?: Readonly<
          Record<string, { readonly schema: object }>
        >;
        readonly headers?: Readonly<
          Record<string, { readonly required?: boolean }>
        >;
      }
    >
  >;
}

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

/** One path of the document, or one that the document is itself served beside. */
export interface Path {
  readonly template: string;
  readonly segments: ReadonlyArray<string>;
  /** By method, in upper case; none for the paths beside the document. */
  readonly operations: Readonly<Record<string, Operation>>;
  readonly methods: ReadonlyArray<string>;
}

/** Answered, but not part of the API that clients are made from. */
const besides = ["/metrics", "/docs", "/openapi.json", "/"];

const isParameter = (segment: string) => segment.startsWith("{");

const segmentsOf = (path: string) => path.replace(/\/$/, "").split("/");

export class Contract {
  readonly document: Document;
  readonly paths: ReadonlyArray<Path>;

  constructor(document: Document) {
    this.document = document;
    const documented = Object.entries(document.paths).map(
      ([template, methods]) => {
        const operations = Object.fromEntries(
          Object.entries(methods).map(([method, operation]) => [
            method.toUpperCase(),
            operation,
          ]),
        );
        // What can be asked with GET can be asked with HEAD (RFC 9110, 9.3.2).
        if (operations.GET !== undefined) operations.HEAD = operations.GET;
        return {
          template,
          segments: segmentsOf(template),
          operations,
          methods: Object.keys(operations),
        };
      },
    );
    const beside = besides.map((template) => ({
      template,
      segments: segmentsOf(template),
      operations: {},
      methods: ["GET", "HEAD"],
    }));
    this.paths = [...documented, ...beside];
  }

  static async of(url: string): Promise<Contract> {
    const answer = await fetch(`${url}/openapi.json`);
    return new Contract((await answer.json()) as Document);
  }

  /** The path that these segments are of; literal ones go first. */
  match(path: string): Path | undefined {
    const given = segmentsOf(path);
    return this.paths
      .filter(
        ({ segments }) =>
          segments.length === given.length &&
          segments.every((segment, index) =>
            isParameter(segment)
              ? given[index] !== ""
              : segment === given[index],
          ),
      )
      .sort(
        (one, other) =>
          one.segments.filter(isParameter).length -
          other.segments.filter(isParameter).length,
      )[0];
  }

  /** Follows a `$ref`. */
  resolve(schema: JsonSchema): JsonSchema {
    if (schema.$ref === undefined) return schema;
    const name = schema.$ref.replace("#/components/schemas/", "");
    return this.resolve(this.document.components.schemas[name] as JsonSchema);
  }
}
