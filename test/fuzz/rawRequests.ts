/** Bytes that are no request, or one that only a socket can send. */
import type { Dice } from "./Dice.ts";
import { headBytesMax } from "./expectation.ts";

export interface RawRequest {
  readonly name: string;
  readonly bytes: Buffer;
  /** What may be answered, in turn; "closed" is the end without an answer. */
  readonly answers: ReadonlyArray<ReadonlyArray<number | "closed">>;
  /** What the caller does once it has written. */
  readonly afterwards: "wait" | "end" | "destroy";
  /** An order that may be taken in by it. */
  readonly orderId: string | undefined;
}

const latin1 = (text: string) => Buffer.from(text, "latin1");

const request = (line: string, headers: ReadonlyArray<string>, body = "") =>
  `${[line, ...headers].join("\r\n")}\r\n\r\n${body}`;

const host = "Host: localhost";
const json = "Content-Type: application/json";
const live = "GET /health/live HTTP/1.1";
const place = "POST /api/orders/ HTTP/1.1";

const order = (id: string) =>
  `{"order_id":"${id}","user_id":"raw","item_ids":[1],"total_amount":1}`;

const lengthOf = (body: string) => `Content-Length: ${body.length}`;

const chunked = (body: string, size: number, extension = "") =>
  Array.from({ length: Math.ceil(body.length / size) }, (_, n) =>
    body.slice(n * size, (n + 1) * size),
  )
    .map((chunk) => `${chunk.length.toString(16)}${extension}\r\n${chunk}\r\n`)
    .join("");

/** Refused with one of these, or cut off; never anything else. */
const refused = [[400, "closed"]] as const;

type Row = readonly [
  name: string,
  bytes: string,
  answers: ReadonlyArray<ReadonlyArray<number | "closed">>,
  then?: RawRequest["afterwards"],
];

const withoutOrders: ReadonlyArray<Row> = [
  // The request line.
  ["no Host", request(live, []), [[400]]],
  ["two Hosts", request(live, [host, "Host: y"]), [[400]]],
  ["HTTP/1.0 without Host", request("GET /health/live HTTP/1.0", []), [[200]]],
  [
    "HTTP/1.0 kept alive",
    request("GET /health/live HTTP/1.0", ["Connection: keep-alive"]),
    [[200]],
  ],
  ["HTTP/0.9", "GET /health/live\r\n", refused, "end"],
  [
    "HTTP/2 preface",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    [[400, 505, "closed"]],
  ],
  ["HTTP/3.7", request("GET /health/live HTTP/3.7", [host]), [[400, 505]]],
  ["lower case version", request("GET /health/live http/1.1", [host]), refused],
  ["two spaces", request("GET  /health/live  HTTP/1.1", [host]), [[200, 400]]],
  [
    "a space in the target",
    request("GET /health live HTTP/1.1", [host]),
    refused,
  ],
  ["no target", request("GET HTTP/1.1", [host]), refused],
  [
    "a NUL in the target",
    request("GET /health/live\0 HTTP/1.1", [host]),
    refused,
  ],
  [
    "UTF-8 in the target",
    request("GET /api/orders/\xc3\xa9/ HTTP/1.1", [host]),
    refused,
  ],
  [
    "CONNECT",
    request("CONNECT x:80 HTTP/1.1", [host]),
    [[400, 404, 405, 501, "closed"]],
  ],
  [
    "CONNECT to a path",
    request("CONNECT /api/orders/ HTTP/1.1", [host]),
    [[400, 404, 405, 501, "closed"]],
  ],
  [
    "asterisk",
    request("OPTIONS * HTTP/1.1", [host]),
    [[200, 204, 400, 404, 405]],
  ],
  [
    "absolute form",
    request("GET http://y/health/live HTTP/1.1", [host]),
    [[200]],
  ],
  [
    "absolute form of another name",
    request("GET http://y/metrics HTTP/1.1", [host]),
    [[421]],
  ],
  [
    "https absolute form",
    request("GET https://y:99999/health/live HTTP/1.1", [host]),
    [[200, 400, 404]],
  ],
  ["empty lines first", `\r\n\r\n${request(live, [host])}`, [[200]]],
  ["bare line feeds", `${live}\n${host}\n\n`, [[200, 400, "closed"]], "end"],
  [
    "a TLS greeting",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    refused,
    "end",
  ],
  ["an SSH greeting", "SSH-2.0-OpenSSH_9.9\r\n", refused, "end"],
  ["nothing", "", [["closed"]], "end"],
  ["a beginning", "GET /hea", refused, "end"],
  ["a beginning of headers", `${live}\r\nHost: x\r\nX`, refused, "end"],
  // Headers.
  [
    "a header of 17 KB",
    request(live, [host, `X: ${"x".repeat(headBytesMax + 1000)}`]),
    [[431]],
  ],
  [
    "a header without end",
    `${live}\r\nX: ${"x".repeat(200_000)}`,
    [[431, "closed"]],
  ],
  [
    "a target of 17 KB",
    request(`GET /${"x".repeat(headBytesMax + 1000)} HTTP/1.1`, [host]),
    [[414, 431]],
  ],
  [
    "1,000 headers",
    request(live, [
      host,
      ...Array.from({ length: 1000 }, (_, n) => `X-${n}: y`),
    ]),
    [[200, 431]],
  ],
  [
    "5,000 headers",
    request(live, [host, ...Array(5000).fill("a:b")]),
    [[431, "closed"]],
  ],
  [
    "1,000 headers alike",
    request(live, [host, ...Array(1000).fill("a: b")]),
    [[200, 431]],
  ],
  ["a folded header", request(live, [host, "X: a\r\n b"]), [[200, 400]]],
  ["a header without colon", request(live, [host, "nonsense"]), refused],
  ["a space before the colon", request(live, [host, "X : a"]), refused],
  ["an empty header name", request(live, [host, ": a"]), refused],
  ["a NUL in a header", request(live, [host, "X: a\0b"]), refused],
  ["a CR in a header", request(live, [host, "X: a\rY: b"]), refused],
  ["a header name in UTF-8", request(live, [host, "\xc3\xa9: a"]), refused],
  ["Host of nonsense", request(live, ["Host: a b/\\:99999"]), [[200, 400]]],
  ["empty Host", request(live, ["Host:"]), [[200, 400]]],
  // Upgrades are declined by answering as usual.
  [
    "Upgrade: h2c",
    request(live, [
      host,
      "Upgrade: h2c",
      "Connection: Upgrade, HTTP2-Settings",
      "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    ]),
    [[200]],
  ],
  [
    "Upgrade: websocket",
    request(live, [
      host,
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]),
    [[200]],
  ],
  [
    "an upgrade to nothing",
    request("GET /nothing HTTP/1.1", [
      host,
      "Upgrade: x",
      "Connection: Upgrade",
    ]),
    [[404]],
  ],
  [
    "Connection of nonsense",
    request(live, [host, "Connection: ,,close;x, \x7f"]),
    [[200, 400]],
  ],
  // How long the body is.
  [
    "two lengths",
    request(
      place,
      [host, json, "Content-Length: 2", "Content-Length: 3"],
      "{}",
    ),
    refused,
  ],
  [
    "two lengths alike",
    request(
      place,
      [host, json, "Content-Length: 2", "Content-Length: 2"],
      "{}",
    ),
    refused,
  ],
  [
    "a list of lengths",
    request(place, [host, json, "Content-Length: 2, 2"], "{}"),
    refused,
  ],
  [
    "a negative length",
    request(place, [host, json, "Content-Length: -1"], "{}"),
    refused,
  ],
  [
    "a signed length",
    request(place, [host, json, "Content-Length: +2"], "{}"),
    refused,
  ],
  [
    "a length in hex",
    request(place, [host, json, "Content-Length: 0x2"], "{}"),
    refused,
  ],
  [
    "an empty length",
    request(place, [host, json, "Content-Length:"], "{}"),
    refused,
  ],
  [
    "a length beyond 2^64",
    request(place, [host, json, `Content-Length: ${"9".repeat(30)}`], "{}"),
    refused,
  ],
  [
    "a length of 2^53",
    request(place, [host, json, "Content-Length: 9007199254740993"], "{}"),
    [[413]],
    "end",
  ],
  [
    "a length that is too long",
    request(place, [host, json, "Content-Length: 100"], "{}"),
    refused,
    "end",
  ],
  [
    "a length that is too short",
    request(place, [host, json, "Content-Length: 1"], "{}"),
    [[400], [400, "closed"]],
  ],
  [
    "a length and chunks",
    request(
      place,
      [host, json, "Content-Length: 2", "Transfer-Encoding: chunked"],
      "0\r\n\r\n",
    ),
    refused,
  ],
  ["no length and no chunks", request(place, [host, json], ""), [[400]]],
  [
    "chunks by another name",
    request(place, [host, json, "Transfer-Encoding: xchunked"], "0\r\n\r\n"),
    [[400, 501]],
  ],
  [
    "chunks, then zipped",
    request(
      place,
      [host, json, "Transfer-Encoding: chunked, gzip"],
      "0\r\n\r\n",
    ),
    [[400, 501]],
  ],
  [
    "identity",
    request(place, [host, json, "Transfer-Encoding: identity"], ""),
    [[400, 501]],
  ],
  [
    "chunks of gzip",
    request(
      place,
      [host, json, "Transfer-Encoding: gzip, chunked"],
      "2\r\n{}\r\n0\r\n\r\n",
    ),
    [[501]],
  ],
  [
    "chunks twice",
    request(
      place,
      [host, json, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
      "0\r\n\r\n",
    ),
    [[400, 501, "closed"]],
    "end",
  ],
  [
    "a chunk of bad size",
    request(
      place,
      [host, json, "Transfer-Encoding: chunked"],
      "zz\r\n{}\r\n0\r\n\r\n",
    ),
    refused,
  ],
  [
    "a chunk of negative size",
    request(
      place,
      [host, json, "Transfer-Encoding: chunked"],
      "-2\r\n{}\r\n0\r\n\r\n",
    ),
    refused,
  ],
  [
    "a chunk beyond 2^64",
    request(
      place,
      [host, json, "Transfer-Encoding: chunked"],
      `${"F".repeat(17)}\r\n{}\r\n0\r\n\r\n`,
    ),
    refused,
  ],
  [
    "a chunk too short for its data",
    request(
      place,
      [host, json, "Transfer-Encoding: chunked"],
      "1\r\n{}\r\n0\r\n\r\n",
    ),
    refused,
  ],
  [
    "chunks without end",
    request(place, [host, json, "Transfer-Encoding: chunked"], "2\r\n{}\r\n"),
    refused,
    "end",
  ],
  [
    "an extension without end",
    request(
      place,
      [host, json, "Transfer-Encoding: chunked"],
      `2;${"x".repeat(100_000)}`,
    ),
    [[400, 413, "closed"]],
    "end",
  ],
  [
    "trailers without end",
    request(
      place,
      [host, json, "Transfer-Encoding: chunked"],
      `2\r\n{}\r\n0\r\n${"X: y\r\n".repeat(5000)}`,
    ),
    [[400, 431, "closed"]],
    "end",
  ],
  [
    "chunks of 2 MiB",
    request(
      place,
      [host, json, "Transfer-Encoding: chunked"],
      `${chunked(" ".repeat(2_097_152), 65_536)}0\r\n\r\n`,
    ),
    [[413, "closed"]],
  ],
  [
    "a body of 5 MiB",
    request(
      place,
      [host, json, "Content-Length: 5242880"],
      " ".repeat(5_242_880),
    ),
    [[413, "closed"]],
  ],
  // One connection, many requests.
  [
    "17 requests at once",
    request(live, [host]).repeat(17),
    Array(17).fill([200]),
  ],
  [
    "a request inside a GET",
    request(
      live,
      [host, "Content-Length: 44"],
      request(live, [host]).slice(0, 44),
    ),
    [[200, 400]],
  ],
  [
    "a good one and garbage",
    `${request(live, [host])}\0\0\0\r\n\r\n`,
    [[200], [400, "closed"]],
  ],
  [
    "after Connection: close",
    request(live, [host, "Connection: close"]) + request(live, [host]),
    [[200], ["closed", 400]],
  ],
  [
    "gone before the answer",
    request("GET /api/orders/?limit=500 HTTP/1.1", [host]).repeat(3),
    [],
    "destroy",
  ],
];

/** Orders placed as no library would, and some of which nobody can know. */
const withOrder = (id: string): ReadonlyArray<Row> => {
  const body = order(id);
  return [
    [
      "in chunks of a byte",
      request(
        place,
        [host, json, "Transfer-Encoding: chunked"],
        `${chunked(body, 1)}0\r\n\r\n`,
      ),
      [[201]],
    ],
    [
      "in chunks with extensions and trailers",
      request(
        place,
        [host, json, "Transfer-Encoding: Chunked"],
        `${chunked(body, 9, ";a=b")}0\r\nX: y\r\n\r\n`,
      ),
      [[201]],
    ],
    [
      "as the JDK's HttpClient sends it",
      request(
        place,
        [
          "Connection: Upgrade, HTTP2-Settings",
          lengthOf(body),
          host,
          "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
          "Upgrade: h2c",
          "User-Agent: Java-http-client/17.0.17",
          json,
        ],
        body,
      ),
      [[201]],
    ],
    [
      "in chunks, with an upgrade to websocket",
      request(
        place,
        [
          host,
          json,
          "Upgrade: websocket",
          "Connection: Upgrade",
          "Transfer-Encoding: chunked",
        ],
        `${chunked(body, 9)}0\r\n\r\n`,
      ),
      [[201]],
    ],
    [
      "as HTTP/1.0",
      request("POST /api/orders/ HTTP/1.0", [json, lengthOf(body)], body),
      [[201]],
    ],
    [
      "in absolute form",
      request(
        "POST http://localhost/api/orders HTTP/1.1",
        [host, json, lengthOf(body)],
        body,
      ),
      [[201]],
    ],
    [
      "with its content type twice",
      request(place, [host, json, json, lengthOf(body)], body),
      [[201, 400, 415]],
    ],
    [
      "and the connection half closed",
      request(place, [host, json, lengthOf(body)], body),
      [[201, "closed"]],
      "end",
    ],
    [
      "twice at once",
      request(place, [host, json, lengthOf(body)], body).repeat(2),
      [
        [200, 201],
        [200, 201],
      ],
    ],
    [
      "with Expect",
      request(
        place,
        [host, json, "Expect: 100-continue", lengthOf(body)],
        body,
      ),
      [[201]],
    ],
    [
      "and gone before the answer",
      request(place, [host, json, lengthOf(body)], body),
      [],
      "destroy",
    ],
    [
      "and gone within the body",
      request(place, [host, json, `Content-Length: ${body.length + 1}`], body),
      [],
      "destroy",
    ],
    [
      "and reset with more to come",
      request(place, [host, json, lengthOf(body)], body) +
        request(live, [host]).slice(0, 9),
      [],
      "destroy",
    ],
  ];
};

const randomBytes = (dice: Dice): Row => [
  "random bytes",
  Array.from({ length: dice.int(1, 400) }, () =>
    String.fromCharCode(dice.int(0, 255)),
  ).join(""),
  refused,
  "end",
];

/** The bad request of this number: all kinds come in turn. */
export const rawRequest = (
  dice: Dice,
  seed: number,
  index: number,
): RawRequest => {
  const orderId = `raw-${seed.toString(36)}-${index}`;
  const orders = withOrder(orderId);
  const rows = [...orders, randomBytes(dice), ...withoutOrders];
  const at = index % rows.length;
  const [name, text, answers, after = "wait"] = rows[at] as Row;
  const isOrder = at < orders.length;
  return {
    name: isOrder ? `an order ${name}` : name,
    bytes: latin1(text),
    answers,
    afterwards: after,
    orderId: isOrder ? orderId : undefined,
  };
};
