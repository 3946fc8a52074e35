/**
 * Makes requests out of the service's OpenAPI document: as it asks for them,
 * with one thing wrong, or with everything wrong. A seed makes the same
 * requests again.
 */
import { Dice } from "./Dice.ts";
import type { Contract, Operation, Path } from "./document.ts";
import { batchId, bodyBytesMax } from "./expectation.ts";
import { judgeOrder } from "./orderJudge.ts";
import {
  type Fields,
  fieldsFromSchema,
  fromSchema,
  mutate,
  objectOf,
  oddJson,
  oddText,
} from "./values.ts";
import type { Sent } from "./wire.ts";

type Header = readonly [name: string, value: string];

const methods = [
  ...["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"],
  ...["QUERY", "PROPFIND", "M-SEARCH", "PURGE", "get", "FOO", "GET,POST"],
];

const jsonTypes = [
  ...["application/json; charset=utf-8", "application/json;charset=UTF-8"],
  ...["APPLICATION/JSON", "application/vnd.api+json", "application/json;"],
  ...["application/json ; charset=latin1", "application/merge-patch+json"],
];

const otherTypes = [
  ...["text/plain", "text/json", "application/x-www-form-urlencoded", "json"],
  ...["multipart/form-data", "multipart/form-data; boundary=x", "application/"],
  ...["application/jsonx", "application/xml", "*/*", "application/json2", ";"],
  ...["application/octet-stream", "text/html, application/json", "\xff"],
];

/** Headers that change nothing, or should not. */
const oddHeaders: ReadonlyArray<Header> = [
  ["Accept", "text/html"],
  ["Accept", "*/*;q=0"],
  ["Accept-Encoding", "gzip, br;q=0, *"],
  ["Accept-Language", "é\xff"],
  ["Authorization", "Basic \xff\xfe"],
  ["Cookie", "a=b; __proto__=1; =; ;;"],
  ["Cookie", `c=${"x".repeat(4000)}`],
  ["Content-Encoding", "gzip"],
  ["Content-Encoding", "identity"],
  ["Content-Encoding", "deflate, br"],
  ["Content-Language", "xx"],
  ["Content-Disposition", 'form-data; name="a"'],
  ["Content-Type", "text/plain"],
  ["Date", "yesterday"],
  ["Forwarded", "for=127.0.0.1;host=evil.example"],
  ["If-Match", "*"],
  ["If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"],
  ["If-None-Match", "*"],
  ["If-None-Match", '"a", W/"b", ,,'],
  ["If-None-Match", "\x22".repeat(3000)],
  ["If-Unmodified-Since", "x"],
  ["Origin", "null"],
  ["Origin", "http://127.0.0.1:1"],
  ["Range", "bytes=0-0"],
  ["Range", "bytes=-1,0-,9-1"],
  ["Referer", "javascript:alert(1)"],
  ["TE", "trailers"],
  ["Prefer", "respond-async, wait=10"],
  ["Idempotency-Key", "\xe9"],
  ["X-HTTP-Method-Override", "DELETE"],
  ["X-Forwarded-For", "' OR 1=1 --"],
  ["X-Forwarded-Host", "evil.example"],
  ["X-Original-URL", "/health/live"],
  ["traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
  ["traceparent", "00-00000000000000000000000000000000-0000000000000000-ff"],
  ["traceparent", "99-x-y-z"],
  ["tracestate", "a=b,=,c"],
  ["b3", "1-2-3-4-5"],
  ["b3", "\xff"],
  ["x-b3-traceid", "zz"],
  ["baggage", "=;,%00"],
  ["__proto__", "1"],
  ["constructor", "1"],
  ["X-Empty", ""],
  ["X-Tab", "a\tb"],
];

/** Pieces that make a path another, or none. */
const pathPieces = [
  ...["/", "//", "/.", "/..", "/../", "%2F", "%2e%2e", "%00", "%", "%zz", "%2"],
  ...[
    "%E0%A4%A",
    "%C0%AF",
    "%ED%A0%80",
    "%FF",
    "%F0%9F%98%80",
    "%25",
    "%0d%0a",
  ],
  ...[";", ";a=b", ":", "@", "!", "'", "(", "*", "+", ",", "=", "&", "~", "\\"],
  ...[
    "#",
    "#/x",
    "?",
    "??",
    "|",
    "`",
    "^",
    "{}",
    "[",
    '"',
    "<",
    "x",
    "\xe9",
    "\t",
  ],
];

/** Places in the log of events, hardly any of this service. */
const places = [
  ...["latest", "latest", "latest", "0-0-0", "a-1-0", "ffffffffffff-1-0-1"],
  ...["0-zzzzzzzzzzzzz-0", "a-0-zzzzz", "LATEST", "a-1", "-", "a-1-0-1-1"],
];

const queryNames = ["limit", "status", "user_id", "cursor", "x", "", "limit[]"];

/** What a query's values can be besides right. */
const queryValues = [
  ...["", "0", "1", "500", "501", "-1", "1.5", "1e2", "0x10", "050", " 5 "],
  ...["9".repeat(30), "NaN", "null", "undefined", "PENDING", "pending", "*"],
  ...[
    "PENDING,FAILED",
    "MA",
    "AAAA",
    "_-_-",
    "MC4w",
    "OTk5OTk5OTk5OTk5OTk5Ljk",
  ],
  ...["MTc5NTM2MzQ2NjQxMi45MjIzMzcyMDM2ODU0Nzc1ODA3", "LTEuLTE", "Mi4yLjI"],
  ...["MTc5NTM2MzQ2NjQxMi45MjIzMzcyMDM2ODU0Nzc1ODA4"],
  ...["OTk5OTk5OTk5OTk5OTk5Ljk5OTk5OTk5OTk5OTk5OTk5OTk"],
  ...[
    "2026-01-31T12:00:00Z",
    "2026-01-31",
    "2026-02-30T00:00:00Z",
    "0000-01-01",
  ],
  ...["0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"],
  ...["2026-01-31T12:00:00+23:59", "2026-01-31T12:00:00-99:99", "1", "now"],
  ...[
    "2026-01-31T24:00:00Z",
    "2026-01-31T23:59:60Z",
    "-271821-04-20T00:00:00Z",
  ],
  ...["+275760-09-13T00:00:00Z", "2026-01-31T12:00:00.123456789Z", "Jan 1"],
  ...["0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "infinity"],
];

const encoded = (text: string, dice: Dice): string => {
  const url = encodeURIComponent(text.toWellFormed());
  return dice.chance(0.1) ? url.replaceAll("%20", "+") : url;
};

/** What is about many orders is asked for seldom: it takes long, or ends them. */
const ofMany = new Set(["orders.export", "orders.cancelMany"]);

export class RequestMaker {
  readonly #contract: Contract;
  readonly #seed: number;
  readonly #operations: ReadonlyArray<
    readonly [number, readonly [Path, string, Operation]]
  >;
  /** Orders that were sent before, to be sent and asked for again. */
  readonly #orders: Array<{ readonly id: string; readonly body: Buffer }> = [];

  constructor(contract: Contract, seed: number) {
    this.#contract = contract;
    this.#seed = seed;
    this.#operations = contract.paths.flatMap((path) =>
      Object.entries(path.operations).map(([method, operation]) => {
        const weight =
          operation.operationId === "orders.place"
            ? 40
            : method === "HEAD" || ofMany.has(operation.operationId)
              ? 1
              : 4;
        return [weight, [path, method, operation]] as const;
      }),
    );
  }

  /** The request of this number. `cursors` are those of pages seen so far. */
  make(index: number, cursors: ReadonlyArray<string>): Sent {
    const dice = new Dice(this.#seed, `request ${index}`);
    const [path, method, operation] = dice.weighted(this.#operations);
    const sent: Sent = {
      method,
      target: this.#target(path, operation, dice, cursors),
      headers: [],
    };
    const asked =
      operation.requestBody === undefined
        ? sent
        : operation.operationId === "orders.placeMany"
          ? this.#withBatch(sent, dice, index)
          : this.#withBody(sent, operation, dice, index);
    return this.#disturbed(asked, dice);
  }

  #target(
    path: Path,
    operation: Operation,
    dice: Dice,
    cursors: ReadonlyArray<string>,
  ): string {
    const known = () => dice.pick(this.#orders)?.id ?? "nobody";
    const filled = path.template.replace(/\{\w+\}/g, () =>
      encoded(
        dice.weighted<() => string>([
          [12, known],
          [2, () => `nobody-${dice.int(1, 1e9)}`],
          [3, () => oddText(dice) || "x"],
          [1, () => "x".repeat(dice.pick([50, 51, 999, 1001, 4000]))],
        ])(),
        dice,
      ),
    );
    const slashed = dice.chance(0.2) ? filled.replace(/\/$/, "") : filled;
    return `${slashed}${this.#query(operation, dice, cursors)}`;
  }

  #query(
    operation: Operation,
    dice: Dice,
    cursors: ReadonlyArray<string>,
  ): string {
    const pairs: Array<string> = [];
    const add = (name: string, value: string) =>
      pairs.push(`${encoded(name, dice)}=${encoded(value, dice)}`);
    for (const { in: place, name, required, schema } of operation.parameters ??
      []) {
      if (place !== "query" || (required !== true && !dice.chance(0.3)))
        continue;
      if (name === "cursor") {
        // Chosen in any case, so that what follows is the same each time.
        const at = dice.int(0, 999);
        pairs.push(`cursor=${cursors[at % cursors.length] ?? "none"}`);
        continue;
      }
      if (name === "after") {
        add(name, dice.pick(places));
        continue;
      }
      const json = JSON.parse(fromSchema(this.#contract, schema, dice, name));
      // Large pages are many bytes: they are asked for, but seldom. Whoever
      // waits has the others on the connection wait.
      const value =
        name === "limit" && !dice.chance(0.05)
          ? (json % 20) + 1
          : name === "wait"
            ? json % 2
            : json;
      for (const one of Array.isArray(value) ? value : [value])
        add(name, String(one));
    }
    if (dice.chance(pairs.length > 0 ? 0.3 : 0.04)) {
      const names = [
        ...(operation.parameters ?? []).map(({ name }) => name),
        dice.pick(queryNames),
      ];
      add(
        dice.pick(names),
        dice.chance(0.7) ? dice.pick(queryValues) : oddText(dice),
      );
    }
    if (dice.chance(0.02))
      pairs.push(
        dice.pick([
          "&&",
          "=",
          "a",
          "%",
          "limit=%zz",
          "%00=1",
          "a=b=c",
          "x=%ff",
        ]),
      );
    return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
  }

  #withBody(sent: Sent, operation: Operation, dice: Dice, index: number): Sent {
    const [[type, { schema }] = ["application/json", { schema: {} }]] =
      Object.entries(operation.requestBody?.content ?? {});
    const fields = fieldsFromSchema(this.#contract, schema, dice).map(
      ([name, json]) =>
        [name, name === "order_id" ? this.#newId(dice, index) : json] as const,
    );
    const body = dice.weighted<() => Buffer>([
      [50, () => Buffer.from(objectOf(fields, dice))],
      [30, () => Buffer.from(objectOf(this.#wrong(fields, dice), dice))],
      [8, () => mutate(Buffer.from(objectOf(fields, dice)), dice)],
      [6, () => this.#again(dice) ?? Buffer.from(oddJson(dice))],
      [3, () => Buffer.from(oddJson(dice))],
      [
        1,
        () =>
          Buffer.from(
            dice.pick(["", " ", "null", "\ufeff{}", "[]{}", "{}{}", "\0"]),
          ),
      ],
      [0.1, () => this.#large(objectOf(fields, dice), dice)],
    ])();
    const verdict = judgeOrder(body);
    if (verdict.is === "valid") {
      this.#orders.push({ id: verdict.content.order_id, body });
    }
    const contentType = dice.weighted<() => ReadonlyArray<Header>>([
      [90, () => [["Content-Type", type]]],
      [5, () => [["content-type", dice.pick(jsonTypes)]]],
      [4, () => [["CONTENT-TYPE", dice.pick(otherTypes)]]],
      [1, () => []],
    ])();
    return {
      ...sent,
      headers: contentType,
      body,
      // A million chunks in one body are for `smallChunks.test.ts`.
      chunkBytes: dice.chance(0.1)
        ? dice.pick(body.length > 100_000 ? [65_536] : [1, 7, 100, 65_536])
        : undefined,
    };
  }

  /** A batch, in an array or on lines, of orders with ids of its own. */
  #withBatch(sent: Sent, dice: Dice, index: number): Sent {
    const schema = this.#contract.document.components.schemas.PlaceOrder;
    const rows = Array.from(
      { length: dice.pick([0, 1, 1, 2, 3, 8]) },
      (_, n) => {
        const fields = fieldsFromSchema(this.#contract, schema ?? {}, dice);
        const [id, ...others] = [
          ["order_id", JSON.stringify(`${batchId(this.#seed, index)}-${n}`)],
          ...fields.filter(([name]) => name !== "order_id"),
        ] as const;
        return dice.weighted<() => string>([
          [8, () => objectOf([id as Fields[number], ...others], dice)],
          [
            4,
            () =>
              objectOf(
                [id as Fields[number], ...this.#wrong(others, dice)],
                dice,
              ),
          ],
          [1, () => oddJson(dice)],
        ])();
      },
    );
    const given = rows.flatMap((row) =>
      dice.chance(0.1) ? [row, row] : [row],
    );
    const asLines = dice.chance(0.5);
    const text = asLines
      ? given
          .map((row) => row.replace(/[\r\n]/g, " "))
          .join(dice.pick(["\n", "\r\n", "\n \n"]))
      : `[${given.join(dice.pick([",", " , "]))}]`;
    const body = dice.chance(0.1)
      ? mutate(Buffer.from(text), dice)
      : Buffer.from(text);
    const type = asLines ? "application/x-ndjson" : "application/json";
    return {
      ...sent,
      headers: [
        ["Content-Type", dice.chance(0.95) ? type : dice.pick(otherTypes)],
        ...(dice.chance(0.2)
          ? [["Accept", "application/x-ndjson"] as const]
          : []),
      ],
      body,
      chunkBytes: dice.chance(0.1) ? dice.pick([1, 7, 100]) : undefined,
    };
  }

  /** An id that no other request has, most of the time. */
  #newId(dice: Dice, index: number): string {
    const unique = `fuzz-${this.#seed.toString(36)}-${index}`;
    return dice.weighted<() => string>([
      [12, () => JSON.stringify(unique)],
      [2, () => String(this.#seed * 100_000 + index)],
      [1, () => JSON.stringify(`  ${unique}\u00a0`)],
      [3, () => JSON.stringify(`${index}${oddText(dice)}`.slice(0, 50))],
      [
        1,
        () => JSON.stringify(`${index}${"😀".repeat(50 - `${index}`.length)}`),
      ],
    ])();
  }

  /** Some of the fields otherwise than they should be. */
  #wrong(fields: Fields, dice: Dice): Fields {
    const chosen = dice.shuffle(fields).slice(0, dice.pick([1, 1, 1, 2, 4]));
    const others = fields.filter((field) => !chosen.includes(field));
    return [
      ...others,
      ...chosen.flatMap(
        ([name, json]): Fields =>
          dice.weighted<() => Fields>([
            [6, () => [[name, oddJson(dice)]]],
            [1, () => []],
            [
              1,
              () => [
                [name, json],
                [name, oddJson(dice)],
              ],
            ],
            [0.5, () => [[name.toUpperCase(), json]]],
            [
              0.5,
              () => [
                [name, json],
                [
                  dice.pick(["__proto__", "status", "x", "", "seq"]),
                  oddJson(dice),
                ],
              ],
            ],
          ])(),
      ),
    ];
  }

  /** An order that was sent before: the same, or with other content. */
  #again(dice: Dice): Buffer | undefined {
    const before = dice.pick(this.#orders);
    if (before === undefined || dice.chance(0.7)) return before?.body;
    const order = JSON.parse(before.body.toString("utf8"));
    return Buffer.from(
      JSON.stringify({ ...order, total_amount: dice.int(1, 99) }),
    );
  }

  /** As large as a body may be, and a byte larger. */
  #large(json: string, dice: Dice): Buffer {
    const size = bodyBytesMax + dice.pick([-1, 0, 1, 1000]);
    return Buffer.from(json + " ".repeat(size - Buffer.byteLength(json)));
  }

  /** Most requests are left alone; the others get what no document asks for. */
  #disturbed(sent: Sent, dice: Dice): Sent {
    if (dice.chance(0.75)) return sent;
    return dice.weighted<() => Sent>([
      [3, () => ({ ...sent, method: dice.pick(methods) })],
      [
        6,
        () => ({
          ...sent,
          headers: [
            ...sent.headers,
            ...dice.shuffle(oddHeaders).slice(0, dice.int(1, 4)),
          ],
        }),
      ],
      [4, () => ({ ...sent, target: this.#otherPath(sent.target, dice) })],
      [
        1,
        () =>
          sent.body === undefined
            ? {
                ...sent,
                headers: [["Content-Type", "application/json"]],
                body: Buffer.from(oddJson(dice)),
              }
            : { ...sent, body: undefined },
      ],
      [
        0.5,
        () => ({
          ...sent,
          headers: [
            ...sent.headers,
            ["X-Long", "x".repeat(dice.pick([8000, 15_000, 17_000]))],
          ],
        }),
      ],
      [
        0.5,
        () => ({
          ...sent,
          target: `${sent.target}${sent.target.includes("?") ? "&" : "?"}q=${"x".repeat(dice.pick([2000, 15_000, 20_000]))}`,
        }),
      ],
      [
        0.5,
        () => ({
          ...sent,
          headers: [
            ...sent.headers,
            ["Expect", dice.pick(["100-continue", "100-Continue", "x"])],
          ],
        }),
      ],
      [0.3, () => ({ ...sent, target: `http://evil.example${sent.target}` })],
      [
        0.2,
        () => ({
          ...sent,
          target: dice.pick([
            "/metrics",
            "/openapi.json",
            "/",
            "/favicon.ico",
            "/admin/",
            "/api",
            "*",
          ]),
        }),
      ],
      [0.02, () => ({ method: "GET", target: "/docs", headers: [] })],
      [
        0.3,
        () => ({
          ...sent,
          headers: [
            ...sent.headers,
            ...Array.from(
              { length: dice.pick([50, 300]) },
              (_, n): Header => [`X-${n}`, "y"],
            ),
          ],
        }),
      ],
    ])();
  }

  #otherPath(target: string, dice: Dice): string {
    const [path = "", ...query] = target.split("?");
    const at = dice.int(1, path.length);
    const piece = dice.pick(pathPieces);
    const changed = dice.weighted<() => string>([
      [4, () => path.slice(0, at) + piece + path.slice(at)],
      [1, () => path.slice(0, at) + path.slice(at + 1)],
      [1, () => path.slice(0, at)],
      [1, () => path.toUpperCase()],
      [
        1,
        () =>
          path.replace(
            /[a-z]/,
            (letter) => `%${letter.charCodeAt(0).toString(16)}`,
          ),
      ],
      [
        1,
        () =>
          `${path}${dice.pick(["x", "/x", "cancel", "/cancel/", "retry/", "//"])}`,
      ],
    ])();
    return [changed, ...query].join("?");
  }
}
