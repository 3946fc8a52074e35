/** Holds an answer against what may be answered. */
import { faultsOf } from "../http/jsonSchema.ts";
import { framesOf, isStream } from "../support/sse.ts";
import type { Contract } from "./document.ts";
import { type Expectation, pathOf } from "./expectation.ts";
import type { Answer, Sent } from "./wire.ts";

export interface Fault {
  /** The same for all faults of this kind. */
  readonly kind: string;
  readonly detail: string;
}

/** Every header the service has a reason to send: no caller may add one. */
const headersKnown = new Set([
  ...["content-type", "content-length", "transfer-encoding", "date"],
  ...["connection", "keep-alive", "location", "etag", "link", "allow"],
  ...["idempotent-replayed", "retry-after", "x-content-type-options"],
  ...["referrer-policy", "content-security-policy"],
  "cross-origin-resource-policy",
  "preference-applied",
  ...["vary", "cache-control", "content-encoding", "x-accel-buffering"],
  "content-disposition",
]);

const fault = (kind: string, detail: string): ReadonlyArray<Fault> => [
  { kind, detail },
];

const jsonOf = (body: Buffer): { readonly json: unknown } | undefined => {
  try {
    return { json: JSON.parse(body.toString("utf8")) };
  } catch {
    return undefined;
  }
};

/** RFC 9457, with all of `type`, `title`, `status` and `detail`. */
const problemFaults = (answer: Answer): ReadonlyArray<Fault> => {
  const { status } = answer;
  if (answer.headers["content-type"] !== "application/problem+json") {
    return fault(
      `${status}: no problem`,
      String(answer.headers["content-type"]),
    );
  }
  const parsed = jsonOf(answer.body);
  const problem = (parsed?.json ?? {}) as Record<string, unknown>;
  const isWhole =
    problem.status === status &&
    typeof problem.type === "string" &&
    typeof problem.title === "string" &&
    typeof problem.detail === "string";
  return isWhole
    ? []
    : fault(`${status}: not a whole problem`, answer.body.toString("utf8"));
};

const declaredFaults = (
  contract: Contract,
  { operation }: Expectation,
  sent: Sent,
  answer: Answer,
): ReadonlyArray<Fault> => {
  if (operation === undefined) return [];
  const { status } = answer;
  const what = `${operation.operationId} ${status}`;
  const declared = operation.responses[String(status)];
  if (declared === undefined) return fault(`${what}: not in the document`, "");
  const faults: Array<Fault> = [];
  for (const [name, { required }] of Object.entries(declared.headers ?? {})) {
    if (required === true && answer.headers[name] === undefined) {
      faults.push({ kind: `${what}: no header ${name}`, detail: "" });
    }
  }
  const isExport = what === "orders.export 200";
  const sentType = answer.headers["content-type"];
  // CSV says of which code it is, and that it has a header.
  const type = isExport ? sentType?.split(";")[0] : sentType;
  const contents = Object.entries(declared.content ?? {});
  const content = contents.find(([name]) => name === type) ?? contents[0];
  if (content === undefined) {
    return answer.body.length === 0
      ? faults
      : [...faults, ...fault(`${what}: has a body`, answer.body.toString())];
  }
  const [contentType, { schema }] = content;
  if (type !== contentType) {
    return [...faults, ...fault(`${what}: content type`, String(type))];
  }
  if (sent.method === "HEAD") return faults;
  if (isExport) {
    return /(^|\n)(\{"exported":\d+\}|# exported,\d+,{10}\r)\n$/.test(
      answer.body.toString("utf8"),
    )
      ? faults
      : [...faults, ...fault(`${what}: without its end`, "")];
  }
  const { schemas } = contract.document.components;
  if (isStream(type)) {
    const told = framesOf(answer.body.toString("utf8"));
    const wrong = told
      .filter(({ data }) => data !== undefined)
      .flatMap((frame) => faultsOf(schemas, schema, frame));
    return told[0]?.retry === undefined || wrong.length > 0
      ? [...faults, ...fault(`${what}: not its schema`, wrong.join("; "))]
      : faults;
  }
  if (type === "application/x-ndjson") {
    const wrong = answer.body
      .toString("utf8")
      .trimEnd()
      .split("\n")
      .flatMap((line) => faultsOf(schemas, schema, JSON.parse(line)));
    return wrong.length === 0
      ? faults
      : [...faults, ...fault(`${what}: not its schema`, wrong.join("; "))];
  }
  const parsed = jsonOf(answer.body);
  if (parsed === undefined) {
    return [...faults, ...fault(`${what}: not JSON`, answer.body.toString())];
  }
  const wrong = faultsOf(schemas, schema, parsed.json);
  return wrong.length === 0
    ? faults
    : [...faults, ...fault(`${what}: not its schema`, wrong.join("; "))];
};

/** What is wrong with an answer, whatever was answered before it. */
export const faultsOfAnswer = (
  contract: Contract,
  expected: Expectation,
  sent: Sent,
  answer: Answer,
): ReadonlyArray<Fault> => {
  const { body, headers, status } = answer;
  if (status >= 500 && !expected.statuses.has(status)) {
    return fault(`answers ${status}`, body.toString("utf8"));
  }
  if (!expected.statuses.has(status)) {
    const right = Array.from(expected.statuses).join(", ");
    const what =
      expected.operation?.operationId ?? "a path or method not there";
    return fault(
      `${what} answers ${status}, not ${right}`,
      body.toString("utf8").slice(0, 500),
    );
  }
  const faults: Array<Fault> = [];
  for (const name of Object.keys(headers)) {
    // Only who signs in or out is given a cookie, or has it taken back.
    const isCookie =
      name === "set-cookie" &&
      (sent.method === "POST" || sent.method === "DELETE") &&
      /^\/api\/session\/?$/.test(decodeURIComponent(pathOf(sent.target)));
    if (!headersKnown.has(name) && !isCookie) {
      faults.push({ kind: `a header ${name}`, detail: headers[name] ?? "" });
    }
  }
  const isByHttpLayer = expected.byHttpLayer.has(status);
  if (isByHttpLayer && body.length === 0 && sent.method !== "HEAD") {
    // Only after an expectation is it clear where the next request begins.
    if (headers.connection !== "close" && status !== 417) {
      faults.push({ kind: `${status}: without Connection: close`, detail: "" });
    }
    return faults;
  }
  if (sent.method === "HEAD" && body.length > 0) {
    faults.push({ kind: "HEAD: has a body", detail: body.toString() });
  }
  if (status >= 400 && sent.method !== "HEAD") {
    faults.push(...problemFaults(answer));
  }
  if (status === 405) {
    const named = (headers.allow ?? "").split(", ").sort();
    const right = [...(expected.allow ?? named)].sort();
    if (named.join() !== right.join()) {
      faults.push({
        kind: "405: Allow is not what the document says",
        detail: `${named}, not ${right}`,
      });
    }
  }
  return [...faults, ...declaredFaults(contract, expected, sent, answer)];
};
