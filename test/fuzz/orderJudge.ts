/**
 * Whether a body of `POST /api/orders/` is an order: ids of 1 to 50 characters,
 * 1 to 1000 items, an amount of whole cents. Decided without the service's own
 * code: native `JSON.parse`, and decimals as whole numbers of cents.
 */
export interface Content {
  readonly order_id: string;
  readonly user_id: string;
  readonly item_ids: ReadonlyArray<unknown>;
  readonly total_amount: number;
}

/** "unsure" where the contract leaves it open; if it is taken, it reads so. */
export type Verdict =
  | { readonly is: "valid"; readonly content: Content }
  | { readonly is: "unsure"; readonly content: Content | undefined }
  | { readonly is: "invalid" };

type Sure = "valid" | "unsure" | "invalid";

/** A number as it was written. */
class Written {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

const parseJson = JSON.parse as (
  text: string,
  reviver: (
    key: string,
    value: unknown,
    context: { readonly source: string },
  ) => unknown,
) => unknown;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const reserved = new Set([
  ...[".", "..", "metrics", "retry", "cancel", "batch", "export", "history"],
]);

const judgeId = (value: unknown): readonly [Sure, string] => {
  if (value instanceof Written) {
    const { source } = value;
    if (/^-?(0|[1-9]\d{0,49})$/.test(source) && source !== "-0") {
      return [source.length <= 50 ? "valid" : "invalid", source];
    }
    // 1.0 and 1e3 are integers to some readers; -0 is two things at once.
    return Number.isSafeInteger(Number(source))
      ? ["unsure", String(Number(source))]
      : ["invalid", source];
  }
  if (typeof value !== "string") return ["invalid", ""];
  const id = value.trim();
  const characters = Array.from(id).length;
  const isText = id.isWellFormed() && !/\p{Cc}/u.test(id);
  return [
    isText && characters >= 1 && characters <= 50 ? "valid" : "invalid",
    id,
  ];
};

/** Exact: a decimal is digits and a power of ten. */
const judgeDecimal = (text: string): Sure => {
  const [, sign, whole, fraction = "", exponent = "0"] =
    /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  if (whole === undefined || whole + fraction === "") return "invalid";
  if (Math.abs(Number(exponent)) > 2000) return "unsure";
  const digits = (whole + fraction).replace(/^0+/, "");
  const bare = digits.replace(/0+$/, "");
  if (bare === "" || sign === "-") return "invalid";
  const power =
    Number(exponent) - fraction.length + (digits.length - bare.length);
  if (power < -2 || bare.length + power > 8) return "invalid";
  return "valid";
};

const judgeAmount = (value: unknown): readonly [Sure, number] => {
  if (value instanceof Written) {
    return [judgeDecimal(value.source), Number(value.source)];
  }
  if (typeof value !== "string") return ["invalid", 0];
  const text = value.trim();
  const sure = judgeDecimal(text);
  const isPlain = /^\d+(\.\d+)?$/.test(text);
  return [sure === "valid" && !isPlain ? "unsure" : sure, Number(text)];
};

const worst = (verdicts: ReadonlyArray<Sure>): Sure => {
  if (verdicts.includes("invalid")) return "invalid";
  return verdicts.includes("unsure") ? "unsure" : "valid";
};

/** Numbers of up to 15 digits are kept by all readers of JSON. */
const judgeNumber = (source: string): Sure => {
  if (!Number.isFinite(Number(source))) return "invalid";
  return source.length <= 15 && !/e/i.test(source) ? "valid" : "unsure";
};

const judgeText = (text: string): Sure =>
  text.includes("\0") || !text.isWellFormed() ? "invalid" : "valid";

/** How deep items may be nested is the service's choice, 16 is not too deep. */
const depthSure = 16;

const judgeItem = (value: unknown, depth = 0): Sure => {
  if (depth > 1000) return "invalid";
  if (value instanceof Written) return judgeNumber(value.source);
  if (typeof value === "string") return judgeText(value);
  if (typeof value !== "object" || value === null) return "valid";
  return worst([
    depth > depthSure ? "unsure" : "valid",
    ...Object.entries(value).map(([key, element]) =>
      worst([judgeText(key), judgeItem(element, depth + 1)]),
    ),
  ]);
};

const judgeItems = (value: unknown): Sure => {
  if (!Array.isArray(value)) return "invalid";
  if (value.length < 1 || value.length > 1000) return "invalid";
  if (value.includes(null)) return "invalid";
  return worst(value.map((item) => judgeItem(item)));
};

/** Plain JSON again. */
const plain = (value: unknown): unknown => {
  if (value instanceof Written) return Number(value.source);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, element]) => [key, plain(element)]),
  );
};

const keysIn = (value: unknown): number => {
  if (typeof value !== "object" || value === null) return 0;
  if (value instanceof Written) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce(
    (sum: number, element) => sum + keysIn(element),
    own,
  );
};

/** A key that is there twice is gone after parsing. */
const hasDuplicateKeys = (text: string, value: unknown) => {
  const strings = text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/gs);
  let keys = 0;
  for (const [, colon] of strings) if (colon !== undefined) keys += 1;
  return keys !== keysIn(value);
};

const judgeParsed = (text: string): Verdict => {
  let body: unknown;
  try {
    body = parseJson(text, (_, value, context) =>
      typeof value === "number" ? new Written(context.source) : value,
    );
    if (hasDuplicateKeys(text, body))
      return { is: "unsure", content: undefined };
  } catch (error) {
    // Nested too deeply for us; the service may say the same.
    if (error instanceof RangeError)
      return { is: "unsure", content: undefined };
    return { is: "invalid" };
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    return { is: "invalid" };
  }
  const given = new Map(Object.entries(body));
  const [idSure, order_id] = judgeId(given.get("order_id"));
  const [userSure, user_id] = judgeId(given.get("user_id"));
  const [amountSure, total_amount] = judgeAmount(given.get("total_amount"));
  const items = given.get("item_ids");
  const is = worst([
    reserved.has(order_id) ? "invalid" : idSure,
    userSure,
    amountSure,
    judgeItems(items),
  ]);
  if (is === "invalid") return { is };
  return {
    is,
    content: {
      order_id,
      user_id,
      item_ids: plain(items) as ReadonlyArray<unknown>,
      total_amount,
    },
  };
};

export const judgeOrder = (body: Buffer): Verdict => {
  let text: string;
  try {
    text = utf8.decode(body);
  } catch {
    return { is: "invalid" };
  }
  // A byte order mark may be ignored or refused (RFC 8259, section 8.1).
  return text.startsWith("\ufeff")
    ? { is: "unsure", content: undefined }
    : judgeParsed(text);
};

/** JSON in one form: keys sorted, no -0. */
const canonical = (value: unknown): string => {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  return `{${Object.entries(value)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, element]) => `${JSON.stringify(key)}:${canonical(element)}`)
    .join(",")}}`;
};

/** The four fields that a caller gives, in one form. */
export const contentKey = (order: Content): string =>
  canonical([
    order.order_id,
    order.user_id,
    order.item_ids,
    order.total_amount,
  ]);
