/**
 * Holds a value against a JSON Schema of the OpenAPI document: as much of JSON
 * Schema as the document uses. What it does not know is a fault too.
 */
type Schemas = Readonly<Record<string, unknown>>;

const typeOf = (value: unknown): string => {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
};

const isOfType = (value: unknown, type: unknown) =>
  type === "integer" ? Number.isInteger(value) : typeOf(value) === type;

const length = (value: unknown) => Array.from(value as string | []).length;
const entries = (value: unknown) => Object.entries(value as object);

const jsonIn = (text: unknown): { readonly json: unknown } | undefined => {
  try {
    return { json: JSON.parse(String(text)) };
  } catch {
    return undefined;
  }
};

type Keyword = (value: unknown, argument: never, schemas: Schemas) => boolean;

const isValid = (schemas: Schemas, schema: unknown, value: unknown) =>
  faultsOf(schemas, schema as object, value).length === 0;

/** Keywords about values of one type hold for those of any other. */
const ifType =
  (type: string, keyword: Keyword): Keyword =>
  (value, argument, schemas) =>
    typeOf(value) !== type || keyword(value, argument, schemas);

const keywords: Readonly<Record<string, Keyword>> = {
  type: isOfType,
  enum: (value, members: ReadonlyArray<unknown>) => members.includes(value),
  anyOf: (value, some: ReadonlyArray<unknown>, schemas) =>
    some.some((schema) => isValid(schemas, schema, value)),
  allOf: (value, all: ReadonlyArray<unknown>, schemas) =>
    all.every((schema) => isValid(schemas, schema, value)),
  not: (value, schema: unknown, schemas) => !isValid(schemas, schema, value),
  minimum: ifType("number", (value, min: number) => Number(value) >= min),
  maximum: ifType("number", (value, max: number) => Number(value) <= max),
  exclusiveMinimum: ifType(
    "number",
    (value, min: number) => Number(value) > min,
  ),
  minLength: ifType("string", (value, min: number) => length(value) >= min),
  maxLength: ifType("string", (value, max: number) => length(value) <= max),
  minItems: ifType("array", (value, min: number) => length(value) >= min),
  maxItems: ifType("array", (value, max: number) => length(value) <= max),
  items: ifType("array", (value, schema: unknown, schemas) =>
    (value as []).every((item) => isValid(schemas, schema, item)),
  ),
  required: ifType("object", (value, names: ReadonlyArray<string>) =>
    names.every((name) => Object.hasOwn(value as object, name)),
  ),
  properties: ifType("object", (value, properties: object, schemas) =>
    entries(value).every(
      ([name, given]) =>
        !Object.hasOwn(properties, name) ||
        isValid(schemas, (properties as Schemas)[name], given),
    ),
  ),
  additionalProperties: () => true,
  format: (value, format: string) =>
    // Any text is bytes.
    format === "binary" ||
    (format === "date-time" &&
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(String(value))),
  $ref: (value, reference: string, schemas) =>
    isValid(schemas, reference.replace("#/components/schemas/", ""), value),
  contentMediaType: (value, type: string) =>
    type === "application/json" && jsonIn(value) !== undefined,
  contentSchema: (value, schema: unknown, schemas) =>
    isValid(schemas, schema, jsonIn(value)?.json),
  description: () => true,
  default: () => true,
};

/** What is wrong with a value; `schema` may be the name of a component. */
export const faultsOf = (
  schemas: Schemas,
  schema: object | string,
  value: unknown,
): ReadonlyArray<string> => {
  const rules = typeof schema === "string" ? schemas[schema] : schema;
  return entries(rules ?? { missing: schema }).flatMap(([name, argument]) =>
    keywords[name]?.(value, argument as never, schemas) === true
      ? []
      : [`${name} ${JSON.stringify(argument)}: ${JSON.stringify(value)}`],
  );
};
