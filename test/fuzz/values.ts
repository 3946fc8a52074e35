/** JSON text: what the document asks for, and what callers send instead. */
import type { Dice } from "./Dice.ts";
import type { Contract, JsonSchema } from "./document.ts";

/** Text that is something else to a path, a query, a database or a runtime. */
export const oddTexts: ReadonlyArray<string> = [
  ...["", " ", "\t", "\n", "\u00a0", "\u3000", "\ufeff", "\u200b", "\u2028"],
  ...["\0", "a\0b", "\u0001", "\u001f", "\u007f", "\u0085", "a\r\nb", "a\tb"],
  ...["\ud800", "\udc00", "a\udfffb", "\udc00\ud800", "\ud83d"],
  ...[
    "😀",
    "👩‍👩‍👧‍👦",
    "e\u0301",
    "\u202eabc",
    "ﷺ",
    "Ω",
    "ß",
    "İ",
    "ı",
    "한글",
    "\u{10ffff}",
  ],
  ...["\ufffd", "\ufffe", "\uffff", "\ufdd0", "\ue000"],
  ...[".", "..", "...", "./", "../../etc/passwd", "metrics", "retry", "cancel"],
  ...["batch", "export", "history", "Batch", "exports"],
  ...["Metrics", "METRICS", "metrics ", " retry", "metrics/", "live", "ready"],
  ...[
    "a/b",
    "/",
    "//",
    "a\\b",
    "a;b",
    ";",
    "a?b=c",
    "a#b",
    "a&b",
    "a=b",
    "a+b",
  ],
  ...["%", "%%", "%2F", "%00", "%zz", "%E0%A4%A", "a%20b", ":order_id", "*"],
  ...["__proto__", "constructor", "toString", "hasOwnProperty", "then"],
  ...["null", "undefined", "true", "NaN", "Infinity", "-0", "0", "1", "1e3"],
  ...["'", '"', "`", "\\", "' OR 1=1 --", "'; DROP TABLE orders; --", "$1"],
  ...[
    "\\x41",
    "\\N",
    "{}",
    "{a,b}",
    "[1]",
    "$" + "{x}",
    "{{x}}",
    "<script>",
    "%s%n",
  ],
  ...["2026-01-31T12:00:00Z", "00000000-0000-0000-0000-000000000000"],
];

/** Lengths around the limits of the contract, in characters of any size. */
const lengths = [0, 1, 2, 49, 50, 51, 255, 1000, 5000];
const characters = ["a", "é", "語", "😀", " ", "\u0301", "%", "/"];

export const oddText = (dice: Dice): string =>
  dice.weighted<() => string>([
    [6, () => dice.pick(oddTexts)],
    [2, () => dice.pick(characters).repeat(dice.pick(lengths))],
    [1, () => ` ${dice.pick(characters).repeat(dice.pick([49, 50, 51]))} `],
    [2, () => `${dice.pick(oddTexts)}${dice.int(0, 1e9)}`],
    [
      2,
      () =>
        Array.from({ length: dice.int(1, 12) }, () =>
          String.fromCharCode(dice.int(0, 0xffff)),
        ).join(""),
    ],
  ])();

const numbers: ReadonlyArray<string> = [
  ...["0", "-0", "0.0", "1", "-1", "1.0", "1e3", "1E+2", "10e-1", "-1e-2"],
  ...["0.01", "0.001", "0.009", "0.10", "0.29", "1.005", "4.35", "0.1e1"],
  ...["99999999.99", "99999999.990", "99999999.991", "99999999.999"],
  ...["100000000", "99999999.99e0", "9999999999e-2", "1e8", "1e7", "1e-2"],
  ...["9007199254740991", "9007199254740992", "9007199254740993"],
  ...["-9007199254740993", "9223372036854775807", "9223372036854775808"],
  ...["18446744073709551616", "2147483648", "1e15", "1e16", "1e21", "123e45"],
  ...["0.300000000000000001", "1.000000000000000000", "0.1000000000000000055"],
  ...["1e308", "1e309", "-1e309", "1e400", "1e-400", "5e-324", "1e-324"],
  ...["1e99999", "1e-99999", "1e999999999999", "0e999999999999"],
  ...["1".repeat(50), "1".repeat(51), `1${"0".repeat(400)}`, "9".repeat(5000)],
  ...[
    `0.${"0".repeat(300)}1`,
    `1.${"0".repeat(5000)}`,
    `0.01${"0".repeat(50)}`,
  ],
];

/** Not numbers in JSON, though they are elsewhere. */
const brokenNumbers = ["01", "+1", ".5", "5.", "1e", "0x10", "NaN", "1_000"];

const decimals = [
  ...["19.90", "0.01", "1", "99999999.99", "100000000.00", "0.00", "-1.00"],
  ...["1.005", "1,5", "1.5.5", "1e2", "+1", ".5", "5.", " 7.25 ", "0x1F", "١"],
  ...["", " ", "abc", "NaN", "Infinity", "1e400", "1e-400", "1e999999999"],
  ...["0".repeat(1000), `${"0".repeat(1000)}1`, "9".repeat(1000), "1\u0000"],
];

/** A string literal, in one of the ways JSON can write it. */
export const literal = (text: string, dice: Dice): string => {
  const plain = JSON.stringify(text);
  if (dice.chance(0.7)) return plain;
  const escaped = Array.from({ length: text.length }, (_, index) => {
    const hex = text.charCodeAt(index).toString(16).padStart(4, "0");
    return `\\u${dice.chance(0.5) ? hex : hex.toUpperCase()}`;
  });
  return `"${escaped.join("")}"`;
};

const nested = (depth: number, inner: string) =>
  `${"[".repeat(depth)}${inner}${"]".repeat(depth)}`;

const nestedObjects = (depth: number) =>
  `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;

const keys = ["a", "", "__proto__", "constructor", "toString", "é", "a.b", "1"];

/** Any JSON value at all, most of them harmless. */
export const anyJson = (dice: Dice, depth = 3): string => {
  const inner = () => anyJson(dice, depth - 1);
  const list = () => Array.from({ length: dice.int(0, 3) }, inner);
  return dice.weighted<() => string>([
    [6, () => JSON.stringify(`ITEM${dice.int(1, 999)}`)],
    [4, () => String(dice.int(0, 100_000))],
    [2, () => (dice.int(1, 100_000) / 100).toString()],
    [2, () => dice.pick(["true", "false", "0", '""', "-1.5"])],
    [1, () => literal(oddText(dice), dice)],
    [1, () => dice.pick(numbers)],
    [depth > 0 ? 1 : 0, () => `[${list()}]`],
    [depth > 0 ? 1 : 0, () => `[null,${inner()}]`],
    [
      depth > 0 ? 2 : 0,
      () =>
        `{${dice
          .shuffle(keys)
          .slice(0, dice.int(0, 4))
          .map((key) => `${literal(key, dice)}:${inner()}`)}}`,
    ],
  ])();
};

/** The wrong type, a boundary, or no JSON: in the place of any value. */
export const oddJson = (dice: Dice): string =>
  dice.weighted<() => string>([
    [8, () => literal(oddText(dice), dice)],
    [6, () => dice.pick(numbers)],
    [3, () => JSON.stringify(dice.pick(decimals))],
    [4, () => dice.pick(["null", "true", "false", "[]", "{}", '""', '" "'])],
    [2, () => `[${anyJson(dice)},null]`],
    [2, () => anyJson(dice)],
    [1, () => dice.pick(brokenNumbers)],
    [
      1,
      () => dice.pick(["undefined", "'a'", "", '"\\x"', '"\\u12"', '"a\nb"']),
    ],
    [1, () => nested(dice.pick([15, 31, 32, 33, 34, 100, 3000]), "1")],
    [1, () => `[${nestedObjects(dice.pick([14, 31, 32, 33, 100, 3000]))}]`],
    [1, () => `[${Array(dice.pick([999, 1000, 1001])).fill("1")}]`],
    [1, () => '{"isLosslessNumber":true,"value":"1"}'],
  ])();

/** What the schema of a text cannot say, its name can. */
const texts: Readonly<Record<string, (dice: Dice) => string>> = {
  total_amount: (dice) => (dice.int(1, 1_000_000) / 100).toFixed(2),
  user_id: (dice) => `USER${dice.int(1, 50)}`,
};

const words = ["alpha", "Beta", "gamma-3", "delta_4", "ORD 5", "zeta.6", "été"];

/** JSON as a schema of the document asks for it. */
export const fromSchema = (
  contract: Contract,
  given: JsonSchema,
  dice: Dice,
  name = "",
): string => {
  const schema = contract.resolve(given);
  if (schema.anyOf !== undefined) {
    return fromSchema(contract, dice.pick(schema.anyOf), dice, name);
  }
  if (schema.enum !== undefined) return JSON.stringify(dice.pick(schema.enum));
  const { items = {}, maximum = 1_000_000, minimum = 1 } = schema;
  switch (schema.type) {
    case "string":
      if (schema.format === "date-time") {
        return `"${new Date(dice.int(0, 4e12)).toISOString()}"`;
      }
      return literal(
        texts[name]?.(dice) ?? `${dice.pick(words)} ${dice.int(1, 1e9)}`,
        dice,
      );
    case "integer":
      return String(dice.int(minimum, maximum));
    case "number":
      return (dice.int(1, 1_000_000) / 100).toString();
    case "boolean":
      return dice.pick(["true", "false"]);
    case "null":
      return "null";
    case "array": {
      const length = dice.int(schema.minItems ?? 0, (schema.minItems ?? 0) + 4);
      return `[${Array.from({ length }, () =>
        Object.keys(items).length === 0
          ? anyJson(dice)
          : fromSchema(contract, items, dice),
      )}]`;
    }
    case "object":
      return objectOf(fieldsFromSchema(contract, schema, dice), dice);
    default:
      return anyJson(dice);
  }
};

export type Fields = ReadonlyArray<readonly [name: string, json: string]>;

/** The fields of an object, so that one can be made wrong. */
export const fieldsFromSchema = (
  contract: Contract,
  given: JsonSchema,
  dice: Dice,
): Fields => {
  const { properties = {}, required = [] } = contract.resolve(given);
  return Object.entries(properties)
    .filter(([name]) => required.includes(name) || dice.chance(0.5))
    .map(([name, schema]) => [name, fromSchema(contract, schema, dice, name)]);
};

/** Written with the spaces, and in the order, that JSON leaves free. */
export const objectOf = (fields: Fields, dice: Dice): string => {
  const space = dice.chance(0.8) ? "" : dice.pick([" ", "\n  ", "\t", "\r\n"]);
  const order = dice.chance(0.5) ? fields : dice.shuffle(fields);
  const written = order.map(
    ([name, json]) => `${space}${literal(name, dice)}${space}:${space}${json}`,
  );
  return `${space}{${written.join(`${space},`)}${space}}${space}`;
};

/** Bytes changed, taken out, doubled or cut off. */
export const mutate = (body: Buffer, dice: Dice): Buffer => {
  let bytes = body;
  for (let times = dice.int(1, 3); times > 0; times -= 1) {
    const at = dice.int(0, Math.max(0, bytes.length - 1));
    const to = Math.min(bytes.length, at + dice.int(1, 8));
    const before = bytes.subarray(0, at);
    const piece = bytes.subarray(at, to);
    const flipped = Buffer.from(piece);
    if (flipped.length > 0) flipped[0] = dice.int(0, 255);
    const odd = dice.pick([
      ...[
        "\0",
        "\ufeff",
        '"',
        "\\",
        ",",
        "{",
        "}",
        "[",
        "]",
        ":",
        "é",
        "\ud800",
      ],
      ...["/*x*/", "//", "null", "1e9", "\u2028"],
    ]);
    bytes = dice.weighted<() => Buffer>([
      [3, () => Buffer.concat([before, flipped, bytes.subarray(to)])],
      [2, () => Buffer.concat([before, bytes.subarray(to)])],
      [2, () => Buffer.concat([before, piece, piece, bytes.subarray(to)])],
      [2, () => Buffer.concat([before, Buffer.from(odd), bytes.subarray(at)])],
      [1, () => before],
      [1, () => Buffer.concat([before, Buffer.from([0xc0, 0xaf]), piece])],
      [1, () => Buffer.from(bytes.toString("utf8"), "utf16le")],
    ])();
  }
  return bytes;
};
