/** What may be answered to a request, by the document and by HTTP itself. */
import { METHODS } from "node:http";
import type { Contract, Operation, Path } from "./document.ts";
import { judgeOrder, type Verdict } from "./orderJudge.ts";
import { headOf, type Sent } from "./wire.ts";

export interface Expectation {
  readonly statuses: ReadonlySet<number>;
  /** Refused before the service sees it: an empty answer, then the end. */
  readonly byHttpLayer: ReadonlySet<number>;
  readonly operation: Operation | undefined;
  /** The methods that a 405 must name. */
  readonly allow: ReadonlyArray<string> | undefined;
  /** Of a body of "orders.place". */
  readonly order: Verdict | undefined;
  /** Orders that a batch may place, by their ids. */
  readonly batch?: ReadonlyArray<string>;
  /** The order that is asked about, as the path spells it. */
  readonly orderId: string | undefined;
}

/** With what the ids of all orders in a batch begin: no other request has them. */
export const batchId = (seed: number, index: number): string =>
  `batch-${seed.toString(36)}-${index}`;

const idsInBatch = (sent: Sent): ReadonlyArray<string> =>
  (sent.body ?? "").toString("latin1").match(/batch-[0-9a-z]+-\d+-\d+/g) ?? [];

/** Node's limit for the request line and all headers. */
export const headBytesMax = 16 * 1024;
export const bodyBytesMax = 1024 * 1024;

/** Methods that HTTP itself defines; others may be unknown to the service. */
const standardMethods = new Set([
  ...["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"],
  "QUERY",
]);

export const pathOf = (target: string): string =>
  target.replace(/^https?:\/\/[^/?#]*/i, "").split("?", 1)[0] ?? "";

export const queryOf = (target: string): URLSearchParams =>
  // With its "?", of which one is taken off: a second one belongs to a name.
  new URLSearchParams(/\?[^#]*/.exec(target)?.[0] ?? "");

/** A header as the service reads it; of two content types the first counts. */
const headerOf = (sent: Sent, name: string): string | undefined => {
  const values = sent.headers
    .filter(([given]) => given.toLowerCase() === name)
    .map(([, value]) => value);
  if (values.length === 0) return undefined;
  return name === "content-type" ? values[0] : values.join(", ");
};

const decoded = (segment: string): string | undefined => {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
};

/** Paths that two readers of the RFCs could take for different ones. */
const isAmbiguous = (contract: Contract, path: string) =>
  /\/\/|\\|[`{|}^"<>#*]/.test(path) ||
  !path.startsWith("/") ||
  path.split("/").some((segment) => {
    const text = decoded(segment);
    if (text === undefined || text === "." || text === "..") return true;
    return (
      text !== segment &&
      contract.paths.some(({ segments }) => segments.includes(text))
    );
  });

const statusesOf = (operation: Operation): ReadonlyArray<number> =>
  // The fault that a 500 tells of is what is looked for here.
  Object.keys(operation.responses)
    .map(Number)
    .filter((status) => status < 500 && !refusedBefore.has(status));

/** Refused for who asks and by which name, whatever is asked. */
const refusedBefore: ReadonlySet<number> = new Set([403, 421]);

const safeMethods = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"]);

/** What is refused before it is looked at where it leads to. */
const refusalOf = (sent: Sent): number | undefined => {
  const target = /^https?:/i.test(sent.target) ? URL.parse(sent.target) : null;
  if (target !== null && !target.pathname.startsWith("/health/")) return 421;
  return headerOf(sent, "origin") !== undefined && !safeMethods.has(sent.method)
    ? 403
    : undefined;
};

const allStatuses = (contract: Contract) =>
  contract.paths.flatMap(({ operations }) =>
    Object.values(operations).flatMap(statusesOf),
  );

/** Faults that are seen before the body is read as an order. */
const bodyRefusals = (sent: Sent): ReadonlyArray<number> => {
  const statuses: Array<number> = [];
  const type = headerOf(sent, "content-type")?.trim() ?? "";
  const encoding = headerOf(sent, "content-encoding")?.trim().toLowerCase();
  if (!/^application\/([\w.+-]+\+)?json\s*(;|$)/i.test(type))
    statuses.push(415);
  if (encoding !== undefined && encoding !== "identity") statuses.push(415);
  if ((sent.body?.length ?? 0) > bodyBytesMax) statuses.push(413);
  return statuses;
};

const placeStatuses = (sent: Sent, order: Verdict): ReadonlyArray<number> => {
  const refusals = bodyRefusals(sent);
  if (refusals.length > 0) return refusals;
  // An empty header value, or a strange charset, may be refused or ignored.
  const open = /charset/i.test(headerOf(sent, "content-type") ?? "")
    ? [415]
    : [];
  switch (order.is) {
    case "valid":
      return [...open, 200, 201, 409];
    case "unsure":
      return [...open, 200, 201, 400, 409];
    case "invalid":
      return [...open, 400];
  }
};

/** What is in a batch is judged by its entries: `Book`. */
const batchStatuses = (sent: Sent): ReadonlyArray<number> => {
  const type = headerOf(sent, "content-type")?.trim() ?? "";
  const isLines = /^application\/x-ndjson\s*(;|$)/i.test(type);
  const refusals = bodyRefusals(
    isLines ? { ...sent, headers: withJson(sent.headers) } : sent,
  );
  const [atomic, ...more] = queryOf(sent.target).getAll("atomic");
  const isAsked = atomic === undefined || /^(true|false)$/.test(atomic);
  if (!isAsked || more.length > 0) return [400];
  if (refusals.length > 0) return refusals;
  const open = /charset/i.test(type) ? [415] : [];
  return [...open, 200, 400, ...(atomic === "true" ? [409] : [])];
};

const withJson = (headers: Sent["headers"]): Sent["headers"] =>
  headers.map(([name, value]) => [
    name,
    name.toLowerCase() === "content-type" ? "application/json" : value,
  ]);

type Sure = "valid" | "unsure" | "invalid";

/** RFC 3339, for a day that there is. */
const judgeTime = (text: string): Sure => {
  const [, day, clock] =
    /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d{1,3})?Z$/.exec(text) ?? [];
  const millis = Date.parse(text);
  if (day !== undefined && !Number.isNaN(millis) && clock !== "24:00:00") {
    return new Date(millis).toISOString().startsWith(day) ? "valid" : "invalid";
  }
  return Number.isNaN(millis) ? "invalid" : "unsure";
};

const judgeParameter: Readonly<Record<string, (text: string) => Sure>> = {
  limit: (text) => {
    if (/^[1-9]\d{0,2}$/.test(text))
      return Number(text) <= 500 ? "valid" : "invalid";
    return /^0\d*[1-9]\d*$/.test(text) ? "unsure" : "invalid";
  },
  cursor: (text) =>
    /^\d+$/.test(Buffer.from(text, "base64url").toString("latin1"))
      ? "unsure"
      : "invalid",
  user_id: (text) => {
    const id = text.trim();
    const length = Array.from(id).length;
    return length >= 1 && length <= 50 && !/\p{Cc}/u.test(id)
      ? "valid"
      : "invalid";
  },
  created_after: judgeTime,
  created_before: judgeTime,
};

const orderStatuses = new Set([
  ...["PENDING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"],
]);

/** An export has no pages; there are few at once. */
const exportStatuses = (query: URLSearchParams): ReadonlyArray<number> => {
  const filter = new URLSearchParams(query);
  for (const name of ["limit", "cursor"]) filter.delete(name);
  return isFormatRefused(query, /^(ndjson|csv)$/)
    ? [400]
    : [...listStatuses(filter), 503];
};

const isFormatRefused = (query: URLSearchParams, known: RegExp): boolean => {
  const formats = query.getAll("format");
  return formats.length > 1 || formats.some((format) => !known.test(format));
};

const listStatuses = (query: URLSearchParams): ReadonlyArray<number> => {
  const verdicts: Array<Sure> = query
    .getAll("status")
    .map((status) => (orderStatuses.has(status) ? "valid" : "invalid"));
  for (const [name, judge] of Object.entries(judgeParameter)) {
    const values = query.getAll(name);
    if (values.length > 1) verdicts.push("invalid");
    if (values.length === 1) verdicts.push(judge(values[0] as string));
  }
  if (verdicts.includes("invalid")) return [400];
  return verdicts.includes("unsure") ? [200, 400] : [200];
};

/** As the id of an event is written, though it may be none of this service. */
const judgeAfter = (text: string): Sure | "latest" => {
  if (text === "latest") return "latest";
  return /^[0-9a-z]{1,20}-[0-9a-z]{1,11}-[0-9a-z]{1,5}(-[0-9a-z]{1,10})?$/.test(
    text,
  )
    ? "valid"
    : /^[0-9a-z]+(-[0-9a-z]+){2,3}$/.test(text)
      ? "unsure"
      : "invalid";
};

const judgeWhole =
  (min: number, max: number) =>
  (text: string): Sure => {
    if (!/^\d{1,6}$/.test(text)) return "invalid";
    const isWithin = Number(text) >= min && Number(text) <= max;
    if (!isWithin) return "invalid";
    return /^0\d/.test(text) ? "unsure" : "valid";
  };

const eventTypes = new Set([
  ...["order.placed", "order.completed", "order.failed", "order.cancelled"],
  ...["order.retried", "order.attempt_failed"],
]);

const judgeEventParameter: typeof judgeParameter = {
  limit: judgeWhole(1, 1000),
  wait: judgeWhole(0, 30),
  user_id: judgeParameter.user_id as (text: string) => Sure,
};

/** The stream has no pages, and tells of what is gone in its own way. */
const eventStatuses = (
  query: URLSearchParams,
  isStream: boolean,
): ReadonlyArray<number> => {
  const verdicts: Array<Sure> = query
    .getAll("type")
    .map((type) => (eventTypes.has(type) ? "valid" : "invalid"));
  for (const [name, judge] of Object.entries(judgeEventParameter)) {
    const values = query.getAll(name);
    if (isStream && name !== "user_id") continue;
    if (values.length > 1) verdicts.push("invalid");
    if (values.length === 1) verdicts.push(judge(values[0] as string));
  }
  const [after, ...more] = query.getAll("after");
  const from = after === undefined ? "latest" : judgeAfter(after);
  if (verdicts.includes("invalid") || from === "invalid" || more.length > 0) {
    return [400];
  }
  const open = verdicts.includes("unsure") || from === "unsure" ? [400] : [];
  return [...open, 200, ...(from === "latest" || isStream ? [] : [410])];
};

const none: ReadonlySet<number> = new Set();
const noOrder = {
  operation: undefined,
  allow: undefined,
  order: undefined,
  orderId: undefined,
};

const refusedByHttpLayer = (sent: Sent): ReadonlyArray<number> => {
  const statuses: Array<number> = [];
  if (headOf(sent).length > headBytesMax) statuses.push(431);
  if (!METHODS.includes(sent.method)) statuses.push(400);
  if (/[^\x21-\x7e]/.test(sent.target)) statuses.push(400);
  const expect = headerOf(sent, "expect");
  if (expect !== undefined && expect.toLowerCase() !== "100-continue") {
    statuses.push(417);
  }
  return statuses;
};

/** The order_id in a path, in the place where its template has it. */
const orderIdIn = ({ segments }: Path, path: string): string | undefined => {
  const at = segments.indexOf("{order_id}");
  return at === -1 ? undefined : decoded(path.split("/")[at] ?? "");
};

export const expectationOf = (contract: Contract, sent: Sent): Expectation => {
  const refused = refusedByHttpLayer(sent);
  if (refused.length > 0) {
    const byHttpLayer = new Set(refused);
    return { ...noOrder, statuses: byHttpLayer, byHttpLayer };
  }
  const refusal = refusalOf(sent);
  if (refusal !== undefined) {
    return { ...noOrder, statuses: new Set([refusal]), byHttpLayer: none };
  }
  const path = pathOf(sent.target);
  if (isAmbiguous(contract, path)) {
    return {
      ...noOrder,
      order:
        sent.method === "POST" && sent.body !== undefined
          ? judgeOrder(sent.body)
          : undefined,
      batch: idsInBatch(sent),
      statuses: new Set([400, 404, 405, ...allStatuses(contract)]),
      byHttpLayer: new Set([400]),
    };
  }
  const matched = contract.match(path);
  if (matched === undefined) {
    return { ...noOrder, statuses: new Set([404]), byHttpLayer: none };
  }
  if (!matched.methods.includes(sent.method)) {
    return {
      ...noOrder,
      allow: matched.methods,
      // Of a method that no RFC of HTTP defines, 404 and 501 are true as well.
      statuses: new Set([
        ...(standardMethods.has(sent.method) ? [405] : [404, 405, 501]),
        // Of a word that is taken for an id, its parameters are refused first.
        ...(sent.target.includes("?") ? [400] : []),
      ]),
      byHttpLayer: none,
    };
  }
  const operation = matched.operations[sent.method];
  if (operation === undefined) {
    return { ...noOrder, statuses: new Set([200]), byHttpLayer: none };
  }
  const query = queryOf(sent.target);
  const isKnown = (name: string) =>
    (operation.parameters ?? []).some(
      (known) => known.in === "query" && known.name === name,
    );
  if (!Array.from(query.keys()).every(isKnown)) {
    return {
      ...noOrder,
      operation,
      statuses: new Set([400]),
      byHttpLayer: none,
    };
  }
  const isPlace = operation.operationId === "orders.place";
  const order = isPlace ? judgeOrder(sent.body ?? Buffer.alloc(0)) : undefined;
  const byOperation: Readonly<Record<string, () => ReadonlyArray<number>>> = {
    "orders.placeMany": () => batchStatuses(sent),
    "orders.list": () =>
      isFormatRefused(query, /^json$/) ? [400] : listStatuses(query),
    "orders.export": () => exportStatuses(query),
    "events.list": () => eventStatuses(query, false),
    "events.stream": () => eventStatuses(query, true),
  };
  const statuses =
    order !== undefined
      ? placeStatuses(sent, order)
      : (byOperation[operation.operationId]?.() ?? statusesOf(operation));
  return {
    operation,
    allow: undefined,
    order,
    batch: idsInBatch(sent),
    orderId: orderIdIn(matched, path),
    statuses: new Set(statuses),
    byHttpLayer: none,
  };
};
